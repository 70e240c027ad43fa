"""Supervision: silence and broken promises become technical incidents."""
