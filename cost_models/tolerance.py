"""How far two sums of the same parts may differ, because floating-point numbers are rounded."""

from __future__ import annotations

ROUNDING_ERROR = 1e-9  # hours, ticks or shares; far below anything that a clock or a price can tell apart
