"""SkyPilot through its public Python SDK, and nothing else of it. The one module of this engine that imports ``sky``.

Every call runs in a thread of a pool: ``import sky`` takes seconds, a server that hangs must not hang us, and what a
call may raise is whatever SkyPilot's server died of, so it is looked at as a value.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillRunning
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from spotwise.cost_models.sources.skypilot_catalog import CatalogRow, clean_price

from ...core.ansi import plain
from ...core.errors import EngineError
from .sky import Cluster, ClusterState, Failure, Landing, RequestState, SkyUnreachableError, TaskRefusedError
from .tasks import anywhere

T = TypeVar("T")

ANSWER_S = 60.0  # starting a local server takes up to 30 s
CLOUD_S = 180.0
UPLOAD_S = 1800.0
COST_DAYS = 2  # of SkyPilot's cost report: clusters that are up are in it however old they are
LAST_LINES = 8
MOST_CHARACTERS = 600  # of what SkyPilot says

# A server that broke is a plain RuntimeError of the SDK: its text is all that tells it from others.
_SERVER_BROKE = re.compile(r"API server process exited|Failed to start SkyPilot API server|Response: 5\d\d")
# Before the cause: advice on flags and logs that nobody has here, and the place, of which an attempt has one.
_PREFACE = re.compile(r"\A.*(?:--retry-until-up` flag\.|✗[^\n]*\n)(?=.*\w)", re.DOTALL)
_REASON = re.compile(r"\A.*\bReason: (?=.*\w)", re.DOTALL)
_SENTENCE = re.compile(r"\S.*?(?:\.(?=\s)|$)", re.MULTILINE)
_SSH_FAILED = 255  # ssh's own exit code: the other side could not be reached
# A process of the server that has not seen a Slurm cluster before asks it for its partitions. Where the login node
# cannot be reached, SkyPilot 0.14.1 answers with a ValueError without an exit code: only the text tells it from others.
_LOGIN_NODE_AWAY = re.compile(r"Failed to get partitions for cluster .*return code 255")
# The task itself, wherever it is to run.
_OF_THE_TASK = frozenset(
    {
        "InvalidSkyPilotConfigError",
        "StorageModeError",
        "StorageNameError",
        "StorageSourceError",
        "StorageSpecError",
    }
)
# The task in this place: another may have the image, the disk, the network, the volume, the rights. ValueError and
# AssertionError are what SkyPilot's checks of zones, images and instance types raise.
_OF_THE_PLACE = frozenset(
    {
        "AssertionError",
        "AWSAzFetchingError",
        "CloudUserIdentityError",
        "InvalidCloudConfigs",
        "InvalidCloudCredentials",
        "KubernetesValidationError",
        "NoCloudAccessError",
        "NotSupportedError",
        "ProvisionUnsupportedError",
        "ResourcesMismatchError",
        "UserRequestRejectedByPolicy",
        "ValueError",
        "VolumeNotFoundError",
        "VolumeTopologyConflictError",
    }
)
_ASKED_AT_LAUNCH = frozenset({"kubernetes", "slurm", "ssh"})  # what they have differs from cluster to cluster
_STATES = {"SUCCEEDED": RequestState.DONE, "FAILED": RequestState.FAILED, "CANCELLED": RequestState.GONE}


class PublicSky:
    """`Sky`, by way of the SDK."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(16, "sky-sdk")

    def launch(self, cluster: str, task: Mapping[str, Any], autostop_minutes: int) -> str:
        def call() -> str:
            import sky

            made = sky.Task.from_yaml_config(dict(task))
            return str(sky.launch(made, cluster, down=True, idle_minutes_to_autostop=autostop_minutes))

        return self._answer(call, UPLOAD_S, refuses=partial(self._refusal, task))

    def _refusal(self, task: Mapping[str, Any], error: BaseException) -> TaskRefusedError:
        """Where the place may be to blame, the task is shown to SkyPilot without one: what is wrong then is its own."""
        message, of_place = f"SkyPilot: {_in_one_line(error)}", _is_of_the_place(error)
        for_good = _is_of_the_task(error) or (of_place and _is_refused(self._pool.submit(_validate, anywhere(task))))
        return TaskRefusedError(message, for_good=for_good, of_place=of_place)

    def launches_of(self, cluster: str) -> list[str]:
        def call() -> list[str]:
            import sky

            found = sky.api_status(cluster_name=cluster)
            # A request's kind is known by its name alone: "sky.launch", with a prefix where the server made it.
            return [request.request_id for request in found if request.name.endswith("launch")]

        return self._answer(call)

    def requests(self, ids: Sequence[str]) -> dict[str, RequestState]:
        def call() -> dict[str, RequestState]:
            import sky

            found = sky.api_status(request_ids=list(ids), fields=["request_id", "status"])
            return {r.request_id: _STATES.get(r.status, RequestState.UNDER_WAY) for r in found}

        return self._answer(call)

    def ended_at(self, request_id: str) -> datetime | None:
        def call() -> datetime | None:
            import sky

            found = sky.api_status(request_ids=[request_id], fields=["request_id", "finished_at"])
            times = [request.finished_at for request in found if request.finished_at]
            return datetime.fromtimestamp(times[0], UTC) if times else None

        return self._answer(call)

    def failure(self, request_id: str) -> Failure:
        def call() -> Failure:
            import sky

            with ThreadPoolExecutor(1) as one:
                error = one.submit(sky.get, request_id).exception()
            return _failure(error)

        return self._answer(call)

    def cancel(self, request_id: str) -> None:
        def call() -> None:
            import sky

            sky.get(sky.api_cancel(request_id, silent=True))

        self._answer(call)

    def clusters(self) -> dict[str, Cluster]:
        def call() -> dict[str, Cluster]:
            import sky

            return {record["name"]: _cluster(record) for record in sky.get(sky.status(all_users=True))}

        return self._answer(call)

    def landed(self, cluster: str) -> Landing | None:
        def call() -> Landing | None:
            import sky

            reports = sky.get(sky.cost_report(days=COST_DAYS))
            mine = [report for report in reports if report["name"] == cluster]
            return _landing(max(mine, key=lambda report: report["launched_at"] or 0)) if mine else None

        return self._answer(call, CLOUD_S)

    def look_closer(self, cluster: str) -> Cluster | None:
        def call() -> Cluster | None:
            import sky

            records = sky.get(sky.status([cluster], refresh=sky.StatusRefreshMode.FORCE, all_users=True))
            return _cluster(records[0]) if records else None

        return self._answer(call, CLOUD_S)

    def is_idle(self, cluster: str) -> bool:
        def call() -> bool:
            import sky

            statuses = sky.get(sky.job_status(cluster))
            return all(status is None or status.is_terminal() for status in statuses.values())

        return self._answer(call, CLOUD_S)

    def last_lines(self, cluster: str) -> list[str]:
        def call() -> list[str]:
            import sky

            text = io.StringIO()
            sky.tail_logs(cluster, None, follow=False, tail=LAST_LINES, output_stream=text)
            return [line.strip() for line in plain(text.getvalue()).splitlines() if line.strip()]

        return self._answer(call, CLOUD_S)

    def down(self, cluster: str) -> str:
        def call() -> str:
            import sky

            return str(sky.down(cluster))

        return self._answer(call)

    # for offers, `spotwise doctor` and `spotwise export`

    def version(self) -> str:
        """SkyPilot's version here."""

        def call() -> str:
            import sky

            return str(sky.__version__)

        return self._answer(call)

    def enabled_clouds(self) -> list[str]:
        """Names of the clouds that SkyPilot has credentials for, in lower case."""

        return sorted({infra.partition("/")[0] for infra in self.enabled_infras()})

    def enabled_infras(self) -> list[str]:
        """The same with what they consist of, in lower case: ``aws``, ``kubernetes/CONTEXT``, ``slurm/CLUSTER``."""

        def call() -> list[str]:
            from sky.client import sdk

            return [str(infra).lower() for infra in sdk.get(sdk.enabled_clouds(expand=True))]

        return self._answer(call, CLOUD_S)

    def instance_types(self, clouds: Sequence[str]) -> list[CatalogRow]:
        """Every instance type with accelerators that these clouds' catalogs list, in every region."""

        def call() -> list[CatalogRow]:
            from sky.client import sdk  # sky.list_accelerators would look here, not at the server

            found = sdk.get(sdk.list_accelerators(clouds=list(clouds), all_regions=True))
            lacks = {cloud: _unsupported(cloud) for cloud in clouds}
            return [_row(info, lacks) for infos in found.values() for info in infos]

        return self._answer(call, CLOUD_S)

    def _answer(
        self,
        call: Callable[[], T],
        patience_s: float = ANSWER_S,
        refuses: Callable[[BaseException], EngineError] | None = None,
    ) -> T:
        """What the call returns. Raises `SkyUnreachableError`, or what ``refuses`` makes of SkyPilot's own no."""
        future = self._pool.submit(call)
        try:
            error = future.exception(patience_s)
        except StillRunning:
            raise SkyUnreachableError(f"SkyPilot's API server has not answered for {patience_s:.0f} s") from None
        if error is None:
            return future.result()
        if isinstance(error, ImportError):
            raise SkyUnreachableError(
                f"SkyPilot is not installed here ({error}): pip install 'spotwise[sky]'"
            ) from error
        if refuses is not None and not _is_of_the_connection(error):
            raise refuses(error) from error
        raise SkyUnreachableError(f"SkyPilot: {_in_one_line(error)}") from error


