"""The source `aws` on moto over HTTP, which has EC2 too: prices of one day of 2006, zones by name only, no scores."""

from __future__ import annotations

from datetime import UTC, datetime

from s3_server import SERVER

from spotwise.cost_models.offer import Market
from spotwise.cost_models.sources.aws import AwsSource
from spotwise.cost_models.sources.base import Machine, Quote, SourceQuery


def test_moto_s_spot_prices_get_their_zone_ids_and_what_it_does_not_have_is_said() -> None:
    source = AwsSource(("us-east-1",), SERVER)
    reading = source.read(SourceQuery((Machine("aws", "m5.large"),), limit_s=60), datetime.now(UTC))
    spot = [row for row in reading.rows if isinstance(row, Quote) and row.market is Market.SPOT]
    assert spot
    assert all(row.pool.zone.startswith("use1-az") for row in spot)
    assert any("own interruptions" in reason for reason in reading.skipped)
