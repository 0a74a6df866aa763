"""What `spotwise doctor` says of SkyPilot, its clouds and the storage."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import factories
import pytest

from spotwise.checkpoints import storage as storage_module
from spotwise.cost_models.offer import Market
from spotwise.scheduler.core.clock import ManualClock, SystemClock
from spotwise.scheduler.diagnostics import skypilot_checks, storage_checks
from spotwise.scheduler.diagnostics.check import Check, CheckStatus
from spotwise.scheduler.diagnostics.leftovers import ClusterOwnership, FoundCluster
from spotwise.scheduler.engines.skypilot.sky import Cluster, ClusterState, SkyUnreachableError
from spotwise.scheduler.jobfile.settings import Settings, SkyPilotSettings, SkyPool
from spotwise.scheduler.store import Store

MINUTE = timedelta(minutes=1)
SLURM = ["slurm/aws", "slurm/gcp"]


def pool(infra: str) -> SkyPool:
    return SkyPool(infra=infra, market=Market.SPOT, price_usd_per_hour="0.92")


class Server:
    """An API server that answers."""

    def __init__(self, infras: Sequence[str] = SLURM, clusters: Sequence[str] = ()) -> None:
        self.infras, self.names = infras, clusters

    def enabled_infras(self) -> list[str]:
        return list(self.infras)

    def clusters(self) -> dict[str, Cluster]:
        return {name: Cluster(name, ClusterState.UP, factories.T0) for name in self.names}


class SilentServer(Server):
    def enabled_infras(self) -> list[str]:
        raise SkyUnreachableError("SkyPilot's API server has not answered for 60 s")


def made(tmp_path: Path, server: Server, offers=lambda: [factories.offer()], **settings) -> dict[str, Check]:
    storage = tmp_path / "storage"
    storage.mkdir()
    mine = SkyPilotSettings(**{"storage": str(storage), **settings})
    store = Store.open(f"sqlite:///{tmp_path / 'spotwise.db'}")
    found = skypilot_checks.all_checks(Settings(tmp_path, skypilot=mine), store, SystemClock(), server, offers)
    result = {check.name: check for check in found}
    store.close()
    return result


def test_a_sound_installation_is_ok_throughout(tmp_path: Path) -> None:
    found = made(tmp_path, Server(), pools=[pool("slurm/aws/spot")])
    assert {c.name for c in found.values() if c.verdict is not CheckStatus.OK} <= {"SkyPilot"}
    assert {"API server", "clouds", "pools", "reach", "offers", "clusters", "storage"} <= set(found)


def test_where_the_server_does_not_answer_nothing_more_is_asked(tmp_path: Path) -> None:
    found = made(tmp_path, SilentServer())
    assert found["API server"].verdict is CheckStatus.FAILED
    assert "has not answered for 60 s" in found["API server"].found
    assert not {"clouds", "offers", "clusters"} & set(found)


@pytest.mark.parametrize(
    ("version", "verdict"), [("0.14.1", "OK"), ("0.14.3", "OK"), ("0.15.0", "WARNING"), (None, "FAILED")]
)
def test_the_version_of_skypilot(version: str | None, verdict: str) -> None:
    assert skypilot_checks.version_check(version).verdict is CheckStatus[verdict]


@pytest.mark.parametrize(
    ("infras", "wanted", "verdict", "says"),
    [
        (["aws", "kubernetes/a", "kubernetes/b"], None, "OK", "enabled: aws, kubernetes"),
        (["aws", "gcp"], ["aws"], "OK", "enabled: aws, gcp; used: aws"),
        (["aws"], ["AWS"], "OK", "enabled: aws; used: AWS"),
        (["aws"], ["aws", "gcp"], "FAILED", "not enabled: gcp; enabled: aws"),
        ([], None, "FAILED", "SkyPilot has none enabled"),
    ],
)
def test_clouds(infras: list[str], wanted: list[str] | None, verdict: str, says: str) -> None:
    check = skypilot_checks.clouds_check(infras, wanted)
    assert (check.verdict, check.found) == (CheckStatus[verdict], says)
    assert "sky check" in check.fix or check.verdict is CheckStatus.OK


@pytest.mark.parametrize(
    ("infra", "known", "is_known"),
    [
        ("slurm/aws/spot", SLURM, True),
        ("slurm/azure/spot", SLURM, False),
        ("slurm/aws-2/spot", SLURM, False),  # no prefix of letters
        ("kubernetes/My-Context", ["kubernetes/my-context"], True),  # enabled infras come in lower case
        ("k8s/my-context", ["kubernetes/my-context"], True),
        ("kubernetes", ["kubernetes/my-context"], True),
        ("kubernetes", ["slurm/aws"], False),
        ("kubernetes/other", ["kubernetes/my-context"], False),
        ("kubernetes/arn:aws:eks:us/c", ["kubernetes/arn:aws:eks:us/c"], True),
    ],
)
def test_pools_lie_in_clusters_that_skypilot_knows(infra: str, known: list[str], is_known: bool) -> None:
    check = skypilot_checks.pools_check([pool(infra)], known)
    assert (check.verdict is CheckStatus.OK) is is_known
    assert infra in check.found


@pytest.mark.parametrize(
    ("autostop", "verdict", "fix"),
    [
        (10 * MINUTE, "OK", ""),
        (timedelta(seconds=90), "WARNING", "write skypilot.autostop: 2m"),
        (timedelta(seconds=10), "WARNING", "write skypilot.autostop: 1m"),
    ],
)
def test_autostop_is_whole_minutes(autostop: timedelta, verdict: str, fix: str) -> None:
    check = skypilot_checks.autostop_check(autostop)
    assert (check.verdict, check.fix) == (CheckStatus[verdict], fix)


@pytest.mark.parametrize(("minutes", "verdict"), [(2, "WARNING"), (3, "OK"), (20, "OK"), (120, "OK"), (121, "WARNING")])
def test_a_launch_is_given_up_after_a_sensible_time(minutes: int, verdict: str) -> None:
    assert skypilot_checks.provision_check(minutes * MINUTE).verdict is CheckStatus[verdict]


def test_offers_are_counted_by_cloud() -> None:
    on_demand = factories.offer("b", Market.ON_DEMAND)
    assert skypilot_checks.offers_check(lambda: [factories.offer(), on_demand]).found == "2: 2 in aws; 1 of them spot"


def test_no_offer_at_all_must_be_mended() -> None:
    assert skypilot_checks.offers_check(list).verdict is CheckStatus.FAILED


def test_clusters_that_are_left_over_are_a_warning(tmp_path: Path) -> None:
    cluster = Cluster("spotwise-a", ClusterState.UP, factories.T0)
    left, foreign = FoundCluster(cluster, ClusterOwnership.LEFT_OVER), FoundCluster(cluster, ClusterOwnership.UNKNOWN)
    check = skypilot_checks.leftovers_check([left, foreign])
    assert (check.verdict, check.fix) == (CheckStatus.WARNING, "spotwise gc ends them")
    assert check.found == "left over: spotwise-a; 1 not of this installation"
    assert (
        skypilot_checks.leftovers_check([foreign, FoundCluster(cluster, ClusterOwnership.IN_USE)]).verdict
        is CheckStatus.OK
    )


# the storage


@pytest.mark.parametrize(
    ("storage", "says"),
    [
        (None, "skypilot.storage is not set"),
        ("runs", "runs is a relative path"),
        ("/nowhere/at/all", "/nowhere/at/all is no folder here"),
        ("file:///srv/my%20runs", "file:///srv/my%20runs is a folder, written as a URL"),
        ("s3:/bucket/x", "s3:/bucket/x is no URL"),
        ("gs:bucket/x", "gs:bucket/x is no URL"),
        ("memory://runs", "nodes cannot open memory://"),
        ("ftp://host/runs", "nodes cannot open ftp://"),
        ("az://container/runs", "az:// needs adlfs here"),
    ],
)
def test_a_storage_that_cannot_be_used_is_explained(storage: str | None, says: str) -> None:
    (check,) = storage_checks.storage_checks(storage, SystemClock())
    assert says in check.found
    assert check.verdict is CheckStatus.FAILED
    assert check.fix


@pytest.mark.parametrize(
    ("storage", "fix"),
    [
        ("s3:/bucket/x", "did you mean s3://bucket/x"),
        ("gs:bucket/x", "did you mean gs://bucket/x"),
        ("file:///srv/my%20runs", "write the path itself: /srv/my runs"),
    ],
)
def test_a_storage_that_is_nearly_right_is_corrected(storage: str, fix: str) -> None:
    (check,) = storage_checks.storage_checks(storage, SystemClock())
    assert check.fix == fix


def test_a_storage_that_works_is_left_as_it_was(tmp_path: Path) -> None:
    (check,) = storage_checks.storage_checks(str(tmp_path), SystemClock())
    assert check == Check("storage", CheckStatus.OK, f"{tmp_path}: written, read, listed, deleted")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("method", "broken", "says"),
    [
        ("read", lambda *_: b"something else", "what was written is not what is read"),
        ("files", lambda *_: {}, "what was written is not listed"),
        ("remove", lambda *_: None, "what was deleted is still listed"),
    ],
)
def test_a_storage_that_loses_or_keeps_things_must_be_mended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, method: str, broken: object, says: str
) -> None:
    monkeypatch.setattr(storage_module.LocalStorage, method, broken)
    assert says in storage_checks.storage_works(str(tmp_path), SystemClock()).found


def test_a_storage_that_refuses_is_said_with_its_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "probe.txt")

    monkeypatch.setattr(storage_module.LocalStorage, "put", refuse)
    check = storage_checks.storage_works(str(tmp_path), SystemClock())
    assert check.verdict is CheckStatus.FAILED
    assert "Permission denied" in check.found


def test_a_network_drive_with_another_time_is_a_warning(tmp_path: Path) -> None:
    check = storage_checks.storage_works(str(tmp_path), ManualClock(SystemClock().now() + timedelta(seconds=90)))
    assert check.verdict is CheckStatus.WARNING
    assert "its clock is 9" in check.found
    assert "s behind" in check.found


@pytest.mark.parametrize(
    ("infras", "clouds", "pools", "verdict"),
    [
        (SLURM, None, [], "OK"),
        (["aws", *SLURM], None, [], "FAILED"),  # any enabled cloud may be chosen
        (["aws", *SLURM], ["slurm"], [], "OK"),
        (["aws", *SLURM], None, ["slurm/aws/spot"], "OK"),  # only the pools are meant
        (["aws", *SLURM], ["AWS"], ["slurm/aws/spot"], "FAILED"),
    ],
)
def test_a_folder_is_no_storage_for_nodes_of_a_cloud(infras, clouds, pools, verdict) -> None:
    settings = SkyPilotSettings(storage="/srv/shared", clouds=clouds, pools=[pool(p) for p in pools])
    (check,) = storage_checks.reach_checks(settings, infras)
    assert check.verdict is CheckStatus[verdict]


def test_a_url_needs_no_look_at_who_sees_it() -> None:
    assert list(storage_checks.reach_checks(SkyPilotSettings(storage="s3://b/x"), ["aws"])) == []


def test_the_probe_leaves_other_files_alone(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "x").write_text("1")
    storage_checks.storage_works(str(tmp_path), SystemClock())
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
