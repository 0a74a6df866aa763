"""People are told what happened to runs: each event once, at least, on every channel, with no secret kept."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import factories
import pytest
from receivers import http_receiver, smtp_receiver

from spotwise.scheduler.core.clock import ManualClock
from spotwise.scheduler.core.errors import JobFileError
from spotwise.scheduler.core.run import AttemptState, Run, RunState
from spotwise.scheduler.jobfile.job_spec import parse_job
from spotwise.scheduler.jobfile.notify_spec import NotifyChannel
from spotwise.scheduler.jobfile.settings import Settings
from spotwise.scheduler.notifications import delivery
from spotwise.scheduler.notifications.delivery import DeliveryError, deliver
from spotwise.scheduler.notifications.notices import budget_notices, deadline_notices
from spotwise.scheduler.notifications.notifier import Notifier
from spotwise.scheduler.retraining.judging import Judgement
from spotwise.scheduler.store import Store
from spotwise.scheduler.store.nights import record_judgement
from spotwise.scheduler.store.outbox import Outbox

MESSAGE = {"id": "ended:digits-aaaaaa", "event": "ended", "run": "digits-aaaaaa", "text": "it is done"}


class World:
    """A store with one run, whose job names a webhook."""

    def __init__(self, folder: Path, url: str, notify: str = "[{type: webhook, url_env: HOOK}]") -> None:
        self.clock = ManualClock(factories.T0)
        self.url = f"sqlite:///{folder / 'spotwise.db'}"
        self.store = Store.open(self.url, clock=self.clock)
        text = f"{factories.JOB_YAML}notify: {notify}\n"
        self.run = self.store.add_run(factories.run(job_yaml=text, folder=str(folder)), "key")
        lease = self.store.lease(self.run.id, "test", self.clock.now(), self.clock.now() + timedelta(days=9))
        assert lease is not None
        self.lease = lease
        self.env = {"HOOK": url, "PATH": "/usr/bin:/bin"}
        self.settings = Settings(home=folder)
        self.notifier = self.again()

    def again(self) -> Notifier:
        """As another process would make one."""
        store = Store.open(self.url, clock=self.clock)
        return Notifier(store, self.settings, self.clock, self.env, every_s=0.01)

    def attempt(self, number: int, state: AttemptState) -> None:
        ended = self.clock.now() if state.is_final else None
        attempt = factories.attempt(number, run_id=self.run.id, state=state, ended_at=ended, end_reason="taken back")
        self.store.save_attempt(attempt, self.lease)

    def end(self, state: RunState = RunState.COMPLETED, **changes: Any) -> Run:
        self.run = replace(self.run, state=state, ended_at=self.clock.now(), end_reason="all done", **changes)
        self.store.save_run(self.run, self.lease)
        return self.run


def events_of(requests: list[tuple[dict[str, str], str]]) -> list[str]:
    return [json.loads(body)["event"] for _, body in requests]


def test_what_happens_to_a_run_is_told_once_and_in_order(tmp_path: Path) -> None:
    with http_receiver() as receiver:
        world = World(tmp_path, receiver.url)
        for number, end in ((1, AttemptState.PREEMPTED), (2, AttemptState.MIGRATED)):
            world.attempt(number, AttemptState.RUNNING)
            world.attempt(number, end)
        world.notifier.round()
        world.end()
        record_judgement(
            world.store, Judgement("shelf", world.run.id, "acc", 0.9, None, True, "better", world.clock.now())
        )
        for _ in range(2):
            world.notifier.round()
            world.again().round()
    assert sorted(events_of(receiver.requests)) == ["ended", "moved", "preempted", "promoted", "started"]
    headers, body = next(each for each in receiver.requests if "preempted" in each[1])
    assert json.loads(body)["text"] == "digits-aaaaaa was preempted: taken back"
    assert headers["Idempotency-Key"] == "preempted:digits-aaaaaa-a1"


def test_a_server_that_is_down_gets_the_message_later_and_a_run_does_not_wait(tmp_path: Path) -> None:
    with http_receiver(500, 503) as receiver:
        world = World(tmp_path, receiver.url)
        world.end()
        for expected, pause_s in ((1, 4), (1, 2), (2, 4), (2, 7), (3, 3600)):
            world.notifier.round()
            assert len(receiver.requests) == expected
            world.clock.sleep(pause_s)
        world.notifier.round()
    assert len(receiver.requests) == 3
    assert Outbox(world.store).waiting() == []


def test_a_message_whose_sender_dies_is_delivered_by_another(tmp_path: Path) -> None:
    with http_receiver() as receiver:
        world = World(tmp_path, receiver.url)
        world.end()
        world.notifier.collect()
        claimed = Outbox(world.store).claim(world.clock.now())  # and then kill -9
        assert claimed is not None
        assert world.again().round() == 0
        world.clock.sleep(121)
        assert world.again().round() == 1
    assert events_of(receiver.requests) == ["ended"]


def test_no_secret_reaches_store_or_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    world = World(tmp_path, "http://127.0.0.1:9/hook-s3cret")  # nobody listens there
    world.end()
    world.notifier.round()
    (entry,) = Outbox(world.store).waiting()
    assert entry.last_error == "webhook: ConnectionRefusedError"
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("spotwise.db*"))
    assert b"s3cret" not in kept
    assert "s3cret" not in caplog.text


def test_a_variable_that_is_missing_is_named_and_the_message_waits(tmp_path: Path) -> None:
    world = World(tmp_path, "")
    world.end()
    world.notifier.round()
    assert "HOOK is not set" in Outbox(world.store).waiting()[0].last_error


def test_a_message_is_given_up_after_three_days(tmp_path: Path) -> None:
    world = World(tmp_path, "")
    world.end()
    world.notifier.collect()
    world.clock.sleep(73 * 3600)
    assert Outbox(world.store).claim(world.clock.now()) is None


def test_only_the_events_that_were_asked_for_are_told_and_settings_add_their_own(tmp_path: Path) -> None:
    with http_receiver() as receiver:
        world = World(tmp_path, receiver.url, "[{type: webhook, url_env: HOOK, on: [preempted]}]")
        world.settings = replace(world.settings, notify=(NotifyChannel(type="slack", url_env="HOOK", on=("ended",)),))
        world.attempt(1, AttemptState.RUNNING)
        world.end()
        world.again().round()
    assert [json.loads(body) for _, body in receiver.requests] == [{"text": "digits-aaaaaa is completed: all done"}]


def test_what_happened_before_the_upgrade_is_told_to_nobody(tmp_path: Path) -> None:
    from old_homes import unpack

    database = unpack(tmp_path / "home")
    store = Store.open(f"sqlite:///{database}")
    assert Outbox(store).unread_changes()[0] == [change for change in store.changes() if change.field == "schema"]


def test_budget_is_told_at_each_step_once_and_only_the_highest() -> None:
    run = factories.run(budget_usd=Decimal(10))
    keys = [[n.key for n in budget_notices(run, Decimal(spent), factories.T0)] for spent in ("4.99", "5", "8.5", "10")]
    assert keys == [[], ["budget:digits-aaaaaa:50"], ["budget:digits-aaaaaa:80"], ["budget:digits-aaaaaa:100"]]
    assert budget_notices(factories.run(), Decimal(5), factories.T0) == []


def test_a_deadline_that_is_missed_is_told() -> None:
    run = factories.run(deadline_at=factories.at(1))
    assert deadline_notices(run, None, factories.at(0.5)) == []
    assert [n.key for n in deadline_notices(run, None, factories.at(2))] == ["deadline:digits-aaaaaa:missed"]


def test_mail_reaches_its_receivers() -> None:
    with smtp_receiver() as (port, mails):
        channel = NotifyChannel.model_validate(
            {
                "type": "email",
                "host": "127.0.0.1",
                "port": port,
                "starttls": False,
                "from": "s@x.org",
                "to": ["a@x.org"],
            }
        )
        deliver(channel, MESSAGE, {})
    assert "Subject: spotwise: it is done" in mails[0]
    assert "To: a@x.org" in mails[0]


def test_a_command_gets_the_message_and_its_failure_counts(tmp_path: Path) -> None:
    env = {"PATH": "/usr/bin:/bin"}
    kept = NotifyChannel(type="command", command=f'cat > "{tmp_path}/$SPOTWISE_EVENT"')
    deliver(kept, MESSAGE, env)
    assert json.loads((tmp_path / "ended").read_text()) == MESSAGE
    with pytest.raises(DeliveryError, match="exit code 3"):
        deliver(NotifyChannel(type="command", command="exit 3"), MESSAGE, env)


def test_a_command_that_hangs_is_ended_with_all_it_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "COMMAND_TIMEOUT_S", 0.1)
    with pytest.raises(DeliveryError, match="longer than"):
        deliver(NotifyChannel(type="command", command="sleep 60 & wait"), MESSAGE, {"PATH": "/usr/bin:/bin"})


def test_a_url_that_is_none_is_refused_without_being_repeated() -> None:
    with pytest.raises(DeliveryError, match="HOOK holds no http or https URL") as said:
        deliver(NotifyChannel(type="slack", url_env="HOOK"), MESSAGE, {"HOOK": "file:///etc/s3cret"})
    assert "s3cret" not in str(said.value)


def test_a_thread_tells_what_happens_until_it_is_left(tmp_path: Path) -> None:
    with http_receiver() as receiver:
        world = World(tmp_path, receiver.url)
        before = threading.active_count()
        with world.notifier:
            world.end()
        assert threading.active_count() == before
    assert events_of(receiver.requests) == ["ended"]


@pytest.mark.parametrize(
    ("channel", "says"),
    [
        ("{type: webhook}", "notify[0].url_env: missing"),
        ("{type: email, host: h, to: [a]}", "notify[0].from: missing"),
        ("{type: slack, url_env: 'https://hooks'}", "the name of an environment variable"),
        ("{type: slak, url_env: X}", "did you mean slack"),
        ("{type: slack, url_env: X, on: [endet]}", "did you mean ended"),
        ("{type: slack, url: X}", "unknown key"),
    ],
)
def test_faults_of_channels_say_what_is_allowed(channel: str, says: str) -> None:
    with pytest.raises(JobFileError) as said:
        parse_job(f"run: x\nnotify: [{channel}]\n", source="job.yaml")
    assert says in str(said.value)
