"""Incidents: alarm intake, the transition table, the event log and its feed."""
