"""W&B's server, asked through the real SDK in a process of its own."""
