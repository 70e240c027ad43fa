"""The uplink: from the spool to the cloud, alarms first, until the cloud says it has stored each message."""
