"""What can be said of a difference: counts of examples, their intervals and tests."""
