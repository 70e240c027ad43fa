"""Dangers of the home itself: heat, cold, the stove; and what a radar sees."""
