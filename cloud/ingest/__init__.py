"""Ingest: from the broker to the stores, acknowledged after the write."""
