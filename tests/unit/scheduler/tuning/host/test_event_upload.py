from __future__ import annotations

import uuid

import pytest

from spotwise.scheduler.tuning.host import event_upload
from spotwise.scheduler.tuning.host.event_upload import EventUpload


def test_a_place_that_is_away_for_a_while_gets_the_events_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_upload, "RETRY_S", 0.0)
    said: list[str] = []
    place = EventUpload(f"memory://{uuid.uuid4()}", said.append)
    put, faults = place._storage.put, [OSError("away"), OSError("away")]

    def flaky(name: str, data: bytes) -> None:
        if faults:
            raise faults.pop()
        put(name, data)

    monkeypatch.setattr(place._storage, "put", flaky)
    place("host-1.jsonl", b"line\n")
    assert place._storage.read("study/host-1.jsonl") == b"line\n"
    assert len(said) == 1, "said once, however long it lasts"
