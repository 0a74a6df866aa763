"""Notices of clouds, against local servers that speak the metadata protocols and refuse what the real ones refuse."""

from __future__ import annotations

import json
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from spotwise.scheduler.node_agent.metadata import MetadataError, Reply
from spotwise.scheduler.node_agent.notice_answers import (
    aws_instance_action,
    aws_rebalance,
    azure_preempted,
    gcp_maintenance,
    gcp_preempted,
)
from spotwise.scheduler.node_agent.notice_sources import AzureNotices, GcpNotices
from spotwise.scheduler.node_agent.notices import Notice, NoticeKind, NoticeWatcher, PollTimes, watcher_for

PATIENCE_S = 10.0  # until a test gives up on what should happen at once
QUICK = PollTimes(poll_s=0.01, longest_s=0.04, connect_s=PATIENCE_S, answer_s=PATIENCE_S, hang_s=1)
NOW = datetime(2026, 11, 24, 8, 20, tzinfo=UTC)
SOON = NOW + timedelta(minutes=2)
ACTION = "/latest/meta-data/spot/instance-action"
REBALANCE = "/latest/meta-data/events/recommendations/rebalance"
AWS, GCP, AZURE = "AWS instance metadata", "Google Cloud instance metadata", "Azure scheduled events"
VARIABLES = ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "GCE_METADATA_HOST", "SPOTWISE_AZURE_METADATA_ENDPOINT")

Answer = tuple[int, str] | tuple[int, str, dict[str, str]]


class Quiet(ThreadingHTTPServer):
    """A client that hangs up is what some tests are about."""

    def handle_error(self, *_: object) -> None: ...


class Server:
    """A metadata server on this machine. Subclasses answer; every request is kept."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str]] = []  # method and path with query
        self.changed = threading.Condition()
        self.port = 0
        self.open()

    def answer(self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        raise NotImplementedError

    def open(self) -> None:
        """Listen; after ``close`` at the same port again."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                with outer.changed:
                    outer.requests.append((self.command, self.path))
                    outer.changed.notify_all()
                status, text, *more = outer.answer(self.command, parts.path, query, self.headers)
                self.send_response(status)
                for name, value in (more[0] if more else {}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text.encode("latin-1"))

            def do_PUT(self) -> None:
                self.do_GET()

            def log_message(self, *_: object) -> None: ...

        self.is_open = True
        self._http = Quiet(("127.0.0.1", self.port), Handler)
        self.port = self._http.server_port
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        with self.changed:
            self.is_open = False
            self.changed.notify_all()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def wait_for(self, happened: Callable[[], object], what: str) -> None:
        with self.changed:
            assert self.changed.wait_for(happened, PATIENCE_S), f"waited in vain for {what}; {self.requests[-5:]}"

    def wait_for_looks(self, path: str, more: int = 3) -> None:
        """Until so many more requests for a path have come: what the watcher says of the first is said by then."""
        before = self.count(path)
        self.wait_for(lambda: self.count(path) >= before + more, f"{more} more looks at {path}")

    def count(self, path: str) -> int:
        return sum(1 for _, asked in self.requests if asked.startswith(path))

    @property
    def environ(self) -> dict[str, str]:
        host = f"127.0.0.1:{self.port}"
        return {VARIABLES[0]: f"http://{host}", VARIABLES[1]: host, VARIABLES[2]: f"http://{host}/"}


