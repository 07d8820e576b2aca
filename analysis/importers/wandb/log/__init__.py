"""W&B's run log, read without W&B."""
