"""Preemption notices of clouds: asks a machine's metadata server until it is stopped, and tells each notice once.

    watcher = watcher_for("aws", os.environ, tell)
    if watcher is not None:
        watcher.start()

AWS is asked every 5 s, as it recommends, for notices that come two minutes before. Google Cloud holds its answer back
until there is something to tell, 30 s before. Azure is asked every 2 s, for notices that come at least 30 s before.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from spotwise.checkpoints.progress_log import utc_now

from .metadata import MetadataError, MetadataServer
from .notice_answers import Notice, NoticeKind, NoticesSeen
from .notice_sources import AwsNotices, AzureNotices, Clock, GcpNotices, NoticeSource, Question

__all__ = ["Notice", "NoticeKind", "NoticeWatcher", "PollTimes", "watcher_for"]

_log = logging.getLogger(__name__)

_JOIN_S = 5.0  # longer than a connection may take


@dataclass(frozen=True, slots=True)
class PollTimes:
    """How often a metadata server is asked, and how long it may take; in seconds."""

    poll_s: float  # from one look to the next
    longest_s: float  # the same after several faults in a row; less than the notice is early
    connect_s: float = 2.0
    answer_s: float = 5.0
    hang_s: int = 30  # how long a server that can hold its answer back is asked to


class NoticeWatcher:
    """A thread that watches one cloud's metadata server. It never ends the process, nor keeps it from ending."""

    def __init__(
        self, source: NoticeSource, server: MetadataServer, tell: Callable[[Notice], None], pace: PollTimes
    ) -> None:
        """``tell`` is called in the watcher's thread, once for each notice, and must not raise."""
        self._source = source
        self._server = server
        self._tell = tell
        self._pace = pace
        self._stopped = threading.Event()
        self._seen: dict[Question, NoticesSeen] = {}
        self._logged: set[str] = set()
        self._thread = threading.Thread(target=self._watch, name=f"notices of {source.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ask no more; returns promptly, also while an answer is awaited. Nothing is told afterwards."""
        self._stopped.set()
        self._server.close()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(_JOIN_S)

    def _watch(self) -> None:
        pause_s = 0.0
        while not self._stopped.wait(pause_s):
            answers = [self._ask(question) for question in self._source.questions()]
            pause_s = self._pace.poll_s if all(answers) else self._longer(pause_s)

    def _longer(self, pause_s: float) -> float:
        return min(max(2 * pause_s, self._pace.poll_s), self._pace.longest_s)

    def _ask(self, question: Question) -> bool:
        """Tell what is new; whether there was an answer. A question that fails must not keep the others from theirs."""
        try:
            found = question()
        except MetadataError as fault:
            self._log_once(fault)
            return False
        seen, self._seen[question] = self._seen.get(question, {}), found
        for key, notice in found.items():
            if key not in seen and not self._stopped.is_set():
                self._tell(notice)
        return True

    def _log_once(self, fault: MetadataError) -> None:
        if self._stopped.is_set() or fault.kind in self._logged:
            return
        self._logged.add(fault.kind)
        _log.warning("%s: %s. It is asked again; until it answers, no notice is seen.", self._source.name, fault)


def watcher_for(
    cloud: str,
    environ: Mapping[str, str],
    tell: Callable[[Notice], None],
    *,
    pace: PollTimes | None = None,
    clock: Clock = utc_now,
) -> NoticeWatcher | None:
    """A watcher, not yet started, of the metadata server of ``aws``, ``gcp`` or ``azure``; None for all others.

    Its address is that of the cloud unless ``environ`` names another: AWS_EC2_METADATA_SERVICE_ENDPOINT (a URL) and
    GCE_METADATA_HOST (``host[:port]``), which the clouds' own libraries heed, and SPOTWISE_AZURE_METADATA_ENDPOINT.
    """
    known = _CLOUDS.get(cloud)
    if known is None:
        return None
    pace = pace or known.pace
    server = MetadataServer(known.base(environ), connect_s=pace.connect_s, answer_s=pace.answer_s)
    return NoticeWatcher(known.source(server, clock, pace), server, tell, pace)


@dataclass(frozen=True, slots=True)
class _Cloud:
    pace: PollTimes
    base: Callable[[Mapping[str, str]], str]
    source: Callable[[MetadataServer, Clock, PollTimes], NoticeSource]


_CLOUDS = {
    "aws": _Cloud(
        PollTimes(poll_s=5.0, longest_s=30.0),
        lambda environ: environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or "http://169.254.169.254",
        lambda server, clock, _: AwsNotices(server, clock),
    ),
    "gcp": _Cloud(
        PollTimes(poll_s=1.0, longest_s=8.0),
        lambda environ: f"http://{environ.get('GCE_METADATA_HOST') or 'metadata.google.internal'}",
        lambda server, clock, pace: GcpNotices(server, clock, hang_s=pace.hang_s),
    ),
    "azure": _Cloud(
        PollTimes(poll_s=2.0, longest_s=8.0),
        lambda environ: environ.get("SPOTWISE_AZURE_METADATA_ENDPOINT") or "http://169.254.169.254",
        lambda server, _clock, _pace: AzureNotices(server),
    ),
}
