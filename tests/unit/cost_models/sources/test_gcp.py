from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from google_server import (
    A2_SKUS,
    ACCELERATORS,
    CAPACITY,
    HALF,
    HANGS,
    HISTORY,
    MACHINES,
    SKUS,
    GoogleServer,
    Reply,
    advice,
    answers_all,
    body,
    day,
    error,
    google_server,
    in_turn,
    machine_types,
    no_google_credentials,
    price,
    raw,
    sku,
)

from spotwise.cost_models.offer import Market, Pool
from spotwise.cost_models.sources.base import (
    CapacitySignal,
    HazardKind,
    HazardWitness,
    Machine,
    Quote,
    Reading,
    SourceQuery,
)
from spotwise.cost_models.sources.gcp import GcpSource

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
A2 = Machine("gcp", "a2-highgpu-1g", "A100", 1)
T4 = Machine("gcp", "n1-standard-8", "T4", 1)
POOL = Pool("gcp", "us-central1", "us-central1-a", "a2-highgpu-1g")


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    no_google_credentials(monkeypatch)


def ask(server: GoogleServer, machine: Machine = A2, limit_s: float = 30.0, region: str = "us-central1") -> Reading:
    query = SourceQuery((machine,), {"gcp": (region,)}, size=2, limit_s=limit_s)
    return GcpSource(project="p", endpoint=server.url).read(query, NOW)


@contextmanager
def world(beta: Mapping[str, Reply] | None = None, **but: Reply) -> Iterator[GoogleServer]:
    """A server that answers everything, but for what is given by its constant's name."""
    names = {"CAPACITY": CAPACITY, "HISTORY": HISTORY, "MACHINES": MACHINES, "SKUS": SKUS, "GPUS": ACCELERATORS}
    with google_server({**answers_all(), **{names[name]: reply for name, reply in but.items()}}, beta) as server:
        yield server


def signals(reading: Reading) -> list[CapacitySignal]:
    return [row for row in reading.rows if isinstance(row, CapacitySignal)]


def shares(reading: Reading) -> list[float]:
    return [
        row.value for row in reading.rows if isinstance(row, HazardWitness) and row.kind is HazardKind.PREEMPTED_SHARE
    ]


def uptimes(reading: Reading) -> list[float]:
    return [
        row.value for row in reading.rows if isinstance(row, HazardWitness) and row.kind is HazardKind.ESTIMATED_UPTIME
    ]


def prices(reading: Reading) -> dict[Market, Decimal]:
    return {row.market: row.usd_per_hour for row in reading.rows if isinstance(row, Quote)}


def test_capacity_uptime_preemptions_and_prices_of_a_machine_are_read() -> None:
    with world() as server:
        reading = ask(server)
    assert reading.skipped == ()
    assert reading.source == "Google Cloud (capacity v1, capacityHistory v1, billing catalog)"
    assert {row.pool for row in reading.rows} == {POOL}
    assert [(signal.value, signal.size) for signal in signals(reading)] == [(0.8, 2)]
    assert uptimes(reading) == [1.0]
    assert sorted(shares(reading)) == [0.25, 0.5]
    # On demand 12 x 0.03 + 85 x 0.004 + 2.9; spot is told of the whole machine.
    assert prices(reading) == {Market.ON_DEMAND: Decimal("3.6"), Market.SPOT: Decimal("1.7")}


def test_the_questions_are_of_spot_machines_in_one_zone() -> None:
    with world() as server:
        ask(server)
    capacity = next(asked for path, asked in server.asked if path.endswith(CAPACITY))
    history = next(asked for path, asked in server.asked if path.endswith(HISTORY))
    assert capacity["size"] == 2
    assert capacity["distributionPolicy"] == {
        "targetShape": "ANY_SINGLE_ZONE",
        "zones": [{"zone": "zones/us-central1-a"}],
    }
    assert capacity["instanceProperties"] == {"scheduling": {"provisioningModel": "SPOT"}}
    assert history["locationPolicy"] == {"location": "zones/us-central1-a"}
    assert history["types"] == ["PREEMPTION", "PRICE"]


