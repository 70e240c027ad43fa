"""The spool: what the cloud has not acknowledged yet, on flash."""
