"""What commands say of runs that nobody supervises."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rich.console import Console
from rich.text import Text

from ..execution.supervision import supervision_line, unsupervised_since
from ..store import Store

__all__ = ["print_supervision", "unsupervised_since", "with_supervision"]


def print_supervision(store: Store, now: datetime, console: Console, run_id: str | None = None) -> None:
    """A line where runs, or this one, have no supervisor."""
    found = unsupervised_since(store, now)
    line = supervision_line({each: since for each, since in found.items() if run_id in (None, each)})
    if line is not None:
        console.print(Text(line, style="yellow"), soft_wrap=True)


def with_supervision(shown: dict[str, Any], since: dict[str, datetime]) -> dict[str, Any]:
    """A run's JSON, with the moment since which nobody supervises it; null where somebody does, or it has ended."""
    moment = since.get(shown["run"])
    return {**shown, "unsupervised_since": None if moment is None else moment.isoformat()}
