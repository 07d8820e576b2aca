"""Answers for people: in a terminal, in files, as charts and as HTML."""
