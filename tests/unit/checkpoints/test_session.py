"""Session: continues exactly, saves when due, leaves when told, and never says saved when it is not."""

from __future__ import annotations

import errno
import logging
import os
import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from spotwise.checkpoints import (
    EXIT_PREEMPTED,
    EXIT_UNSAVED,
    Every,
    ProgressEvent,
    SaveError,
    Session,
    SessionError,
    SessionSettings,
    StateError,
    Unit,
    latest_checkpoint,
    read_progress,
)
from spotwise.checkpoints.storage import LocalStorage

EPOCHS, BATCHES = 3, 5  # BATCHES as in conftest

NEVER = Every(10**6, Unit.EPOCHS)  # only notices and the end save


class FullDisk(LocalStorage):
    """Has room for a number of manifests and not for one more."""

    def __init__(self, root: Path, room: int) -> None:
        super().__init__(root)
        self.room = room

    def put(self, name: str, data: bytes) -> None:
        if self.room == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.room -= 1
        super().put(name, data)


class Shuffled:
    """The order that the training's own loader draws."""

    def __iter__(self) -> Iterator[int]:
        yield from random.sample(range(BATCHES), BATCHES)


class DyingLoader(Shuffled):
    """Fails while the next batch is awaited, as PyTorch's does when its workers die."""

    def __init__(self, drawn: int, *, notice: bool = True) -> None:
        self._drawn = drawn
        self._notice = notice

    def __iter__(self) -> Iterator[int]:
        yield from list(super().__iter__())[: self._drawn]
        if self._notice:
            os.kill(os.getpid(), signal.SIGTERM)
        raise RuntimeError("DataLoader worker is killed by signal: Terminated.")


def checkpoints(folder: Path) -> list[str]:
    return sorted(path.parent.name for path in (folder / "checkpoints").glob("*/manifest.json"))


def events(folder: Path) -> list[str]:
    return [record.event.value for record in read_progress(str(folder / "progress.jsonl"))]


def run_preempted(training: Any, epochs: int = EPOCHS, **how: Any) -> int:
    with pytest.raises(SystemExit) as left:
        training.run(epochs, **how)
    return left.value.code


@pytest.mark.parametrize("notice_after", range(1, EPOCHS * BATCHES - BATCHES + 1))
def test_a_notice_at_any_step_costs_no_step_and_changes_no_loss(
    training: Callable[..., Any], tmp_path: Path, notice_after: int
) -> None:
    """Interrupted within every step before the last epoch; the order of batches and the noise are random."""
    undisturbed = training(tmp_path / "undisturbed")
    undisturbed.run(EPOCHS)

    first = training(every=NEVER)
    assert run_preempted(first, notice_after=notice_after) == EXIT_PREEMPTED
    assert first.steps == notice_after  # left at once
    second = training(every=NEVER)
    random.random()  # what a script does between making a session and training
    second.run(EPOCHS)
    assert first.losses + second.losses == undisturbed.losses
    assert first.steps + second.steps == undisturbed.steps


def test_many_notices_in_a_row_change_no_loss(training: Callable[..., Any], tmp_path: Path) -> None:
    undisturbed = training(tmp_path / "undisturbed")
    undisturbed.run(EPOCHS)
    losses: list[float] = []
    for _ in range(4):
        part = training()
        assert run_preempted(part, notice_after=2) == EXIT_PREEMPTED
        losses += part.losses
    last = training()
    last.run(EPOCHS)
    assert losses + last.losses == undisturbed.losses


def test_after_a_crash_it_continues_from_the_last_due_checkpoint(training: Callable[..., Any], tmp_path: Path) -> None:
    undisturbed = training(tmp_path / "undisturbed")
    undisturbed.run(EPOCHS)
    with pytest.raises(MemoryError):
        training(every=Every(3, Unit.STEPS)).run(EPOCHS, die_after=9)
    second = training(every=Every(3, Unit.STEPS))
    assert second.session.restored.step == 6
    second.run(EPOCHS)
    assert second.losses == undisturbed.losses[1:]


def test_without_batches_a_notice_waits_for_the_end_of_the_epoch(training: Callable[..., Any], tmp_path: Path) -> None:
    undisturbed = training(tmp_path / "undisturbed")
    undisturbed.run(EPOCHS)
    first = training(every=NEVER)
    assert run_preempted(first, notice_after=2, batches=False) == EXIT_PREEMPTED
    assert first.steps == BATCHES
    second = training(every=NEVER)
    second.run(EPOCHS, batches=False)
    assert first.losses + second.losses == undisturbed.losses


