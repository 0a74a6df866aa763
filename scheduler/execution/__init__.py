"""Submitting and supervising: the one place that observes, decides, acts and records."""
