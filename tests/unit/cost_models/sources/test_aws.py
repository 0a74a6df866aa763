"""What AWS' answers become: asked of a server on this machine that speaks its protocols."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from aws_server import TODAY, AwsServer, metric, product, spot_record
from source_faults import Fault

from spotwise.cost_models.offer import Market, Pool
from spotwise.cost_models.sources.aws import AwsSource
from spotwise.cost_models.sources.aws_clients import boto3_clients
from spotwise.cost_models.sources.base import (
    CapacityKind,
    CapacitySignal,
    HazardKind,
    HazardWitness,
    Machine,
    Quote,
    Reading,
    SourceQuery,
)

from .conftest import G5, AskAws

P4D = Machine("aws", "p4d.24xlarge", "A100", 8)
AZ1 = Pool("aws", "us-east-1", "use1-az1", "g5.xlarge")


def spot_quotes(reading: Reading) -> dict[str, Decimal]:
    return {
        row.pool.zone: row.usd_per_hour for row in reading.rows if isinstance(row, Quote) and row.market is Market.SPOT
    }


def on_demand(reading: Reading) -> list[Quote]:
    return [row for row in reading.rows if isinstance(row, Quote) and row.market is Market.ON_DEMAND]


def test_prices_scores_and_own_interruptions_are_read_at_once_with_their_own_times(ask_aws: AskAws) -> None:
    reading = ask_aws()
    assert reading.skipped == ()
    assert set(reading.rows) == {
        Quote(AZ1, Market.SPOT, Decimal("0.5000"), datetime(2026, 11, 30, 11, tzinfo=UTC)),
        Quote(
            Pool("aws", "us-east-1", "", "g5.xlarge"),
            Market.ON_DEMAND,
            Decimal("1.0060000000"),
            datetime(2026, 11, 1, tzinfo=UTC),
        ),
        CapacitySignal(AZ1, CapacityKind.PLACEMENT_SCORE, 7.0, 1, TODAY),
        HazardWitness(
            AZ1,
            HazardKind.OWN_INTERRUPTIONS,
            2.0,
            datetime(2026, 11, 29, tzinfo=UTC),
            datetime(2026, 11, 30, tzinfo=UTC),
            48.0,
        ),
    }


def test_the_price_in_force_is_the_last_change_at_or_before_now_over_all_pages(aws: AwsServer, ask_aws: AskAws) -> None:
    aws.spot_pages = [
        [],
        [
            spot_record(price="0.7", timestamp="2026-11-30T12:00:00Z"),
            spot_record(price="0.9", timestamp="2026-11-30T12:30:00Z"),
        ],
        [
            spot_record(price="0.6", timestamp="2026-11-30T09:00:00Z"),
            spot_record(zone="use1-az2", price="0.4", timestamp="2026-09-01T00:00:00Z"),
        ],
    ]
    reading = ask_aws()
    assert spot_quotes(reading) == {"use1-az1": Decimal("0.7"), "use1-az2": Decimal("0.4")}
    assert [text for text in reading.skipped if text.startswith("spot prices in us-east-1: 1 prices begin after")]
    first = aws.asked["DescribeSpotPriceHistory"][0]
    assert (first["StartTime"], first["EndTime"]) == ("2026-11-30T12:00:00Z", "2026-11-30T12:00:00Z")


def test_a_zone_without_an_id_gets_it_from_the_account_and_without_one_its_price_is_left_out(
    aws: AwsServer, ask_aws: AskAws
) -> None:
    aws.spot_pages = [[spot_record(zone=None), spot_record(zone=None, availabilityZone="us-east-1f")]]
    reading = ask_aws()
    assert spot_quotes(reading) == {"use1-az1": Decimal("0.5000")}
    assert reading.skipped == ("spot prices in us-east-1: 1 records left out: no zone id",)
    assert len(aws.asked["DescribeAvailabilityZones"]) == 1


def test_records_of_other_machines_systems_and_regions_are_no_prices_of_what_was_asked(
    aws: AwsServer, ask_aws: AskAws
) -> None:
    aws.spot_pages = [
        [
            spot_record(instance_type="g5.2xlarge"),
            spot_record(productDescription="Windows"),
            spot_record(availabilityZone="eu-west-1a", zone="euw1-az1"),
        ]
    ]
    aws.products = [
        [
            product(attributes={"instanceType": "g5.2xlarge"}),
            product(attributes={"operatingSystem": "Windows"}),
            product(attributes={"locationType": "AWS Local Zone"}),
            product(attributes={"tenancy": "Dedicated"}),
            product(region="eu-west-1"),
            product(unit="Quantity"),
        ]
    ]
    reading = ask_aws()
    assert [row for row in reading.rows if isinstance(row, Quote)] == []
    assert reading.skipped == ("spot prices in us-east-1: 1 records left out: eu-west-1a is not in us-east-1",)


def test_an_on_demand_price_of_another_currency_or_of_the_future_is_none(aws: AwsServer, ask_aws: AskAws) -> None:
    aws.products = [
        [product("9.99", currency="CNY"), product("3.00", effective="2027-01-01T00:00:00Z")],
        [product("1.5"), product("2.5", effective="2026-11-15T00:00:00Z"), "{", "[]", '{"product": 3}'],
    ]
    reading = ask_aws()
    assert [(row.usd_per_hour, row.pool.zone) for row in on_demand(reading)] == [(Decimal("2.5"), "")]
    assert reading.skipped == (
        "on-demand prices of g5.xlarge: 1 prices left out: in CNY, not in USD",
        "on-demand prices of g5.xlarge: 3 prices left out: unreadable",
    )


def test_every_region_is_asked_and_one_request_a_machine_has_the_on_demand_prices_of_all(
    aws: AwsServer, ask_aws: AskAws
) -> None:
    aws.products = [[product("1.0"), product("1.2", region="us-west-2")]]
    reading = ask_aws(regions=("us-east-1", "us-west-2"))
    assert {row.pool.region: row.usd_per_hour for row in on_demand(reading)} == {
        "us-east-1": Decimal("1.0"),
        "us-west-2": Decimal("1.2"),
    }
    assert len(aws.asked["DescribeSpotPriceHistory"]) == 4  # two pages each
    assert len(aws.asked["GetProducts"]) == 1


def test_scores_are_asked_for_three_types_of_one_gpu_in_one_request(aws: AwsServer, ask_aws: AskAws) -> None:
    big = Machine("aws", "g5.12xlarge", "A10G", 4)
    reading = ask_aws(G5, big, size=4)
    (asked,) = aws.asked["GetSpotPlacementScores"]
    types = {value for name, value in asked.items() if name.startswith("InstanceType.")}
    assert types == {"g5.xlarge", "g5.12xlarge", "g5.2xlarge"}
    assert (asked["TargetCapacity"], asked["SingleAvailabilityZone"]) == ("4", "true")
    signals = {(row.pool.instance_type, row.value, row.size) for row in reading.rows if isinstance(row, CapacitySignal)}
    assert signals == {("g5.xlarge", 7.0, 4), ("g5.12xlarge", 7.0, 4)}


def test_a_gpu_of_fewer_than_three_types_has_no_score_since_it_would_be_low_everywhere(
    aws: AwsServer, ask_aws: AskAws
) -> None:
    reading = ask_aws(P4D)
    assert (
        "placement scores of A100: not asked, since AWS scores fewer than 3 instance types low everywhere"
        in reading.skipped
    )
    assert not aws.asked["GetSpotPlacementScores"]


def test_an_account_s_quota_of_scores_is_spared(aws: AwsServer, ask_aws: AskAws) -> None:
    gpus = [
        Machine("aws", name, gpu, 1)
        for gpu, name in (("A10G", "g5.xlarge"), ("L4", "g6.xlarge"), ("T4", "g4dn.xlarge"))
    ]
    many = tuple(f"us-east-{number}" for number in range(1, 22))
    reading = ask_aws(*gpus, regions=many)
    assert len(aws.asked["GetSpotPlacementScores"]) == 5
    assert [text for text in reading.skipped if "placement scores of T4: not asked: 5 requests a reading" in text]


def test_own_interruptions_are_counted_over_own_hours_of_days_that_have_both(aws: AwsServer, ask_aws: AskAws) -> None:
    aws.metrics = [
        metric(0.0, 24.0),
        metric(3.0, 12.0, at="2026-11-27T00:00:00Z"),
        metric(0.0, 0.0, at="2026-11-26T00:00:00Z"),
        metric(None, 5.0, at="2026-11-25T00:00:00Z"),
        metric(9.0, 9.0, instance_type="p3.2xlarge"),
        metric(9.0, 9.0, zone=None),
    ]
    reading = ask_aws()
    (witness,) = [row for row in reading.rows if isinstance(row, HazardWitness)]
    assert (witness.pool, witness.value, witness.exposure_hours) == (AZ1, 3.0, 36.0)
    assert (witness.start, witness.end) == (TODAY.replace(day=27, hour=0), TODAY.replace(day=30, hour=0))
    assert reading.skipped == ("own interruptions: 1 days left out: a figure is absent",)
    (asked,) = aws.asked["GetCapacityManagerMetricData"]
    assert asked["Period"] == "86400"


def test_capacity_manager_is_found_in_the_region_where_the_account_turned_it_on(
    aws: AwsServer, ask_aws: AskAws
) -> None:
    aws.faults["GetCapacityManagerMetricData"] = (400, "InvalidState")
    aws.faulty_times = 1
    reading = ask_aws(regions=("us-east-2", "us-east-1"))
    assert [row.value for row in reading.rows if isinstance(row, HazardWitness)] == [2.0]
    assert not [text for text in reading.skipped if text.startswith("own interruptions")]


def test_what_came_before_a_fault_on_a_later_page_is_kept(aws: AwsServer, ask_aws: AskAws) -> None:
    aws.spot_pages = [[spot_record()], [spot_record(zone="use1-az2")]]
    aws.products = [[product()], [product("2")]]
    aws.faults = {"DescribeSpotPriceHistory": Fault.CUT, "GetProducts": Fault.UNAVAILABLE}
    aws.faulty_from = 1
    reading = ask_aws()
    assert spot_quotes(reading) == {"use1-az1": Decimal("0.5000")}
    assert [row.usd_per_hour for row in on_demand(reading)] == [Decimal("1.0060000000")]
    assert [text.partition(":")[0] for text in reading.skipped] == [
        "spot prices in us-east-1",
        "on-demand prices of g5.xlarge",
    ]


def test_a_throttled_question_is_asked_again(aws: AwsServer) -> None:
    aws.faults["DescribeSpotPriceHistory"] = Fault.THROTTLED
    aws.faulty_times = 1
    reading = AwsSource(("us-east-1",), aws.url).read(SourceQuery((G5,)), TODAY)
    assert spot_quotes(reading) == {"use1-az1": Decimal("0.5000")}
    assert reading.skipped == ()


@pytest.mark.parametrize(
    ("status", "code", "meaning"),
    [
        (403, "UnauthorizedOperation", "not permitted: the account's policy lacks this action: 403"),
        (401, "AuthFailure", "credentials refused, or the region is not enabled for the account: 401"),
        (400, "ExpiredToken", "credentials refused"),
        (400, "MaxConfigLimitExceeded", "the account's quota of this day is used up: 400"),
        (503, "RequestLimitExceeded", "throttled: 503"),
        (500, "InternalError", "not answered: 500"),
        (404, "", "no such service there: 404"),
    ],
)
def test_a_refusal_says_what_it_means_and_the_others_answer(
    aws: AwsServer, ask_aws: AskAws, status: int, code: str, meaning: str
) -> None:
    aws.faults["DescribeSpotPriceHistory"] = (status, code)
    aws.faults["GetCapacityManagerMetricData"] = (status, code)
    aws.faults["GetSpotPlacementScores"] = (status, code)
    now = datetime.now(UTC)  # the server's clock is this machine's
    source = AwsSource(("us-east-1",), clients=boto3_clients(aws.url, requests=1))
    reading = source.read(SourceQuery((G5,), limit_s=30), now)
    (text,) = reading.skipped
    assert text.startswith(f"spot prices in us-east-1, placement scores of A10G, own interruptions: {meaning}")
    assert len(on_demand(reading)) == 1


@pytest.mark.parametrize(("hours", "word"), [(9, "9 hours ahead of"), (-9, "9 hours behind")])
def test_a_refused_signature_of_a_clock_that_is_off_says_so(aws: AwsServer, hours: int, word: str) -> None:
    aws.faults["DescribeSpotPriceHistory"] = (400, "RequestExpired")
    source = AwsSource(("us-east-1",), clients=boto3_clients(aws.url, requests=1))
    reading = source.read(SourceQuery((G5,), limit_s=30), datetime.now(UTC) + timedelta(hours=hours))
    assert reading.skipped[0].startswith(f"spot prices in us-east-1: refused: this machine's clock is {word} AWS'")


def test_without_credentials_one_reason_says_it_for_all(
    aws: AwsServer, ask_aws: AskAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    reading = ask_aws()
    assert reading.rows == ()
    (text,) = reading.skipped
    assert text.startswith(
        "spot prices in us-east-1, on-demand prices of g5.xlarge, placement scores of A10G, own interruptions: "
        "no credentials; boto3 looks in the environment"
    )
    assert not aws.asked


def test_a_profile_that_does_not_exist_is_a_reason_too(ask_aws: AskAws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    (text,) = ask_aws(regions=()).skipped
    assert "no credentials" in text
    assert "nobody" in text


def test_a_region_whose_name_is_none_is_a_reason_and_the_other_region_answers(aws: AwsServer, ask_aws: AskAws) -> None:
    reading = ask_aws(regions=("us east 1", "us-east-1"))
    assert spot_quotes(reading) == {"use1-az1": Decimal("0.5000")}
    assert "spot prices in us east 1" in reading.skipped[0]


def test_a_password_of_the_address_is_in_no_reason(aws: AwsServer) -> None:
    source = AwsSource(("us-east-1",), clients=boto3_clients("http://me:s3cret@127.0.0.1:9", requests=1))
    reading = source.read(SourceQuery((G5,)), TODAY)
    assert "not reached" in reading.skipped[0]
    assert "s3cret" not in " ".join(reading.skipped)


def test_without_boto3_the_reason_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    reading = AwsSource().read(SourceQuery((G5,)), TODAY)
    assert reading.rows == ()
    (text,) = reading.skipped
    assert text.endswith('boto3 is not installed: pip install "spotwise[aws]"')


def test_machines_of_other_clouds_are_not_asked_for(aws: AwsServer, ask_aws: AskAws) -> None:
    reading = ask_aws(Machine("gcp", "a2-highgpu-1g", "A100", 1))
    assert (reading.rows, reading.skipped) == ((), ())
    assert not aws.asked


def test_nothing_of_boto3_is_imported_before_something_is_asked() -> None:
    program = (
        "import sys; from spotwise.cost_models.sources.aws import AwsSource; AwsSource(); print('boto3' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert done.stdout == "False\n"
