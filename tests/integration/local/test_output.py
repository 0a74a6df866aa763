"""What commands print: for people while a run lives, and for machines with stable keys and types."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from installation import Installation, ended, pool


def is_money(text: Any) -> bool:
    """A decimal string, never a float."""
    return isinstance(text, str) and Decimal(text) >= 0


def is_utc(text: Any) -> bool:
    return isinstance(text, str) and datetime.fromisoformat(text).utcoffset() == timedelta(0)


def assert_typed(value: Any, key: str = "") -> None:
    """Everywhere in a document: money is decimal strings and times are UTC, whoever adds a key."""
    if isinstance(value, dict):
        for name, inner in value.items():
            assert_typed(inner, name)
    elif isinstance(value, list):
        for inner in value:
            assert_typed(inner, key)
    elif value is not None and (key.endswith("_usd") or "usd_per_" in key):
        assert isinstance(value, str), key
        Decimal(value)
    elif value is not None and (key.endswith("_at") or key in {"at", "deadline"}):
        assert is_utc(value), f"{key}: {value}"


def test_plain_machine_runs_free_of_charge(here: Installation) -> None:
    """Without a market a job runs on this machine, costs nothing unless the settings say so, and is reported."""
    assert "0.00 USD" in here.cli("submit", here.job(here.train("--epochs 2")), "--watch").out
    (run,) = here.runs()
    assert here.spent(run.id) == 0
    assert here.attempts(run.id)[0].cost_basis.value == "estimated"
    here.cli("report", "--out", here.folder / "reports")
    assert {path.name for path in (here.folder / "reports").iterdir()} == {"report.html", "report.txt", "focus.csv"}
    assert run.id in (here.folder / "reports" / "report.html").read_text()
    here.assert_settled(run.id)


def test_plain_machine_costs_what_the_settings_say(here: Installation) -> None:
    here.settings(local={"price_usd_per_hour": "3600 USD"})
    run_id = here.submit(here.job(here.train("--epochs 2")))
    here.wait_for_end(run_id)
    (attempt,) = here.attempts(run_id)
    assert attempt.ended_at is not None
    seconds = (attempt.ended_at - attempt.launched_at) / timedelta(microseconds=1) / 1e6
    assert float(here.spent(run_id)) == pytest.approx(seconds, abs=1e-6)
    here.assert_settled(run_id)


def test_logs_follow_a_run_through_its_attempts(here: Installation) -> None:
    """logs -f ends with the run and has printed every line of every attempt once."""
    here.market(pool("a", life=1.2), pool("b", spot=0.4))
    run_id = here.submit(here.job(f"echo attempt $SPOTWISE_ATTEMPT starts\n{here.train('--epochs 14')}"))
    said = ended(here.start("logs", "-f", run_id)).out.splitlines()
    assert [line for line in said if line.endswith("starts")] == ["attempt 1 starts", "attempt 2 starts"]
    assert said.count("trained to the end") == 1
    assert [line.split(" on ")[0] for line in said if line.startswith("---")] == ["--- attempt 1", "--- attempt 2"]
    assert here.cli("logs", run_id, "--tail", "1").out.splitlines()[-1] == "trained to the end"


RUN_KEYS = {
    "run": str,
    "job": str,
    "kind": str,
    "owner": str,
    "team": str,
    "project": str,
    "state": str,
    "cancel_requested": bool,
    "reason": str,
    "progress": float,
    "preemptions": int,
    "attempts": list,
    "trials": list,
    "events": list,
}
ATTEMPT_KEYS = {
    "attempt",
    "offer",
    "market",
    "price_usd_per_hour",
    "state",
    "reason",
    "launched_at",
    "started_at",
    "ended_at",
    "end_cause",
    "end_reason",
    "exit_code",
    "cost_basis",
}


def test_json_of_every_command(here: Installation) -> None:
    """plan, prices, status and report print one JSON document each: stable keys, money as strings, times in UTC."""
    here.market(pool("a"), pool("b", spot=0.4))
    keys = {"work": {"epochs": 2, "hours": 1}, "deadline": "10h", "budget": "5 USD", "team": "vision"}
    job = here.job(here.train("--epochs 2"), **keys)

    plan = here.json("plan", job)
    assert plan["admitted"] is True
    assert plan["chosen"] == "aws/a/g4dn.xlarge/spot"
    assert [offer["chosen"] for offer in plan["offers"]].count(True) == 1
    assert all(offer["reason"] for offer in plan["offers"])
    assert all(is_money(offer["expected_cost_usd"]) for offer in plan["offers"])
    assert is_utc(plan["deadline"])

    prices = here.json("prices")["offers"]
    assert [offer["price_usd_per_hour"] for offer in prices] == ["0.2", "0.4", "1.0", "1.0"]
    assert len(here.json("prices", "--sheet")["offers"]) > 20

    run_id = here.submit(job)
    here.wait_for_end(run_id)
    status = here.json("status", run_id)
    assert {key: type(status[key]) for key in RUN_KEYS} == RUN_KEYS
    assert (status["run"], status["state"], status["progress"]) == (run_id, "completed", 1.0)
    assert Decimal(status["spent_usd"]) == here.spent(run_id)
    assert [attempt.keys() for attempt in status["attempts"]] == [ATTEMPT_KEYS]
    assert here.json("status") == {"runs": [status], "unreadable": []}

    report = here.json("report")
    assert report["format"] == 1
    for document in (plan, prices, status, report):
        assert_typed(document)


def test_first_steps_say_what_to_do(here: Installation) -> None:
    """An empty installation answers every question."""
    assert "submit one" in here.cli("status").out
    assert here.json("status") == {"runs": [], "unreadable": []}
    assert "nothing to report" in here.cli("report", "--out", here.folder / "reports").out
    here.json("report")
    assert here.cli("supervise").all == ""
