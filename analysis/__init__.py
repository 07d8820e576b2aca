"""Ask what a model got wrong: questions over prediction tables, in SQL."""
