"""Scoring of the gateway's detectors on recordings: the very objects the gateway runs, fed in time order."""
