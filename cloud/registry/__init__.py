"""Who and what is looked after: homes, residents, gateways, contacts, responders, users."""
