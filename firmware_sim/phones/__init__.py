"""A simulated phone network: takes the SMS webhook, shows each phone, lets people answer."""
