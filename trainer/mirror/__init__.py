"""A run's mirror in W&B: fed after the local commit, free to fail."""