def test_beta_answers_where_v1_refuses_spot_and_that_is_said() -> None:
    refuses = error(400, "SPOT is not supported")
    beta = {CAPACITY: body(advice(obtainability=0.5)), HISTORY: answers_all()[HISTORY]}
    with world(beta, CAPACITY=refuses, HISTORY=refuses) as server:
        reading = ask(server)
    assert reading.source == "Google Cloud (capacity beta, capacityHistory beta, billing catalog)"
    assert [signal.value for signal in signals(reading)] == [0.5]
    assert sorted(shares(reading)) == [0.25, 0.5]
    assert reading.skipped == ()


def test_a_day_without_a_rate_is_no_day_without_preemptions() -> None:
    history = {"preemptionHistory": [day(26, None), day(27, 0.0)], "priceHistory": []}
    with world(HISTORY=body(history)) as server:
        reading = ask(server)
    assert shares(reading) == [0.0]


def test_a_day_that_is_not_over_is_left_out() -> None:
    history = {
        "preemptionHistory": [day(28, 0.4), {"interval": {"startTime": "2026-11-30T08:00:00Z"}, "preemptionRate": 0.1}]
    }
    with world(HISTORY=body(history)) as server:
        assert shares(ask(server)) == [0.4]


@pytest.mark.parametrize("rate", [-0.1, 1.5, "NaN", "Infinity"])
def test_a_share_outside_0_and_1_is_none(rate: float | str) -> None:
    with world(HISTORY=body({"preemptionHistory": [day(28, rate)]})) as server:
        reading = ask(server)
    assert shares(reading) == []
    assert any("preemptions" in reason for reason in reading.skipped)


def test_absent_scores_are_neither_zero_nor_an_empty_life() -> None:
    with world(CAPACITY=body(advice(obtainability=None, uptime=""))) as server:
        reading = ask(server)
    assert signals(reading) == []
    assert uptimes(reading) == []
    assert reading.skipped == ("capacity of a2-highgpu-1g in us-central1-a: the answer holds no number",)


def test_an_uptime_is_the_step_that_was_said() -> None:
    with world(CAPACITY=body(advice(uptime="600s"))) as server:
        assert uptimes(ask(server)) == [pytest.approx(1 / 6)]


@pytest.mark.parametrize("uptime", ["0s", "-5s", "nans", "1e400s", "long", "3600"])
def test_an_uptime_that_is_no_duration_is_none(uptime: str) -> None:
    with world(CAPACITY=body(advice(uptime=uptime))) as server:
        assert uptimes(ask(server)) == []


def test_the_spot_price_in_force_is_the_last_that_has_begun() -> None:
    records = [
        price("2026-12-01T07:00:00Z", 9, 0),
        price("2026-11-01T07:00:00Z", 2, 0),
        price("2026-11-20T07:00:00Z", 0, 910_000_000),
    ]
    with world(HISTORY=body({"priceHistory": records})) as server:
        (quote,) = (row for row in ask(server).rows if isinstance(row, Quote) and row.market is Market.SPOT)
    assert quote.usd_per_hour == Decimal("0.91")
    assert quote.at == datetime(2026, 11, 20, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    "record",
    [
        price("2026-11-20T07:00:00Z", 0, 0),
        price("2026-11-20T07:00:00Z", -1, 0),
        price("2026-11-20T07:00:00Z", 1, 0, "EUR"),
        {"interval": {"startTime": "2026-11-20T07:00:00Z"}},
        price("", 1, 0),
    ],
    ids=["zero", "negative", "another currency", "absent", "no time"],
)
def test_a_price_that_is_none_leaves_the_sum_of_the_parts(record: dict[str, object]) -> None:
    with world(HISTORY=body({"priceHistory": [record]})) as server:
        assert prices(ask(server))[Market.SPOT] == Decimal("1.705")  # 12 x 0.01 + 85 x 0.001 + 1.5


def test_two_spot_prices_that_differ_by_more_than_twice_are_told() -> None:
    with world(HISTORY=body({"priceHistory": [price("2026-11-20T07:00:00Z", 17, 0)]})) as server:
        reading = ask(server)
    assert prices(reading)[Market.SPOT] == 17
    assert [reason for reason in reading.skipped if "spot price" in reason]


@pytest.mark.parametrize("missing", range(3), ids=["core", "memory", "gpu"])
def test_a_machine_without_a_price_of_one_part_has_no_price(missing: int) -> None:
    with world(SKUS=body({"skus": [*A2_SKUS[:missing], *A2_SKUS[missing + 1 :]]})) as server:
        reading = ask(server)
    assert Market.ON_DEMAND not in prices(reading)
    assert any(reason.startswith("on_demand price of a2-highgpu-1g in us-central1") for reason in reading.skipped)


