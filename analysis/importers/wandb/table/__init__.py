"""W&B's table files, read value by value."""
