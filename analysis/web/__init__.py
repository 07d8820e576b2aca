"""The local page: what the command line answers, drawn."""