def _validate(task: Mapping[str, Any]) -> None:
    """Show a task to SkyPilot, which looks at all but its place and starts nothing."""
    import sky
    from sky.client import sdk

    with sky.Dag() as dag:
        dag.add(sky.Task.from_yaml_config(dict(task)))
    sdk.validate(dag)


def _is_refused(validation: Future[None]) -> bool:
    """Whether SkyPilot refuses a task, by the kind of its answer; without an answer nothing is known against it."""
    try:
        error = validation.exception(ANSWER_S)
    except StillRunning:
        return False
    return error is not None and (_is_of_the_task(error) or _is_of_the_place(error))


def _failure(error: BaseException | None) -> Failure:
    """Whether it is of capacity: what is unavailable, or out of reach, may be there later, or elsewhere."""
    if error is None:
        return Failure(of_capacity=False, message="SkyPilot says that the launch failed, and not why")
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if "ResourcesUnavailableError" in kinds:
        return Failure(of_capacity=True, message=_cause(error))
    return Failure(_is_out_of_reach(error), _in_one_line(error), _is_of_the_task(error), _is_of_the_place(error))


def _is_of_the_task(error: BaseException) -> bool:
    """The task as it stands, not a place, a machine or a moment."""
    return type(error).__name__ in _OF_THE_TASK


