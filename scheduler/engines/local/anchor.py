"""Hour zero of an emulated market in one home: the moment it was first used there, kept for good."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

from spotwise.checkpoints.atomic_file import write_once
from spotwise.checkpoints.strict_json import Fields, UnreadableError

from ...core.errors import EngineError
from .folder import OWNER_ONLY


def market_anchor(home: Path, market_name: str, now: datetime) -> datetime:
    """The market's hour zero; ``now`` if it was never used in this home.

    Raises:
        EngineError: the file that keeps it cannot be understood.
    """
    path = home / "local" / f"market-{market_name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        write_once(path, json.dumps({"market": market_name, "anchor": now.isoformat()}), mode=OWNER_ONLY)
    try:
        return Fields.of(path.read_bytes()).moment("anchor")
    except UnreadableError as error:
        raise EngineError(f"{path}: not a market's anchor ({error}); remove it, and the market starts over") from error
