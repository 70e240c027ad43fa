"""The cloud's own parts."""
