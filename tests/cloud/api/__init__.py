"""The HTTP API and the pages, without a network."""
