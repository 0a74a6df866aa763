from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from spotwise.scheduler.core.clock import ManualClock
from spotwise.scheduler.core.errors import InputError
from spotwise.scheduler.engines import engine_named, engine_names
from spotwise.scheduler.jobfile.settings import LocalSettings, Settings, SkyPilotSettings

DEMO = Path(__file__).parents[4] / "configs" / "markets" / "demo.yaml"


def test_the_local_engine_is_made_with_and_without_a_market(tmp_path: Path) -> None:
    priced = LocalSettings.model_validate({"price_usd_per_hour": 0.07})
    plain = engine_named("local", Settings(tmp_path, local=priced), ManualClock())
    emulated = engine_named("local", Settings(tmp_path, local=LocalSettings(market=DEMO)), ManualClock())
    assert [offer.price_usd_per_hour for offer in plain.offers()] == [Decimal("0.07")]
    assert len(emulated.offers()) >= 10


def test_an_unknown_engine_is_answered_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"choose one of: .*local.*; did you mean local"):
        engine_named("locl", Settings(tmp_path), ManualClock())


def test_every_name_in_the_registry_can_be_made(tmp_path: Path) -> None:
    settings = Settings(tmp_path, skypilot=SkyPilotSettings(storage=str(tmp_path / "storage")))
    assert [engine_named(name, settings, ManualClock()).name for name in engine_names()] == list(engine_names())
