"""One suite, every back end."""
