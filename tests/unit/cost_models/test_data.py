"""The shipped tables, tested like code: a wrong row costs somebody money."""

from __future__ import annotations

import re
from collections import Counter
from decimal import Decimal
from importlib import resources

import pytest

from spotwise.cost_models.sources.interruptions import interruption_bands
from spotwise.cost_models.sources.sheet import load_sheet
from spotwise.cost_models.sources.shipped import READ_ON, read_table

CLOUDS = {"aws", "azure", "gcp", "lambda", "nebius", "runpod"}
PRICE_COLUMNS = [
    "cloud",
    "region",
    "zone",
    "instance_type",
    "accelerator",
    "accelerator_count",
    "vcpus",
    "memory_gib",
    "on_demand_usd_per_hour",
    "spot_usd_per_hour",
    "catalog",
    "left_out",
]
REGION_SHAPES = {
    "aws": r"[a-z]{2}-[a-z]+-\d",
    "gcp": r"[a-z]+-[a-z]+\d",
    "azure": r"[a-z]+\d?",
    "lambda": r"[a-z]+-[a-z]+-\d",
    "nebius": r"[a-z]{2}-[a-z]+\d",
    "runpod": r"[A-Z]{2}",
}


def prices() -> list[dict[str, str]]:
    return read_table("prices")


def chosen() -> list[dict[str, str]]:
    return [row for row in prices() if not row["left_out"]]


def test_every_table_is_dated_and_explained() -> None:
    folder = resources.files("spotwise.cost_models") / "data"
    readme = (folder / "README.md").read_text(encoding="utf-8")
    for file in folder.iterdir():
        if file.name.endswith(".csv"):
            assert file.name.endswith(f"-{READ_ON.isoformat()}.csv")
            assert file.name in readme


def test_the_price_sheet_has_the_published_columns() -> None:
    assert list(prices()[0]) == PRICE_COLUMNS


def test_every_cloud_is_present_and_named_with_its_catalog() -> None:
    assert {row["cloud"] for row in chosen()} == CLOUDS
    assert all(re.fullmatch(rf"{row['cloud']}@[0-9a-f]{{7}}", row["catalog"]) for row in prices())


def test_regions_look_like_their_clouds_regions_and_zones_lie_in_them() -> None:
    for row in prices():
        assert re.fullmatch(REGION_SHAPES[row["cloud"]], row["region"]), row
        if row["cloud"] == "gcp":
            assert row["zone"].startswith(f"{row['region']}-"), row


def test_aws_regions_are_those_of_the_interruption_bands() -> None:
    assert {row["region"] for row in prices() if row["cloud"] == "aws"} <= {
        region for region, _ in interruption_bands()
    }


def test_prices_are_positive_and_below_a_thousand_dollars() -> None:
    for row in prices():
        assert Decimal(0) < Decimal(row["on_demand_usd_per_hour"]) < 1000, row
        assert not row["spot_usd_per_hour"] or Decimal(0) < Decimal(row["spot_usd_per_hour"]) < 1000, row


def test_spot_is_cheaper_than_on_demand_in_every_row_that_can_be_chosen() -> None:
    for row in chosen():
        if row["spot_usd_per_hour"]:
            assert Decimal(row["spot_usd_per_hour"]) < Decimal(row["on_demand_usd_per_hour"]), row


def test_a_machine_with_more_of_the_same_gpu_costs_more() -> None:
    """Within an AWS family and zone; catches shifted columns and decimals."""
    for small, large in (("g4dn.xlarge", "g4dn.12xlarge"), ("p3.2xlarge", "p3.16xlarge"), ("g5.xlarge", "g5.48xlarge")):
        by_zone = {(r["zone"], r["instance_type"]): Decimal(r["on_demand_usd_per_hour"]) for r in chosen()}
        pairs = [(zone, price) for (zone, kind), price in by_zone.items() if kind == small and (zone, large) in by_zone]
        assert pairs
        assert all(by_zone[zone, large] > 2 * price for zone, price in pairs)


def test_no_machine_is_listed_twice() -> None:
    keys = Counter((*(row[column] for column in PRICE_COLUMNS[:6]),) for row in prices())
    assert [key for key, count in keys.items() if count > 1] == []


def test_accelerators_come_with_a_number_and_machines_with_a_size() -> None:
    for row in chosen():
        assert bool(row["accelerator"]) == bool(row["accelerator_count"]), row
        assert int(row["accelerator_count"] or 1) in (1, 2, 3, 4, 5, 6, 7, 8), row
        assert float(row["vcpus"]) > 0, row
        assert float(row["memory_gib"]) > 0, row


@pytest.mark.parametrize(
    ("why", "rows"),
    [("local zone", 13), ("commitment-like", 30), ("spot==on-demand", 18), ("at 10% of", 4), ("accelerator count", 2)],
)
def test_doubtful_rows_are_kept_with_their_reason(why: str, rows: int) -> None:
    assert sum(why in row["left_out"] for row in prices()) == rows


def test_no_doubtful_row_becomes_an_offer() -> None:
    def key(row: dict[str, str]) -> tuple[str, ...]:
        return (row["cloud"], row["zone"] or row["region"], row["instance_type"])

    offered = {(o.pool.cloud, o.pool.zone or o.pool.region, o.pool.instance_type) for o in load_sheet()}
    assert not offered & {key(row) for row in prices() if row["left_out"]}
    assert offered == {key(row) for row in chosen()}


def test_bands_are_awss_five_and_each_pool_has_one() -> None:
    rows = read_table("interruption-bands")
    limits = {(row["low_percent"], row["high_percent"]) for row in rows}
    assert limits == {("0", "5"), ("5", "10"), ("10", "15"), ("15", "20"), ("20", "100")}
    assert len(interruption_bands()) == len(rows)


def test_newer_gpus_of_one_maker_are_faster_on_every_workload() -> None:
    speed = {(r["board"], r["workload"] + r["series"]): float(r["speed"]) for r in read_table("measured-speed")}
    for slower, faster in (
        ("T4", "V100"),
        ("K80", "P100"),
        ("V100", "A100"),
        ("A100", "H100-SXM"),
        ("H100-SXM", "B200"),
    ):
        shared = [job for name, job in speed if name == slower and (faster, job) in speed]
        assert shared
        assert all(speed[faster, job] > speed[slower, job] for job in shared)


def test_every_measured_board_has_published_figures() -> None:
    boards = {row["board"] for row in read_table("gpu-boards")}
    assert {row["board"] for row in read_table("measured-speed")} <= boards


def test_several_gpus_are_faster_than_one_and_hardly_beyond_linear() -> None:
    for row in read_table("gpu-scaling"):
        assert 1.0 < float(row["speed_vs_one"]) <= 1.05 * int(row["gpus"]), row
