"""Plain files with tables of predictions."""