def _is_of_the_place(error: BaseException) -> bool:
    """By name: a broken answer is a ValueError too, of a kind."""
    return type(error).__name__ in _OF_THE_PLACE and not _is_out_of_reach(error)


def _is_out_of_reach(error: BaseException) -> bool:
    """A place that does not answer ssh now: it may later, and others may do so now."""
    if isinstance(error, ValueError):
        return bool(_LOGIN_NODE_AWAY.search(str(error)))
    return getattr(error, "returncode", None) == _SSH_FAILED


def _is_of_the_connection(error: BaseException) -> bool:
    names = {kind.__name__ for kind in type(error).__mro__}
    if type(error) is RuntimeError:
        return bool(_SERVER_BROKE.search(str(error)))
    return bool(names & {"ApiServerConnectionError", "RequestException", "ServerTemporarilyUnavailableError"})


def _in_one_line(error: BaseException) -> str:
    text = " ".join(plain(str(error)).split())
    return f"{text[:MOST_CHARACTERS]} ({type(error).__name__})"


def _cause(error: BaseException) -> str:
    """The first sentence of what SkyPilot says of capacity that names the cause, or else all of it."""
    text = _REASON.sub("", _PREFACE.sub("", plain(str(error))))
    sentence = _SENTENCE.search(text)
    return _in_one_line(error) if sentence is None else sentence.group().strip()[:MOST_CHARACTERS]


def _cluster(record: Mapping[str, Any]) -> Cluster:
    state = ClusterState(record["status"].value.lower())
    return Cluster(record["name"], state, datetime.fromtimestamp(record["launched_at"], UTC))


def _landing(report: Mapping[str, Any]) -> Landing | None:
    """What the server counts: its own catalogs know the zones, and the prices that an administrator has set.

    None where it cannot be divided yet: nothing is counted in a cluster's first second.
    """
    resources, hours = report["resources"], (report["duration"] or 0) / 3600 * (report["num_nodes"] or 0)
    if resources is None or hours <= 0:
        return None
    return Landing(resources.zone or "", clean_price((report["total_cost"] or 0.0) / hours))


def _unsupported(cloud: str) -> tuple[str, ...]:
    """What SkyPilot's own checks say that a cloud lacks; nothing where they would have to ask the cloud."""
    import sky
    from sky.clouds import CloudImplementationFeatures

    if cloud in _ASKED_AT_LAUNCH:
        return ()
    named = sky.CLOUD_REGISTRY.from_str(cloud)
    where, lacks = sky.Resources(cloud=named), []
    for feature in CloudImplementationFeatures:
        try:
            named.check_features_are_supported(where, {feature})
        except sky.exceptions.NotSupportedError:
            lacks.append(str(feature.value))
    return tuple(lacks)


def _row(info: Any, lacks: Mapping[str, Sequence[str]]) -> CatalogRow:
    cloud = str(info.cloud).lower()
    return CatalogRow(
        cloud=cloud,
        region=info.region or "",
        instance_type=info.instance_type or "",
        accelerator=info.accelerator_name,
        accelerator_count=int(info.accelerator_count),
        vcpus=_number(info.cpu_count) or 0.0,
        memory_gib=_number(info.memory) or 0.0,
        on_demand_usd_per_hour=_number(info.price),
        spot_usd_per_hour=_number(info.spot_price),
        unsupported=lacks.get(cloud, ()),
    )


def _number(value: Any) -> float | None:
    """SkyPilot's tables come from pandas: what is missing is NaN."""
    return None if value is None or math.isnan(value) else float(value)
