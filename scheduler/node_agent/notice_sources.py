"""What to ask the metadata servers of AWS, Google Cloud and Azure about the end of a machine: one class for each."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol
from urllib.parse import quote

from .metadata import MetadataServer, Reply
from .notice_answers import (
    AWS,
    AZURE,
    GCP,
    NoticesSeen,
    aws_instance_action,
    aws_rebalance,
    azure_preempted,
    gcp_maintenance,
    gcp_preempted,
)

Clock = Callable[[], datetime]  # aware UTC
Question = Callable[[], NoticesSeen]  # raises MetadataError where it got no answer that it understands


class NoticeSource(Protocol):
    """One cloud's metadata server."""

    name: str

    def questions(self) -> tuple[Question, ...]:
        """What to ask at each look, the most urgent first."""
        ...


class AwsNotices:
    """Instance metadata service, version 2: each question needs a session token."""

    name = AWS
    _TOKEN_S = 21_600  # the longest that AWS gives

    def __init__(self, server: MetadataServer, clock: Clock) -> None:
        self._server = server
        self._clock = clock
        self._token = ""
        self._renew_at = datetime.min.replace(tzinfo=UTC)

    def questions(self) -> tuple[Question, ...]:
        return self._instance_action, self._rebalance

    def _instance_action(self) -> NoticesSeen:
        return aws_instance_action(self._get("/latest/meta-data/spot/instance-action"))

    def _rebalance(self) -> NoticesSeen:
        return aws_rebalance(self._get("/latest/meta-data/events/recommendations/rebalance"))

    def _get(self, path: str) -> str | None:
        """The text there; None where nothing is, which is how AWS says that there is no notice."""
        reply = self._get_with_token(path)
        if reply.status == 401:  # it has expired early: the server was restarted, or our clock set back
            self._token = ""
            reply = self._get_with_token(path)
        return None if reply.status == 404 else reply.ok()

    def _get_with_token(self, path: str) -> Reply:
        if not self._token or self._clock() >= self._renew_at:
            lifetime = {"X-aws-ec2-metadata-token-ttl-seconds": str(self._TOKEN_S)}
            self._token = self._server.ask("/latest/api/token", lifetime, method="PUT").ok().strip()
            self._renew_at = self._clock() + timedelta(seconds=self._TOKEN_S / 2)
        return self._server.ask(path, {"X-aws-ec2-metadata-token": self._token})


class GcpNotices:
    """A question that the server answers when the value changes, then one that is answered at once."""

    name = GCP
    _PATH = "/computeMetadata/v1/instance"
    _HEADERS = {"Metadata-Flavor": "Google"}  # noqa: RUF012 - a constant

    def __init__(self, server: MetadataServer, clock: Clock, *, hang_s: int) -> None:
        self._server = server
        self._clock = clock
        self._hang_s = hang_s
        self._etag: str | None = None

    def questions(self) -> tuple[Question, ...]:
        return self._preempted, self._maintenance

    def _preempted(self) -> NoticesSeen:
        """The first time the value as it is; then the next one, or the same after ``hang_s`` seconds."""
        path, patience_s = f"{self._PATH}/preempted", 0
        if self._etag is not None:  # without it, a change between two questions would be waited for again
            wait = f"wait_for_change=true&timeout_sec={self._hang_s}&last_etag={quote(self._etag, safe='')}"
            path, patience_s = f"{path}?{wait}", self._hang_s
        reply = self._server.ask(path, self._HEADERS, patience_s=patience_s)
        found = gcp_preempted(reply.ok(), self._clock())
        self._etag = reply.etag
        return found

    def _maintenance(self) -> NoticesSeen:
        return gcp_maintenance(self._server.ask(f"{self._PATH}/maintenance-event", self._HEADERS).ok())


class AzureNotices:
    """Scheduled events. Azure sends those of a whole scale set to each machine of it, so ours is looked for."""

    name = AZURE
    _HEADERS = {"Metadata": "true"}  # noqa: RUF012 - a constant
    _FIRST_ANSWER_S = 150.0  # the first question switches the service on, which takes up to two minutes

    def __init__(self, server: MetadataServer) -> None:
        self._server = server
        self._answered = False
        self._machine = ""

    def questions(self) -> tuple[Question, ...]:
        return (self._preempted,)

    def _preempted(self) -> NoticesSeen:
        path = "/metadata/scheduledevents?api-version=2020-07-01"
        patience_s = 0.0 if self._answered else self._FIRST_ANSWER_S
        text = self._server.ask(path, self._HEADERS, patience_s=patience_s).ok()
        self._answered = True
        return azure_preempted(text, self._name())

    def _name(self) -> str:
        if not self._machine:
            path = "/metadata/instance/compute/name?api-version=2021-02-01&format=text"
            self._machine = self._server.ask(path, self._HEADERS).ok().strip()
        return self._machine