@pytest.mark.parametrize(
    "other",
    [
        sku("A2 Instance Core running in Americas", 0.5),
        sku("Nvidia Tesla A100 GPU running in Americas", 0.1),
    ],
)
def test_a_part_with_two_prices_has_none(other: dict[str, object]) -> None:
    with world(SKUS=body({"skus": [*A2_SKUS, other]})) as server:
        assert Market.ON_DEMAND not in prices(ask(server))


@pytest.mark.parametrize(
    "other",
    [
        sku("Commitment v1: A2 Instance Core in Americas", 0.001, "Commit1Yr"),
        sku("Reserved A2 Instance Core in Americas", 0.001),
        sku("A2 Instance Core Sole Tenancy running in Americas", 0.001),
        sku("Nvidia Tesla A100 80GB GPU running in Americas", 0.001),
        sku("A2 Instance Core running in Americas", 0.001, regions=("europe-west4",)),
        sku("A2 Instance Core running in Americas", 0.001, unit="mo"),
        sku("A2 Instance Core DWS Defined Duration running in Americas", 0.001),
        sku("Nvidia Tesla A100 GPU attached to Spot Preemptible VMs running in Americas", 1.5),
    ],
    ids=lambda other: other["description"],
)
def test_articles_that_only_sound_alike_change_no_price(other: dict[str, object]) -> None:
    with world(SKUS=body({"skus": [*A2_SKUS, other]})) as server:
        assert prices(ask(server))[Market.ON_DEMAND] == Decimal("3.6")


def test_pages_of_the_catalog_are_joined_and_a_page_that_fails_leaves_the_others() -> None:
    first = body({"skus": A2_SKUS[:3], "nextPageToken": "t"})
    with world(SKUS=in_turn(first, body({"skus": A2_SKUS[3:]}))) as server:
        assert ask(server).skipped == ()
    with world(SKUS=in_turn(first, error(500))) as server:
        reading = ask(server)
    assert prices(reading)[Market.ON_DEMAND] == Decimal("3.6")
    assert any(
        reason.startswith("spot price of a2-highgpu-1g in us-central1: the catalog") for reason in reading.skipped
    )


def test_a_catalog_that_goes_in_circles_ends() -> None:
    with world(SKUS=body({"skus": A2_SKUS, "nextPageToken": "again"})) as server:
        assert prices(ask(server))[Market.ON_DEMAND] == Decimal("3.6")
    assert len(server.paths(SKUS)) == 2


@pytest.mark.parametrize("status", [429, 503])
def test_a_service_that_was_busy_once_is_asked_again(status: int) -> None:
    with world(CAPACITY=in_turn(error(status), body(advice()))) as server:
        reading = ask(server)
    assert [signal.value for signal in signals(reading)] == [0.8]
    assert reading.skipped == ()


def test_without_permission_the_question_ends_and_the_others_answer() -> None:
    several = machine_types("a2-highgpu-1g", 12, 85 * 1024, *(f"us-central1-{letter}" for letter in "abcdefghijklmnop"))
    with world(CAPACITY=error(403), MACHINES=body(several)) as server:
        reading = ask(server)
    assert len(server.paths(CAPACITY)) <= 8  # those under way at once
    (reason,) = reading.skipped  # said once, however many zones it keeps us from
    assert "capacity" in reason
    assert "no permission" in reason
    assert len(prices(reading)) == 2


@pytest.mark.parametrize(
    "reply",
    [
        error(404),
        error(500),
        raw(""),
        raw("null"),
        raw("[]"),
        raw('{"recommendations": 7}'),
        raw("<html>sign in</html>"),
        raw('{"error": "text"}', 502),
        body({"error": {"code": 403, "message": "denied"}}),
        lambda _: (HALF, b'{"recommendations": [{"scores": {"obtainability": 0.9}}]}'),
        lambda _: (200, b"\xff\xfe"),
    ],
    ids=[
        "404",
        "500",
        "empty",
        "null",
        "list",
        "shape",
        "html",
        "error of another shape",
        "error with 200",
        "half",
        "bytes",
    ],
)
def test_an_answer_that_is_none_is_a_reason_and_the_others_answer(reply: Reply) -> None:
    with world(CAPACITY=reply) as server:
        reading = ask(server)
    assert signals(reading) == []
    assert len(shares(reading)) == 2
    assert len(prices(reading)) == 2
    (reason,) = reading.skipped
    assert reason.startswith("capacity of a2-highgpu-1g in us-central1-a: ")


