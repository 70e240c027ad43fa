"""The gateway in the home: sensors in, alarms decided on the spot, everything kept until the cloud has it."""