def test_a_notice_in_the_last_epoch_still_finishes_when_it_comes_at_its_end(
    training: Callable[..., Any], tmp_path: Path
) -> None:
    """With all work done and saved there is nothing to be started again for."""
    training().run(1, notice_after=BATCHES, batches=False)
    assert events(tmp_path)[-1] == "finished"


def test_a_notice_before_any_work_leaves_with_nothing_to_save(training: Callable[..., Any], tmp_path: Path) -> None:
    waiting = training()
    os.kill(os.getpid(), signal.SIGTERM)
    assert run_preempted(waiting) == EXIT_PREEMPTED
    assert events(tmp_path) == ["started", "stopping"]
    assert checkpoints(tmp_path) == []


def test_progress_tells_the_whole_story(training: Callable[..., Any], tmp_path: Path) -> None:
    run_preempted(training(), notice_after=7)
    training(attempt=2).run(2)
    told = [
        (record.event.value, record.attempt, record.epoch, record.step, record.checkpoint)
        for record in read_progress(str(tmp_path / "progress.jsonl"))
    ]
    assert told == [
        ("started", 1, 0, 0, None),
        ("progress", 1, 1, 5, None),
        ("checkpoint", 1, 1, 5, "step-000000005"),
        ("checkpoint", 1, 1, 7, "step-000000007"),
        ("stopping", 1, 1, 7, "step-000000007"),
        ("started", 2, 1, 7, "step-000000007"),
        ("progress", 2, 2, 10, "step-000000007"),
        ("checkpoint", 2, 2, 10, "step-000000010"),
        ("finished", 2, 2, 10, "step-000000010"),
    ]


def test_speed_is_told_when_samples_are_counted(training: Callable[..., Any], tmp_path: Path) -> None:
    training().run(1)
    (record,) = [one for one in read_progress(str(tmp_path / "progress.jsonl")) if one.event is ProgressEvent.PROGRESS]
    assert record.samples_per_second > 0


def test_every_two_epochs_and_at_the_end(training: Callable[..., Any], tmp_path: Path) -> None:
    training(every=Every(2, Unit.EPOCHS)).run(5)
    assert checkpoints(tmp_path) == ["step-000000010", "step-000000020", "step-000000025"]


def test_only_the_newest_are_kept(training: Callable[..., Any], tmp_path: Path) -> None:
    training(keep=2).run(5)
    assert checkpoints(tmp_path) == ["step-000000020", "step-000000025"]


def test_minutes_are_counted_by_the_clock_it_is_given(tmp_path: Path) -> None:
    minutes = iter(range(100))  # each look at the clock is a minute later
    settings = SessionSettings(str(tmp_path / "checkpoints"), str(tmp_path / "progress.jsonl"), Every(10, Unit.MINUTES))
    session = Session(settings, {}, clock=lambda: next(minutes) * 60.0)
    for _ in session.epochs(7):
        session.report()
    assert 1 < len(checkpoints(tmp_path)) < 7


def test_a_finished_training_has_nothing_left_to_do(training: Callable[..., Any], tmp_path: Path) -> None:
    training().run(2)
    again = training()
    again.run(2)
    assert (again.steps, again.session.restored.epoch) == (0, 2)
    assert events(tmp_path)[-2:] == ["started", "finished"]


def test_more_epochs_than_before_continue(training: Callable[..., Any]) -> None:
    training().run(1)
    more = training()
    more.run(EPOCHS)
    assert more.steps == (EPOCHS - 1) * BATCHES


def test_what_was_restored_is_told(training: Callable[..., Any]) -> None:
    first = training()
    assert first.session.restored is None
    first.run(2)
    restored = training().session.restored
    assert (restored.checkpoint, restored.epoch, restored.step) == ("step-000000010", 2, 10)
    assert restored.metrics == {"loss": first.losses[-1]}


