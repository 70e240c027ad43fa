"""What gateway and cloud say to each other: messages, topics, units, delivery; no I/O in here."""
