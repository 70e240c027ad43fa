"""The command `anju-gateway devices`: which devices are there, and a draft of their configuration."""
