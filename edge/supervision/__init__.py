"""Supervision: what is wrong with the devices and with the gateway itself, as technical alarms."""
