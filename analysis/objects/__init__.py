"""Objects in a bucket: its client, and paths that lead there."""
