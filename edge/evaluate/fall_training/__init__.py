"""Training of the fall model: impacts of recordings as a table of figures, poorer sensors imitated, trees fitted."""
