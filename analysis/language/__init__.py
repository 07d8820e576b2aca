"""W&B's expression language: read, and written as SQL."""
