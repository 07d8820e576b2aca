"""The pages, one file each, and how their parts are drawn."""
