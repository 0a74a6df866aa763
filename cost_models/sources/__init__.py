"""Where prices and hazards come from: one file a source, the only input and output of the cost models."""

from __future__ import annotations

SOURCE_NAMES = ("aws", "gcp", "sheet", "skypilot", "prices")  # all that can be asked for prices