class Aws(Server):
    """IMDSv2: tokens are made with a lifetime and asked for everywhere."""

    def __init__(self) -> None:
        self.items: dict[str, str] = {}
        self.tokens: set[str] = set()
        self.made = 0
        self.faults: dict[str, Answer] = {}
        super().__init__()

    def answer(self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        if path in self.faults:
            return self.faults[path]
        if path == "/latest/api/token":
            return self._new_token(method, headers)
        if headers.get("X-aws-ec2-metadata-token") not in self.tokens:
            return 401, "Unauthorized"
        return (200, self.items[path]) if path in self.items else (404, "Not Found")

    def _new_token(self, method: str, headers: Mapping[str, str]) -> Answer:
        lifetime = headers.get("X-aws-ec2-metadata-token-ttl-seconds", "")
        if method != "PUT" or not lifetime.isdecimal() or not 1 <= int(lifetime) <= 21600:
            return 400, "Bad Request"
        self.made += 1
        self.tokens.add(f"token{self.made}==")
        return 200, f"token{self.made}=="


class Gcp(Server):
    """Refuses who does not say Metadata-Flavor; holds an answer back until the value is another than the etag's."""

    def __init__(self) -> None:
        self.preempted = "FALSE"
        self.maintenance = "NONE"
        self.with_etags = True
        self.hanging = 0  # answers that are held back now
        super().__init__()

    def change(self, preempted: str) -> None:
        with self.changed:
            self.preempted = preempted
            self.changed.notify_all()

    def answer(self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        if headers.get("Metadata-Flavor") != "Google":
            return 403, "Forbidden"
        if path == "/computeMetadata/v1/instance/maintenance-event":
            return 200, self.maintenance
        if path != "/computeMetadata/v1/instance/preempted":
            return 404, "Not Found"
        if query.get("wait_for_change") == "true":
            self._hang(query.get("last_etag", self._etag()), float(query["timeout_sec"]))
        return 200, self.preempted, {"ETag": self._etag()} if self.with_etags else {}

    def _hang(self, etag: str, timeout_s: float) -> None:
        with self.changed:
            self.hanging += 1
            self.changed.notify_all()
            self.changed.wait_for(lambda: self._etag() != etag or not self.is_open, timeout_s)
            self.hanging -= 1

    def _etag(self) -> str:
        return f"e/{self.preempted}"  # needs quoting in a URL


class Azure(Server):
    """Refuses who does not say Metadata."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        super().__init__()

    def answer(self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        if headers.get("Metadata") != "true" or "api-version" not in query:
            return 400, "Bad Request"
        if path == "/metadata/instance/compute/name":
            return 200, "vm_7"
        return 200, json.dumps({"DocumentIncarnation": 1, "Events": self.events})


class Silent(Server):
    """Takes requests and never answers while it is open."""

    def answer(self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        with self.changed:
            self.changed.wait_for(lambda: not self.is_open)
        return 503, ""


class Told:
    """What a watcher has told, in order."""

    def __init__(self) -> None:
        self.notices: queue.Queue[Notice] = queue.Queue()

    def next(self) -> Notice:
        return self.notices.get(timeout=PATIENCE_S)

    def nothing_more(self) -> bool:
        return self.notices.empty()


class Watch:
    """Starts watchers and servers, and ends them."""

    def __init__(self) -> None:
        self._servers: list[Server] = []
        self._watchers: list[NoticeWatcher] = []

    def serve(self, kind: type[Any]) -> Any:
        self._servers.append(kind())
        return self._servers[-1]

    def start(
        self, cloud: str, environ: Mapping[str, str], pace: PollTimes = QUICK, **how: Any
    ) -> tuple[NoticeWatcher, Told]:
        told = Told()
        watcher = watcher_for(cloud, environ, told.notices.put, pace=pace, **{"clock": lambda: NOW, **how})
        assert watcher is not None
        self._watchers.append(watcher)
        watcher.start()
        return watcher, told

    def close(self) -> None:
        for watcher in self._watchers:
            watcher.stop()
        for server in self._servers:
            server.close()


@pytest.fixture
def watch() -> Iterator[Watch]:
    watch = Watch()
    yield watch
    watch.close()


def action(time: datetime = SOON) -> str:
    return json.dumps({"action": "terminate", "time": time.strftime("%Y-%m-%dT%H:%M:%SZ")})


def preempt_event(**more: object) -> dict[str, object]:
    event = {"EventId": "A1", "EventType": "Preempt", "Resources": ["vm_7"], "EventStatus": "Scheduled"}
    return {**event, "NotBefore": "Tue, 24 Nov 2026 08:22:00 GMT", **more}


def eventually(happened: Callable[[], object], what: str) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < give_up, f"waited in vain for {what}"
        time.sleep(0.005)


# AWS


def test_aws_without_a_notice_tells_nothing(watch: Watch, caplog: pytest.LogCaptureFixture) -> None:
    """Not found is how AWS says so; it is no fault."""
    aws = watch.serve(Aws)
    _, told = watch.start("aws", aws.environ)
    aws.wait_for_looks(REBALANCE)
    assert told.nothing_more()
    assert caplog.text == ""
    assert aws.made == 1  # one token for all


def test_aws_notice_that_appears_later_is_told_once_with_its_time(watch: Watch) -> None:
    aws = watch.serve(Aws)
    _, told = watch.start("aws", aws.environ)
    aws.wait_for_looks(ACTION)
    aws.items[ACTION] = action()
    assert told.next() == Notice(NoticeKind.PREEMPTION, SOON, AWS)
    aws.wait_for_looks(REBALANCE)
    assert told.nothing_more()


def test_aws_rebalance_and_then_preemption_are_told_once_each(watch: Watch) -> None:
    aws = watch.serve(Aws)
    _, told = watch.start("aws", aws.environ)
    aws.items[REBALANCE] = '{"noticeTime": "2026-11-24T08:16:00Z"}'
    assert told.next() == Notice(NoticeKind.REBALANCE, None, AWS)
    aws.wait_for_looks(REBALANCE)
    aws.items[ACTION] = action()
    assert told.next() == Notice(NoticeKind.PREEMPTION, SOON, AWS)
    aws.wait_for_looks(REBALANCE)
    assert told.nothing_more()


def test_aws_second_recommendation_is_another_notice(watch: Watch) -> None:
    aws = watch.serve(Aws)
    aws.items[REBALANCE] = '{"noticeTime": "2026-11-24T08:16:00Z"}'
    _, told = watch.start("aws", aws.environ)
    first = told.next()
    aws.items[REBALANCE] = '{"noticeTime": "2026-11-24T09:16:00Z"}'
    assert told.next() == first


def test_aws_preemption_is_told_before_the_recommendation_that_came_with_it(watch: Watch) -> None:
    aws = watch.serve(Aws)
    aws.items = {REBALANCE: '{"noticeTime": "2026-11-24T08:16:00Z"}', ACTION: action()}
    _, told = watch.start("aws", aws.environ)
    assert [told.next().kind, told.next().kind] == [NoticeKind.PREEMPTION, NoticeKind.REBALANCE]


def test_aws_token_that_is_refused_is_replaced_at_once(watch: Watch, caplog: pytest.LogCaptureFixture) -> None:
    aws = watch.serve(Aws)
    _, told = watch.start("aws", aws.environ)
    aws.wait_for_looks(ACTION)
    aws.items[ACTION] = action()
    aws.tokens.clear()
    assert told.next().kind is NoticeKind.PREEMPTION
    assert aws.made >= 2
    assert caplog.text == ""


def test_aws_token_is_renewed_before_it_expires(watch: Watch, caplog: pytest.LogCaptureFixture) -> None:
    aws = watch.serve(Aws)
    hours = [0.0]
    watch.start("aws", aws.environ, clock=lambda: NOW + timedelta(hours=hours[0]))
    aws.wait_for_looks(REBALANCE)
    hours[0] = 2.9
    aws.wait_for_looks(REBALANCE)
    assert aws.made == 1
    hours[0] = 5.9  # AWS lets it expire after 6
    aws.wait_for_looks(REBALANCE)
    assert aws.made == 2


def test_aws_without_a_token_service_is_a_warning_and_asked_again(
    watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    aws = watch.serve(Aws)
    aws.faults["/latest/api/token"] = (403, "Forbidden")
    aws.items[ACTION] = action()
    _, told = watch.start("aws", aws.environ)
    aws.wait_for_looks("/latest/api/token", more=6)
    assert told.nothing_more()
    assert caplog.text.count("status 403") == 1
    aws.faults.clear()
    assert told.next().kind is NoticeKind.PREEMPTION


def test_a_question_that_always_fails_keeps_no_other_from_its_answer(watch: Watch) -> None:
    aws = watch.serve(Aws)
    aws.faults = {ACTION: (500, "")}
    aws.items[REBALANCE] = '{"noticeTime": "2026-11-24T08:16:00Z"}'
    _, told = watch.start("aws", aws.environ)
    assert told.next().kind is NoticeKind.REBALANCE
    aws.faults = {REBALANCE: (500, "")}
    aws.items[ACTION] = action()
    assert told.next().kind is NoticeKind.PREEMPTION


# Google Cloud


def test_gcp_notice_is_told_while_its_answer_is_held_back(watch: Watch) -> None:
    gcp = watch.serve(Gcp)
    _, told = watch.start("gcp", gcp.environ)
    gcp.wait_for(lambda: gcp.hanging, "a question that waits for a change")
    gcp.change("TRUE")
    assert told.next() == Notice(NoticeKind.PREEMPTION, NOW + timedelta(seconds=30), GCP)
    gcp.wait_for_looks("/computeMetadata/v1/instance/preempted", more=2)
    assert told.nothing_more()


def test_gcp_notice_from_before_the_watcher_is_told_at_once(watch: Watch) -> None:
    """The question that waits for a change would wait for another one."""
    gcp = watch.serve(Gcp)
    gcp.change("TRUE")
    _, told = watch.start("gcp", gcp.environ, PollTimes(0.01, 0.04, hang_s=3600))
    assert told.next().kind is NoticeKind.PREEMPTION


def test_gcp_notice_between_two_questions_is_not_missed(watch: Watch) -> None:
    """The value changes while nobody asks: the etag of the question before tells the server so."""
    gcp = watch.serve(Gcp)
    pause = threading.Event()

    def clock() -> datetime:  # read between an answer and the next question
        if not pause.is_set():
            pause.set()
            gcp.change("TRUE")
        return NOW

    _, told = watch.start("gcp", gcp.environ, PollTimes(0.01, 0.04, hang_s=3600), clock=clock)
    assert told.next().kind is NoticeKind.PREEMPTION


def test_gcp_asks_on_after_a_wait_without_a_change(watch: Watch, caplog: pytest.LogCaptureFixture) -> None:
    gcp = watch.serve(Gcp)
    _, told = watch.start("gcp", gcp.environ, PollTimes(0.01, 0.04, hang_s=0))
    gcp.wait_for_looks("/computeMetadata/v1/instance/preempted?wait_for_change=true", more=4)
    assert told.nothing_more()
    assert caplog.text == ""


def test_gcp_deadline_counts_from_the_answer_not_from_the_question(watch: Watch) -> None:
    gcp = watch.serve(Gcp)
    seconds = [0.0]
    _, told = watch.start("gcp", gcp.environ, clock=lambda: NOW + timedelta(seconds=seconds[0]))
    gcp.wait_for(lambda: gcp.hanging, "a question that waits for a change")
    seconds[0] = 20.0
    gcp.change("TRUE")
    assert told.next().deadline == NOW + timedelta(seconds=50)


def test_gcp_server_without_etags_is_asked_again_and_again(watch: Watch) -> None:
    gcp = watch.serve(Gcp)
    gcp.with_etags = False
    _, told = watch.start("gcp", gcp.environ)
    gcp.wait_for_looks("/computeMetadata/v1/instance/preempted")
    gcp.change("TRUE")
    assert told.next().kind is NoticeKind.PREEMPTION
    assert gcp.count("/computeMetadata/v1/instance/preempted?") == 0


def test_gcp_maintenance_that_ends_the_machine_is_a_recommendation(watch: Watch) -> None:
    gcp = watch.serve(Gcp)
    gcp.maintenance = "MIGRATE_ON_HOST_MAINTENANCE"  # training does not notice it
    _, told = watch.start("gcp", gcp.environ, PollTimes(0.01, 0.04, hang_s=0))
    gcp.wait_for_looks("/computeMetadata/v1/instance/maintenance-event")
    assert told.nothing_more()
    gcp.maintenance = "TERMINATE_ON_HOST_MAINTENANCE"
    assert told.next() == Notice(NoticeKind.REBALANCE, None, GCP)
    gcp.wait_for_looks("/computeMetadata/v1/instance/maintenance-event")
    assert told.nothing_more()


def test_gcp_maintenance_that_was_called_off_and_comes_back_is_told_again(watch: Watch) -> None:
    gcp = watch.serve(Gcp)
    _, told = watch.start("gcp", gcp.environ, PollTimes(0.01, 0.04, hang_s=0))
    for _ in range(2):
        gcp.maintenance = "TERMINATE_ON_HOST_MAINTENANCE"
        assert told.next().kind is NoticeKind.REBALANCE
        gcp.maintenance = "NONE"
        gcp.wait_for_looks("/computeMetadata/v1/instance/maintenance-event")


# Azure


def test_azure_preemption_of_this_machine_is_told_once(watch: Watch) -> None:
    azure = watch.serve(Azure)
    _, told = watch.start("azure", azure.environ)
    azure.wait_for_looks("/metadata/scheduledevents")
    azure.events = [preempt_event()]
    assert told.next() == Notice(NoticeKind.PREEMPTION, SOON, AZURE)
    azure.events = [preempt_event(EventStatus="Started", NotBefore="")]
    azure.wait_for_looks("/metadata/scheduledevents")
    assert told.nothing_more()


def test_azure_events_of_other_machines_and_other_kinds_are_none_of_ours(watch: Watch) -> None:
    azure = watch.serve(Azure)
    azure.events = [preempt_event(Resources=["vm_8"]), preempt_event(EventType="Freeze"), preempt_event(Resources=None)]
    _, told = watch.start("azure", azure.environ)
    azure.wait_for_looks("/metadata/scheduledevents")
    assert told.nothing_more()


# Faults


def test_a_server_that_goes_away_and_comes_back_is_found_again(watch: Watch, caplog: pytest.LogCaptureFixture) -> None:
    aws = watch.serve(Aws)
    _, told = watch.start("aws", aws.environ)
    aws.wait_for_looks(ACTION)
    aws.close()
    eventually(lambda: "ConnectionRefusedError" in caplog.text, "a warning")
    aws.items[ACTION] = action()
    aws.open()
    assert told.next() == Notice(NoticeKind.PREEMPTION, SOON, AWS)


def test_a_server_that_never_answers_is_given_up_and_asked_again(
    watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    silent = watch.serve(Silent)
    watch.start("aws", silent.environ, PollTimes(0.01, 0.04, answer_s=0.05))
    silent.wait_for_looks("/latest/api/token", more=4)
    assert caplog.text.count("TimeoutError") == 1


@pytest.mark.parametrize(
    "text",
    ["", "{", "[1]", "null", "\xff\xfe", "[" * 10**5],
    ids=["empty", "torn", "list", "null", "no-utf8", "deep"],
)
def test_garbage_is_a_warning_and_the_notice_after_it_is_told(
    watch: Watch, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    aws = watch.serve(Aws)
    aws.items[ACTION] = text
    _, told = watch.start("aws", aws.environ)
    aws.wait_for_looks(ACTION, more=4)
    assert told.nothing_more()
    assert caplog.text.count("It is asked again") == 1
    aws.items[ACTION] = action()
    assert told.next().kind is NoticeKind.PREEMPTION


@pytest.mark.parametrize(
    "endpoint", ["metadata", "ftp://127.0.0.1", "http://127.0.0.1:port", "http://[::", "http://a b"]
)
def test_an_endpoint_that_is_none_is_a_warning(watch: Watch, caplog: pytest.LogCaptureFixture, endpoint: str) -> None:
    watcher, told = watch.start("aws", {VARIABLES[0]: endpoint})
    eventually(lambda: endpoint in caplog.text, "a warning that names the endpoint")
    watcher.stop()
    assert told.nothing_more()


def test_each_kind_of_fault_is_logged_once(watch: Watch, caplog: pytest.LogCaptureFixture) -> None:
    aws = watch.serve(Aws)
    watch.start("aws", aws.environ)
    for status in (500, 503, 500):
        aws.faults = {ACTION: (status, ""), REBALANCE: (status, "")}
        aws.wait_for_looks(REBALANCE, more=4)
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]


def test_pauses_grow_with_faults_up_to_the_longest_and_fall_back(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    aws = watch.serve(Aws)
    aws.faults = {ACTION: (500, "")}
    watcher, _ = watch.start("aws", aws.environ)
    watcher.stop()
    pauses: list[float] = []

    class Stopwatch(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            pauses.append(timeout or 0.0)
            aws.faults = {} if len(pauses) == 6 else aws.faults
            return len(pauses) > 7

    fresh = watcher_for("aws", aws.environ, lambda _: None, pace=PollTimes(0.01, 0.05))
    monkeypatch.setattr(fresh, "_stopped", Stopwatch())
    fresh._watch()
    assert pauses == [0.0, 0.01, 0.02, 0.04, 0.05, 0.05, 0.01, 0.01]


# The watcher


@pytest.mark.parametrize("cloud", ["slurm", "kubernetes", "local", "lambda", ""])
def test_other_clouds_have_no_watcher_and_see_no_traffic(watch: Watch, cloud: str) -> None:
    aws = watch.serve(Aws)
    assert watcher_for(cloud, aws.environ, lambda _: None) is None
    assert aws.requests == []


@pytest.mark.parametrize("cloud", ["aws", "gcp", "azure"])
def test_nothing_is_asked_before_the_start(watch: Watch, cloud: str) -> None:
    server = watch.serve(Aws)
    watcher = watcher_for(cloud, server.environ, lambda _: None)
    assert watcher is not None
    watcher.stop()
    assert server.requests == []


@pytest.mark.parametrize(
    ("cloud", "address"),
    [
        ("aws", "http://169.254.169.254/latest/api/token"),
        ("gcp", "http://metadata.google.internal/computeMetadata/v1/instance/preempted"),
        ("azure", "http://169.254.169.254/metadata/scheduledevents"),
    ],
)
def test_without_a_variable_the_clouds_own_address_is_asked(
    monkeypatch: pytest.MonkeyPatch, watch: Watch, caplog: pytest.LogCaptureFixture, cloud: str, address: str
) -> None:
    def refuse(*_: object, **__: object) -> socket.socket:
        raise ConnectionRefusedError("no such network in a test")

    monkeypatch.setattr(socket, "create_connection", refuse)
    watch.start(cloud, {})
    eventually(lambda: address in caplog.text, f"a warning that names {address}")


@pytest.mark.parametrize("cloud", ["aws", "gcp"])
def test_metadata_is_never_asked_through_a_proxy(watch: Watch, monkeypatch: pytest.MonkeyPatch, cloud: str) -> None:
    proxy, server = watch.serve(Aws), watch.serve(Aws if cloud == "aws" else Gcp)
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    monkeypatch.delenv("no_proxy", raising=False)
    watch.start(cloud, server.environ)
    server.wait_for(lambda: len(server.requests) >= 4, "requests")
    assert proxy.requests == []


@pytest.mark.parametrize("kind", [Gcp, Silent])
def test_stop_ends_a_question_that_waits_for_its_answer(
    watch: Watch, caplog: pytest.LogCaptureFixture, kind: Any
) -> None:
    server = watch.serve(kind)
    watcher, told = watch.start("gcp", server.environ, PollTimes(0.01, 0.04, answer_s=3600, hang_s=3600))
    server.wait_for(lambda: getattr(server, "hanging", server.requests), "a question that waits")
    watcher.stop()
    assert not watcher._thread.is_alive()
    assert told.nothing_more()
    assert caplog.text == ""  # being stopped is no fault


def test_stop_ends_a_pause(watch: Watch) -> None:
    aws = watch.serve(Aws)
    watcher, _ = watch.start("aws", aws.environ, PollTimes(3600, 3600))
    aws.wait_for(lambda: aws.count(REBALANCE), "the first look")
    watcher.stop()
    assert not watcher._thread.is_alive()
    watcher.stop()  # twice is once


def test_a_watcher_can_be_stopped_by_what_it_tells(watch: Watch) -> None:
    aws = watch.serve(Aws)
    aws.items = {ACTION: action(), REBALANCE: '{"noticeTime": "2026-11-24T08:16:00Z"}'}
    told: list[NoticeKind] = []

    def tell(notice: Notice) -> None:
        told.append(notice.kind)
        watcher.stop()

    watcher = watcher_for("aws", aws.environ, tell, pace=QUICK)
    watcher.start()
    watcher._thread.join(PATIENCE_S)
    assert not watcher._thread.is_alive()
    assert told == [NoticeKind.PREEMPTION]


def test_an_answer_that_came_before_the_stop_is_not_told_after_it(watch: Watch) -> None:
    gcp = watch.serve(Gcp)
    gcp.change("TRUE")
    told = Told()

    def clock() -> datetime:  # read between the answer and what is made of it
        watcher.stop()
        return NOW

    watcher = watcher_for("gcp", gcp.environ, told.notices.put, pace=QUICK, clock=clock)
    watcher.start()
    watcher._thread.join(PATIENCE_S)
    assert not watcher._thread.is_alive()
    assert told.nothing_more()


def test_a_watcher_does_not_keep_a_process_from_ending(watch: Watch) -> None:
    watcher, _ = watch.start("aws", watch.serve(Aws).environ)
    assert watcher._thread.daemon


# Questions and answers, without any server


class Patience:
    """In a server's place: answers always the same, and keeps how much longer than usual an answer may take."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.allowed_s: list[float] = []

    def ask(self, path: str, headers: Mapping[str, str], *, method: str = "GET", patience_s: float = 0.0) -> Reply:
        self.allowed_s.append(patience_s)
        return Reply(path, 200, self._text, "etag")


def test_gcp_server_may_hold_its_answer_back_for_as_long_as_it_was_asked_to() -> None:
    server = Patience("FALSE")
    preempted, _ = GcpNotices(server, lambda: NOW, hang_s=30).questions()
    for _ in range(3):
        preempted()
    assert server.allowed_s == [0, 30, 30]


def test_azure_may_take_two_minutes_to_switch_the_service_on_but_no_longer_afterwards() -> None:
    server = Patience('{"Events": []}')
    (preempted,) = AzureNotices(server).questions()
    preempted()
    preempted()
    assert server.allowed_s[0] > 120
    assert set(server.allowed_s[1:]) == {0}


@pytest.mark.parametrize(
    ("time", "deadline"),
    [
        ("2026-11-24T08:22:00Z", SOON),
        ("2026-11-24T08:22:00", SOON),
        ("2026-11-24T10:22:00+02:00", SOON),
        ("soon", None),
        ("0001-01-01T00:00:00+10:00", None),
        (None, None),
        (7, None),
    ],
)
def test_aws_notice_whose_time_cannot_be_read_is_a_notice_all_the_same(time: object, deadline: datetime | None) -> None:
    (notice,) = aws_instance_action(json.dumps({"action": "stop", "time": time})).values()
    assert notice == Notice(NoticeKind.PREEMPTION, deadline, AWS)


def test_deadlines_are_utc() -> None:
    (notice,) = aws_instance_action('{"time": "2026-11-24T10:22:00+02:00"}').values()
    assert notice.deadline is not None
    assert notice.deadline.tzinfo is UTC


def test_aws_recommendation_without_a_time_is_one_all_the_same() -> None:
    assert list(aws_rebalance("{}").values()) == [Notice(NoticeKind.REBALANCE, None, AWS)]


@pytest.mark.parametrize(("text", "count"), [("TRUE", 1), ("TRUE\n", 1), ("FALSE", 0)])
def test_gcp_says_true_or_false(text: str, count: int) -> None:
    assert len(gcp_preempted(text, NOW)) == count


@pytest.mark.parametrize("text", ["", "true", "TRU", "<html>sign in</html>"])
def test_gcp_says_nothing_else(text: str) -> None:
    with pytest.raises(MetadataError, match="neither TRUE nor FALSE"):
        gcp_preempted(text, NOW)


@pytest.mark.parametrize(("text", "count"), [("NONE", 0), ("MIGRATE_ON_HOST_MAINTENANCE", 0), ("", 0)])
def test_gcp_maintenance_that_the_machine_outlives_is_no_notice(text: str, count: int) -> None:
    assert len(gcp_maintenance(text)) == count


@pytest.mark.parametrize(
    ("not_before", "deadline"),
    [("Tue, 24 Nov 2026 08:22:00 GMT", SOON), ("Tue, 24 Nov 2026 08:22:00", SOON), ("", None), (None, None)],
)
def test_azure_times_are_those_of_http(not_before: object, deadline: datetime | None) -> None:
    (notice,) = azure_preempted(json.dumps({"Events": [preempt_event(NotBefore=not_before)]}), "vm_7").values()
    assert notice == Notice(NoticeKind.PREEMPTION, deadline, AZURE)


@pytest.mark.parametrize("text", ["{}", '{"Events": {}}', '{"Events": [1]}', '{"Events": null}'])
def test_azure_answers_without_a_list_of_events_are_faults(text: str) -> None:
    with pytest.raises(MetadataError, match="no list of events"):
        azure_preempted(text, "vm_7")
