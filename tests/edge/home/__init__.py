"""Tests of the home link."""
