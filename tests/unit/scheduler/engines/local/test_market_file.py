from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from spotwise.scheduler.core.errors import InputError, JobFileError
from spotwise.scheduler.engines.local.market_file import load_market

DEMO = Path(__file__).parents[5] / "configs" / "markets" / "demo.yaml"
POOL = """
  - {cloud: aws, region: r, zone: z, instance_type: g4, accelerators: "T4:2", vcpus: 4, memory_gib: 16,
     spot_usd_per_hour: 0.2039, on_demand_usd_per_hour: 0.5, published_hazard_per_hour: 0.3,
     lifetime: {shape: 2.5, scale_hours: 3}}
"""
VALID = f"name: tiny\nseed: 1\nhour_s: 4\ngrace_s: 1.5\nprovision_hours: 0.1\npools:{POOL}"


def load(tmp_path: Path, text: str) -> object:
    path = tmp_path / "market.yaml"
    path.write_text(text)
    return load_market(path)


def test_every_key_reaches_the_market(tmp_path: Path) -> None:
    path = tmp_path / "market.yaml"
    path.write_text(VALID)
    market = load_market(path)
    (entry,) = market.pools
    assert (market.name, market.seed, market.hour_s, market.grace_s) == ("tiny", 1, Decimal(4), 1.5)
    assert (entry.accelerator, entry.accelerator_count, entry.spot_usd_per_hour) == ("T4", 2, Decimal("0.2039"))
    assert (entry.provision_hours, entry.outage) == (0.1, None)


@pytest.mark.parametrize(
    ("right", "wrong", "words"),
    [
        ("shape: 2.5", "shape: steep", [":9: pools[0].lifetime.shape", "steep", "a number"]),
        ("hour_s: 4", "hour_s: 0", [":3: hour_s", "more than 0"]),
        ("hour_s: 4", "hours_s: 4", ["hours_s: unknown key", "did you mean hour_s"]),
        ("vcpus: 4", "vcpu: 4", ["pools[0].vcpu: unknown key", "did you mean vcpus"]),
        ("0.2039", "-1", ["pools[0].spot_usd_per_hour", "more than 0"]),
        ("0.2039", ".nan", ["pools[0].spot_usd_per_hour"]),
        ("T4:2", "T4", ["pools[0].accelerators", "such as T4:1"]),
        ("name: tiny", "name: ../tiny", ["name", "letters"]),
        ("grace_s: 1.5", "grace_s:", ["grace_s", "found nothing"]),
        (f"pools:{POOL}", "pools: []", ["pools", "one pool or more"]),
        (POOL, POOL + POOL, ["pools[1]", "again"]),
        ("name: tiny", "name: {", ["not YAML"]),
    ],
)
def test_a_fault_names_file_key_and_what_is_allowed(tmp_path: Path, right: str, wrong: str, words: list[str]) -> None:
    assert right in VALID
    with pytest.raises(InputError) as raised:
        load(tmp_path, VALID.replace(right, wrong))
    assert all(word in str(raised.value) for word in ["market.yaml:", *words]), str(raised.value)


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(JobFileError) as raised:
        load(tmp_path, VALID.replace("seed: 1", "seed: x").replace("vcpus: 4", "vcpus: 0"))
    assert len(raised.value.faults) == 2


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml"):
        load_market(tmp_path / "none.yaml")


def test_the_demo_market_takes_machines_often_enough_to_be_seen() -> None:
    """Held in any one pool, a job named as the demo's are loses three machines within two minutes."""
    market = load_market(DEMO)
    assert len({entry.pool.cloud for entry in market.pools}) >= 2
    assert len(market.pools) >= 5
    for entry in market.pools:
        for job in ("digits", "digits-sweep", "digits-large-batch"):
            lives = [market.lifetime_hours(entry.pool, f"{job}-a{n}") + entry.provision_hours for n in (1, 2, 3)]
            assert sum(lives) * float(market.hour_s) + 3 * market.grace_s < 130
            assert min(lives) * float(market.hour_s) > market.grace_s


def test_the_demo_markets_advisor_is_wrong_but_not_absurd() -> None:
    for entry in load_market(DEMO).pools:
        truth = 1 / entry.lifetime.mean_hours
        assert entry.published_hazard_per_hour != pytest.approx(truth, rel=0.02)
        assert 0.5 < entry.published_hazard_per_hour / truth < 2


def test_the_demo_markets_prices_are_those_of_a_spot_market() -> None:
    assert all(entry.spot_usd_per_hour < entry.on_demand_usd_per_hour for entry in load_market(DEMO).pools)
