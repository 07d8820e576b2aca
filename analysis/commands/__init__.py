"""The commands: parse, call, give."""
