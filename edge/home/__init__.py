"""The home broker: listens to the sensors, speaks through the speakers."""
