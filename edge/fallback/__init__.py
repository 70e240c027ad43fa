"""Help without the cloud: SMS to the resident's contacts by a modem in the home or by a router's API."""
