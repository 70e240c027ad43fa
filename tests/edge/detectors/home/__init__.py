"""Tests of heat, cold, the stove and radars."""
