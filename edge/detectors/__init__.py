"""Detectors: pure, values in, detections with reasons and evidence out."""
