"""A whole district over few connections: the real protocol with windows, re-sending and exact accounts, cheaply."""
