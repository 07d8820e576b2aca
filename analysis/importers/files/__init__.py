"""Prediction files as people have them."""
