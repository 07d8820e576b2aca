"""What leaves the store for other tools."""
