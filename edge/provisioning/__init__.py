"""The gateway's identity: a key made on the device, a certificate from the district's authority, renewed in time."""
