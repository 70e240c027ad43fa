"""Where the resident is: fences, wandering, leaving the home at night."""
