"""Simulated firmware: people, sensors, homes, phones, and the demo that runs them all."""
