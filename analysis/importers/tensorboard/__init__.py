"""TensorBoard's event files: scalars as metrics."""
