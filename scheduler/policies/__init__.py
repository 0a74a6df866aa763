"""Policies decide where a run goes next; ``base`` is the contract."""
