"""Readers of other programs' files and servers: what they hold, as Arrow."""
