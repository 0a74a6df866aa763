"""Faults of prices, hazards and estimates. The message says what, where, and what to do."""


class CostModelError(Exception):
    """A number cannot be derived from what is known."""


class PriceDataError(CostModelError):
    """A price sheet or hazard table is unreadable or contradicts itself."""
