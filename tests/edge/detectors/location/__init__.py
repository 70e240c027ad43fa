"""Tests of fences, wandering and the outside door."""
