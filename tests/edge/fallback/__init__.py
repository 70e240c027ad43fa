"""Help without the cloud."""
