"""Tests of the devices command."""
