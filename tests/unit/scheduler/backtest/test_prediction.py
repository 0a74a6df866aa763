"""What an episode is predicted to cost before its first tick."""

from __future__ import annotations

import json
from decimal import Decimal

import numpy as np
import pytest

from spotwise.scheduler.backtest.prediction import predict
from spotwise.scheduler.backtest.replay import Episode, Rules
from spotwise.scheduler.backtest.trace import Trace
from spotwise.scheduler.cli import main

TICK = 1 / 6
RULES = Rules(2.0, 3.0, 0.2, TICK)


def trace(there: bool, *, spot: str = "0.9") -> Trace:
    return Trace("z", "made", "z", "gpu", TICK, np.full(60, there), (Decimal(spot),) * 60, Decimal(3))


def test_nothing_of_the_recording_is_looked_at_but_its_prices_then():
    always, never = (predict("deadline", Episode((trace(there),), 0), RULES) for there in (True, False))
    assert always == never
    assert always is not None
    assert always.p10_usd <= always.expected_usd <= always.p90_usd


def test_dearer_spot_capacity_is_predicted_to_cost_more():
    cheap, dear = (predict("deadline", Episode((trace(True, spot=price),), 0), RULES) for price in ("0.9", "1.8"))
    assert cheap is not None
    assert dear is not None
    assert cheap.expected_usd < dear.expected_usd


def test_on_demand_is_predicted_to_the_cent():
    found = predict("on_demand", Episode((trace(True),), 0), RULES)
    assert found is not None
    assert found.p10_usd == found.expected_usd == found.p90_usd == Decimal("7")  # 14 ticks: 2.2 h, whole ticks
    assert found.expected_hours == pytest.approx(14 * TICK)


def test_what_knows_the_future_and_several_recordings_have_no_prediction():
    assert predict("omniscient", Episode((trace(True),), 0), RULES) is None
    assert predict("deadline", Episode((trace(True), trace(False)), 0), RULES) is None


def test_the_command_adds_the_prediction_to_each_episode(tmp_path, capsys):
    recording = {"gap_seconds": 600, "runs": [[1, 60]], "od_price": 3.0}
    (tmp_path / "z.json").write_text(json.dumps(recording), encoding="utf-8")
    terms = ["--work", "2h", "--deadline", "3h", "--restart", "12m", "--json"]
    asked = ["backtest", str(tmp_path / "z.json"), "--policy", "on_demand", "--policy", "omniscient", *terms]
    main.cli.main([*asked, "--predict"], standalone_mode=False)
    mine, best = json.loads(capsys.readouterr().out)
    assert mine["predicted"] == {
        "expected_usd": "7.000000",
        "p10_usd": "7.000000",
        "p90_usd": "7.000000",
        "expected_hours": 2.333333,
    }
    assert best["predicted"] is None
    main.cli.main(asked, standalone_mode=False)
    assert "predicted" not in json.loads(capsys.readouterr().out)[0]
