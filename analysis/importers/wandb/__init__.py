"""What W&B holds of a run: its folders, its artifacts, its history."""
