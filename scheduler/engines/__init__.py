"""Engines carry decisions out; ``base`` is the contract."""
