"""The local web page: it parses, calls and shows."""
