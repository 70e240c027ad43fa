"""Dispatch: timers, the escalation ladder, picking and assigning responders."""
