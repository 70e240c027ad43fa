"""Help without the cloud: SMS through a router or provider on the home's own line."""