def test_a_service_that_hangs_costs_no_more_than_the_limit_and_the_others_answer() -> None:
    with world() as server:
        ask(server)  # the clients are loaded
    readings: list[Reading] = []
    with world(CAPACITY=lambda _: (HANGS, b"")) as server:
        reader = threading.Thread(target=lambda: readings.append(ask(server, limit_s=2.0)), daemon=True)
        reader.start()
        reader.join(timeout=9)  # the client itself would wait for longer
        (reading,) = readings
    assert signals(reading) == []
    assert prices(reading)
    assert any(reason.startswith("capacity of a2-highgpu-1g") for reason in reading.skipped)


def test_a_machine_type_without_history_has_a_reason() -> None:
    with world(HISTORY=body({})) as server:
        reading = ask(server)
    (reason,) = reading.skipped
    assert reason == "preemptions and spot prices of a2-highgpu-1g in us-central1-a: the answer holds no number"


def test_n1_with_gpus_has_prices_of_its_own_pool_and_no_history() -> None:
    parts = [
        sku("N1 Predefined Instance Core running in Americas", 0.03),
        sku("N1 Predefined Instance Ram running in Americas", 0.004, unit="GiBy.h"),
        sku("Nvidia Tesla T4 GPU running in Americas", 0.35),
    ]
    gpus = {"items": {"zones/us-central1-b": {"acceleratorTypes": [{"name": "nvidia-tesla-t4"}]}}}
    kinds = machine_types("n1-standard-8", 8, 30 * 1024, "us-central1-a", "us-central1-b")
    with world(SKUS=body({"skus": parts}), GPUS=body(gpus), MACHINES=body(kinds), CAPACITY=error(400)) as server:
        reading = ask(server, T4)
    assert server.paths(HISTORY) == []
    (quote,) = reading.rows
    assert quote.pool == Pool("gcp", "us-central1", "us-central1-b", "n1-standard-8", "T4:1")
    assert quote.usd_per_hour == Decimal("0.71")
    assert any(reason.startswith("preemptions of n1-standard-8 with T4:1") for reason in reading.skipped)
    assert any(reason.startswith("capacity of n1-standard-8 with T4:1") for reason in reading.skipped)


def test_where_machine_types_are_not_told_the_shipped_sheets_zones_and_sizes_are_used() -> None:
    with world(MACHINES=error(404)) as server:
        reading = ask(server)
    assert {row.pool.zone for row in reading.rows} >= {"us-central1-a", "us-central1-b"}
    assert prices(reading)[Market.ON_DEMAND] == Decimal("3.6")
    assert any(reason.startswith("zones and sizes of machines: ") for reason in reading.skipped)


def test_an_unknown_region_is_a_reason() -> None:
    with world() as server:
        reading = ask(server, region="mars-north1")
    assert reading.rows == ()
    assert any("in mars-north1: " in reason for reason in reading.skipped)


def test_a_region_or_type_that_is_no_name_is_not_sent() -> None:
    with world() as server:
        assert ask(server, region="../x").rows == ()
        assert ask(server, Machine("gcp", 'a" OR "b')).rows == ()
    assert server.asked == []


def test_without_credentials_and_endpoint_the_source_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spotwise.cost_models.sources.gcp_connection._PRODUCT_NAME", Path("/nowhere"))
    reading = GcpSource().read(SourceQuery((A2,)), NOW)
    assert reading.rows == ()
    (reason,) = reading.skipped
    assert "gcloud auth application-default login" in reason


def test_a_file_of_credentials_that_cannot_be_read_is_a_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "broken.json"))
    (reason,) = GcpSource().read(SourceQuery((A2,)), NOW).skipped
    assert "the credentials for Google cannot be used" in reason


def test_without_a_project_prices_are_read_all_the_same() -> None:
    with world() as server:
        query = SourceQuery((A2,), {"gcp": ("us-central1",)}, limit_s=30)
        reading = GcpSource(endpoint=server.url).read(query, NOW)
    assert len(prices(reading)) == 2
    assert any("sources.gcp.project" in reason for reason in reading.skipped)
