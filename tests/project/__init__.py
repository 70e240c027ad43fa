"""The project itself: wheels, examples, documents."""
