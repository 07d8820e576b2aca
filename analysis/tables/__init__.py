"""W&B's table panel as a value that turns into SQL."""
