"""The tutorial's network, its data and its training."""
