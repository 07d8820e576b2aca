"""Callbacks for the training loops that people have: each records what a validation said, and stops no training."""
