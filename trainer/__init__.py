"""Train the reference network, and record the predictions of any training loop."""
