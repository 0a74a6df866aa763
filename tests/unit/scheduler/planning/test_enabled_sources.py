"""The sources that settings name."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from factories import T0
from fake_sources import quote

from spotwise.cost_models.sources.aws import AwsSource
from spotwise.cost_models.sources.base import Machine, Reading, SourceQuery
from spotwise.cost_models.sources.gcp import GcpSource
from spotwise.scheduler.core.clock import ManualClock
from spotwise.scheduler.jobfile.source_settings import AwsSourceSettings, GcpSourceSettings, SourceSettings
from spotwise.scheduler.planning.enabled_sources import enabled_sources

MACHINE = Machine("aws", "g4dn.xlarge", "T4", 1)


@pytest.mark.parametrize(
    ("variable", "settings"),
    [
        ("AWS_PROFILE", SourceSettings(aws=AwsSourceSettings(enabled=True))),
        ("AWS_ACCESS_KEY_ID", SourceSettings(aws=AwsSourceSettings(enabled=True))),
        ("GOOGLE_APPLICATION_CREDENTIALS", SourceSettings(gcp=GcpSourceSettings(enabled=True))),
        ("GOOGLE_CLOUD_PROJECT", SourceSettings(gcp=GcpSourceSettings(enabled=True))),
    ],
)
def test_what_a_cloud_told_one_account_is_not_shown_to_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, settings: SourceSettings
) -> None:
    asked_as: list[str] = []

    def read(_: object, query: SourceQuery, now: datetime) -> Reading:
        asked_as.append(account)
        return Reading(f"asked as {account}", now, (quote(),))

    for source in (AwsSource, GcpSource):
        monkeypatch.setattr(source, "read", read)
    for account in ("one", "another", "one", "another"):
        monkeypatch.setenv(variable, account)
        sources = enabled_sources(settings, tmp_path, ManualClock(T0))
        assert sources is not None
        (answer,) = sources.ask([MACHINE], {})
        assert answer.reading.source == f"asked as {account}"
    assert asked_as == ["one", "another"]  # each once: the second time it is fresh
