"""Sources: one adapter per sensor dialect, bytes of the home broker in, readings and signal frames out."""
