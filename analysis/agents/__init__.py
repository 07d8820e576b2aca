"""The server for coding agents, by the Model Context Protocol: it asks what the command line asks, and shows it."""
