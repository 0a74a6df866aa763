"""Telling people what happened to runs: derived from the history, kept in an outbox, delivered at least once."""