def test_a_truncated_newest_checkpoint_costs_one_epoch(
    training: Callable[..., Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    undisturbed = training(tmp_path / "undisturbed")
    undisturbed.run(EPOCHS)
    training(keep=2).run(2)
    (data,) = (tmp_path / "checkpoints" / "step-000000010").glob("state*")
    data.write_bytes(data.read_bytes()[:-10])
    second = training(keep=1)
    assert second.session.restored.checkpoint == "step-000000005"
    assert "step-000000010" in caplog.text
    second.run(EPOCHS)
    assert second.losses == undisturbed.losses[1:]
    assert checkpoints(tmp_path) == ["step-000000015"]


def test_with_no_intact_checkpoint_it_starts_over_and_says_so(
    training: Callable[..., Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    training().run(1)
    (tmp_path / "checkpoints" / "step-000000005" / "manifest.json").write_text("{")
    assert training().session.restored is None
    assert "starts over" in caplog.text


def test_a_full_disk_is_a_warning_and_training_goes_on(
    training: Callable[..., Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    disk = FullDisk(tmp_path / "checkpoints", room=1)
    full = training(storage=disk)
    with pytest.raises(SaveError):  # at the very end it is no longer a warning: the result is not saved
        full.run(EPOCHS)
    assert len(full.losses) == EPOCHS
    assert "No space left" in caplog.text
    assert "the last checkpoint is step-000000005" in caplog.text
    assert checkpoints(tmp_path) == ["step-000000005"]
    assert events(tmp_path).count("checkpoint") == 1
    assert "finished" not in events(tmp_path)


def test_a_full_disk_at_a_notice_is_not_called_saved(training: Callable[..., Any], tmp_path: Path) -> None:
    disk = FullDisk(tmp_path / "checkpoints", room=1)
    assert run_preempted(training(storage=disk), notice_after=7) == EXIT_UNSAVED
    assert "stopping" not in events(tmp_path)
    assert training().session.restored.step == 5


def test_a_full_disk_under_the_progress_file_does_not_stop_training(
    training: Callable[..., Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "progress.jsonl").mkdir()
    training().run(1)
    assert checkpoints(tmp_path) == ["step-000000005"]
    assert "Progress cannot be written" in caplog.text


@pytest.mark.parametrize("value", [1, 0.5, float("nan")])
def test_metrics_are_numbers(training: Callable[..., Any], tmp_path: Path, value: float) -> None:
    session = training().session
    for _ in session.epochs(1):
        session.report(metric=value)
    reported = read_progress(str(tmp_path / "progress.jsonl"))[-1].metrics["metric"]
    assert (type(reported), str(reported)) == (type(value), str(value))


@pytest.mark.parametrize("value", ["high", None, [1.0]])
def test_a_metric_that_is_no_number_is_named(training: Callable[..., Any], value: object) -> None:
    session = training().session
    with pytest.raises(SessionError, match="metric"):
        for _ in session.epochs(1):
            session.report(metric=value)


def test_an_epoch_nobody_reported_counts(training: Callable[..., Any], tmp_path: Path) -> None:
    for _ in training().session.epochs(2):
        pass
    assert checkpoints(tmp_path) == ["step-000000001", "step-000000002"]


def test_leaving_the_loop_early_can_be_finished(training: Callable[..., Any], tmp_path: Path) -> None:
    session = training(every=NEVER).session
    for epoch in session.epochs(9):
        session.report()
        if epoch == 1:
            break
    session.finish()
    assert (checkpoints(tmp_path), events(tmp_path)[-1]) == (["step-000000002"], "finished")


def test_after_the_end_sigterm_is_given_back(training: Callable[..., Any]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    one = training()
    assert signal.getsignal(signal.SIGTERM) != before
    one.run(1)
    assert signal.getsignal(signal.SIGTERM) == before


def test_misuse_is_explained(training: Callable[..., Any]) -> None:
    session = training().session
    with pytest.raises(SessionError, match="inside"):
        session.report()
    with pytest.raises(SessionError, match="once an epoch"):
        for _ in session.epochs(1):
            list(session.batches([1]))
            list(session.batches([1]))


def test_a_resumed_epoch_must_use_batches_again(training: Callable[..., Any]) -> None:
    run_preempted(training(), notice_after=2)
    with pytest.raises(SessionError, match="middle of an epoch"):
        training().run(EPOCHS, batches=False)


def test_a_loader_that_became_shorter_is_noticed(training: Callable[..., Any]) -> None:
    run_preempted(training(), notice_after=4)
    session = training().session
    with pytest.raises(SessionError, match="has only 2"):
        for _ in session.epochs(1):
            list(session.batches([1, 2]))


def test_other_parts_than_were_saved_are_refused(training: Callable[..., Any], tmp_path: Path) -> None:
    one = training()
    one.run(1)
    with pytest.raises(StateError, match="walk"):
        Session(one.settings, {"model": one.walk})


def test_what_cannot_be_kept_is_refused_before_training(training: Callable[..., Any]) -> None:
    class Opaque:
        def state_dict(self) -> dict[str, object]:
            return {"callback": print}

        def load_state_dict(self, state: object) -> None: ...

    settings = training().settings
    with pytest.raises(StateError, match="loader"):
        Session(settings, {"loader": [1, 2]})
    with pytest.raises(StateError):
        Session(settings, {"opaque": Opaque()})


@pytest.fixture
def request_file(tmp_path: Path) -> Path:
    return tmp_path / "save-now"


def touch(path: Path, at_s: int) -> None:
    """Touch a file at a time of its own: a clock may stand still between two steps."""
    path.touch()
    os.utime(path, (at_s, at_s))


def train_asked(
    session: Session, asks: dict[int, Callable[[], object]], *, epochs: int = 1, counted: bool = True
) -> None:
    """Train; before the session counts the n-th step of this process, ``asks[n]`` happens."""
    step = 0
    for _ in session.epochs(epochs):
        for _ in session.batches(range(BATCHES)) if counted else range(BATCHES):
            step += 1
            asks.get(step, lambda: None)()
            session.step()
        session.report()


def test_a_request_to_save_is_done_once_at_the_next_step_and_training_goes_on(
    training: Callable[..., Any], tmp_path: Path, request_file: Path
) -> None:
    session = training(every=NEVER, save_request=str(request_file)).session
    train_asked(session, {2: lambda: touch(request_file, 100)})
    assert checkpoints(tmp_path) == ["step-000000002", "step-000000005"]  # the last is that of the end
    assert events(tmp_path)[-1] == "finished"


def test_every_touch_is_a_request_of_its_own(training: Callable[..., Any], tmp_path: Path, request_file: Path) -> None:
    """Touched again, removed (which is none), made again with the time that it had before."""
    session = training(every=NEVER, keep=9, save_request=str(request_file)).session
    asks = {1: lambda: touch(request_file, 100), 2: lambda: touch(request_file, 200), 3: request_file.unlink}
    train_asked(session, {**asks, 4: lambda: touch(request_file, 200)})
    assert checkpoints(tmp_path) == [f"step-{step:09d}" for step in (1, 2, 4, 5)]


def test_a_request_from_before_the_session_does_not_count(
    training: Callable[..., Any], tmp_path: Path, request_file: Path
) -> None:
    touch(request_file, 100)
    train_asked(training(every=NEVER, save_request=str(request_file)).session, {})
    assert checkpoints(tmp_path) == ["step-000000005"]


def test_a_request_at_a_step_where_a_checkpoint_is_due_is_one_checkpoint(
    training: Callable[..., Any], tmp_path: Path, request_file: Path
) -> None:
    session = training(every=Every(2, Unit.STEPS), keep=9, save_request=str(request_file)).session
    train_asked(session, {2: lambda: touch(request_file, 100)})
    assert events(tmp_path).count("checkpoint") == 3  # of steps 2, 4 and 5


def test_a_training_saved_on_request_resumes_with_the_same_losses(
    training: Callable[..., Any], tmp_path: Path, request_file: Path
) -> None:
    undisturbed = training(tmp_path / "undisturbed")
    undisturbed.run(EPOCHS)
    first = training(every=NEVER, save_request=str(request_file))
    count = first.session.step
    first.session.step = lambda samples: (touch(request_file, 100) if first.steps == 7 else None, count(samples))
    with pytest.raises(MemoryError):
        first.run(EPOCHS, die_after=9)
    second = training(every=NEVER)
    assert second.session.restored.step == 7
    second.run(EPOCHS)
    assert first.losses + second.losses == undisturbed.losses


def test_without_batches_a_request_waits_for_the_end_of_the_epoch(
    training: Callable[..., Any], tmp_path: Path, request_file: Path
) -> None:
    session = training(every=NEVER, save_request=str(request_file)).session
    train_asked(session, {2: lambda: touch(request_file, 100)}, epochs=2, counted=False)
    assert checkpoints(tmp_path) == ["step-000000005", "step-000000010"]


def test_a_request_that_no_disk_can_take_is_a_warning_and_tried_once(
    training: Callable[..., Any], tmp_path: Path, request_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    disk = FullDisk(tmp_path / "checkpoints", room=0)
    session = training(every=NEVER, storage=disk, save_request=str(request_file)).session
    with pytest.raises(SaveError):
        train_asked(session, {1: lambda: touch(request_file, 100)})
    assert caplog.text.count("Training goes on") == 2  # of the request, and of the end


def test_only_the_first_rank_looks_for_requests(
    monkeypatch: pytest.MonkeyPatch, training: Callable[..., Any], request_file: Path
) -> None:
    touch(request_file, 100)
    looks: list[str] = []
    stat = Path.stat
    monkeypatch.setattr(Path, "stat", lambda path, **how: (looks.append(path.name), stat(path, **how))[1])
    train_asked(training(rank=1, save_request=str(request_file)).session, {})
    assert request_file.name not in looks
    train_asked(training(save_request=str(request_file)).session, {})
    assert looks.count(request_file.name) == 1 + BATCHES  # once at the start, once a step


def test_own_generators_continue_too(tmp_path: Path) -> None:
    settings = SessionSettings(str(tmp_path / "checkpoints"), str(tmp_path / "progress.jsonl"))

    def draw(epochs: int) -> list[float]:
        generator = random.Random(3)
        session = Session(settings, {"order": generator})
        drawn = []
        for _ in session.epochs(epochs):
            drawn.append(generator.random())
            session.report()
        return drawn

    expected = random.Random(3)
    assert draw(1) + draw(3) == [expected.random() for _ in range(3)]


def test_a_rank_that_is_not_the_first_restores_and_writes_nothing(training: Callable[..., Any], tmp_path: Path) -> None:
    training().run(1)
    lines = len(events(tmp_path))
    other = training(rank=1)
    assert other.session.restored.epoch == 1
    assert run_preempted(other, notice_after=2) == EXIT_PREEMPTED
    assert checkpoints(tmp_path) == ["step-000000005"]
    assert len(events(tmp_path)) == lines


def test_from_env_needs_no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, training: object) -> None:
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(("SPOTWISE_", "RANK")):
            monkeypatch.delenv(name)
    session = Session.from_env()
    for _ in session.epochs(1):
        session.report(loss=1)
    assert session.hparams == {}
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["progress.jsonl", "step-000000001"]


def test_checkpoints_of_a_bucket_work_as_those_of_a_disk(training: Callable[..., Any], tmp_path: Path) -> None:
    url = f"memory://{tmp_path.name}"
    settings = SessionSettings(f"{url}/checkpoints", f"{url}/progress.jsonl", keep=2)
    for epochs in (2, 4):
        session = Session(settings, {})
        for _ in session.epochs(epochs):
            session.report()
    assert session.restored.epoch == 2
    assert latest_checkpoint(f"{url}/checkpoints").position.epoch == 4
    assert [record.event.value for record in read_progress(f"{url}/progress.jsonl")].count("checkpoint") == 4


def test_outside_the_main_thread_it_says_that_notices_go_unheard(
    monkeypatch: pytest.MonkeyPatch, training: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("threading.main_thread", lambda: None)
    with caplog.at_level(logging.WARNING):
        training().run(1)
    assert "main thread" in caplog.text


@pytest.mark.parametrize("drawn", [0, 2])
def test_a_notice_that_ends_the_loader_between_two_steps_changes_no_loss(
    training: Callable[..., Any], tmp_path: Path, drawn: int
) -> None:
    """A loader's worker processes get the same notice; waiting for their next batch then ends in an error."""
    undisturbed = training(tmp_path / "undisturbed")
    undisturbed.run(EPOCHS)
    first = training(every=NEVER)
    with pytest.raises(SystemExit) as left:
        first.run(EPOCHS, loaders=[Shuffled(), DyingLoader(drawn)])
    assert left.value.code == EXIT_PREEMPTED
    second = training(every=NEVER)
    assert (second.session.restored.epoch, second.session.restored.step) == (1, BATCHES + drawn)
    second.run(EPOCHS)
    assert first.losses + second.losses == undisturbed.losses


def test_a_loader_that_fails_without_a_notice_is_a_failure(training: Callable[..., Any]) -> None:
    with pytest.raises(RuntimeError, match="worker"):
        training().run(1, loaders=[DyingLoader(2, notice=False)])


def test_a_finished_session_trains_no_more(training: Callable[..., Any], tmp_path: Path) -> None:
    """Its notices go unheard, and its progress file has said that all is done."""
    first = training()
    first.run(1)
    with pytest.raises(SessionError, match=r"epochs\(\) once; give it the total"):
        first.run(2)
    assert events(tmp_path)[-1] == "finished"
