"""Real processes, really signalled and killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from spotwise.checkpoints import EXIT_PREEMPTED, EXIT_UNSAVED, latest_checkpoint, read_progress

WITHOUT_TORCH = """
import time
from spotwise.checkpoints import Session
session = Session.from_env()
print("continues", session.restored and session.restored.step, flush=True)
for epoch in session.epochs(3):
    for batch in session.batches(range(4)):
        if (epoch, batch) == (1, 1) and not session.restored:
            print("ready", flush=True)
            time.sleep(1)  # a signal does not shorten it
        session.step()
    session.report(epoch=epoch)
"""

DYING_WHILE_SAVING = """
import time
from spotwise.checkpoints import storage
from spotwise.checkpoints import Session
put = storage.LocalStorage.put
def hang_on_the_second(self, name, data):
    if name == "step-000000002/manifest.json":
        print("ready", flush=True)
        time.sleep(600)
    put(self, name, data)
storage.LocalStorage.put = hang_on_the_second
for epoch in Session.from_env().epochs(3):
    pass
"""

WITH_LOADER_WORKERS = """
import sys
import torch
from torch.utils.data import DataLoader
from spotwise.checkpoints import Session

class Noisy(torch.utils.data.Dataset):
    def __len__(self): return 12
    def __getitem__(self, index): return index + torch.rand(1)

if __name__ == "__main__":
    torch.manual_seed(0)
    loader = DataLoader(Noisy(), batch_size=2, shuffle=True, num_workers=2)
    total = torch.nn.Parameter(torch.zeros(1))
    session = Session.from_env(optimizer=torch.optim.SGD([total], 0.1), order=torch.nn.ParameterList([total]))
    for epoch in session.epochs(1):
        for number, batch in enumerate(session.batches(loader)):
            if sys.argv[1:] == ["wait"] and number == 2:
                print("ready", flush=True)
                sys.stdin.readline()
            with torch.no_grad():
                total += (0.5 * total + batch).sum() * torch.rand(1)
            session.step(samples=2)
        session.report(total=total.item())
"""


def environment(folder: Path) -> dict[str, str]:
    spotwise = {
        "SPOTWISE_CHECKPOINT_URL": str(folder / "checkpoints"),
        "SPOTWISE_PROGRESS_URL": str(folder / "progress.jsonl"),
        "SPOTWISE_CHECKPOINT_EVERY": "1 epochs",
    }
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **spotwise}


@contextmanager
def started(folder: Path, program: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The program in a process group of its own, as an engine starts it; gone at the end."""
    script = folder / "train.py"
    script.write_text(program)
    process = subprocess.Popen(
        [sys.executable, str(script), *arguments],
        env=environment(folder),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def wait_for(process: subprocess.Popen[str], word: str) -> None:
    for line in process.stdout:
        if line.strip() == word:
            return
    pytest.fail(f"ended without saying {word!r}")


def wait_until_dead(processes: list[psutil.Process]) -> None:
    """Their parent need not have noticed: zombies count."""
    for one in processes:
        with suppress(psutil.NoSuchProcess):
            while one.status() != psutil.STATUS_ZOMBIE:
                time.sleep(0.02)


def run(folder: Path, program: str) -> int:
    with started(folder, program) as process:
        return process.wait(60)


def totals(folder: Path) -> list[float]:
    records = read_progress(str(folder / "progress.jsonl"))
    return [record.metrics["total"] for record in records if record.event.value == "progress"]


def test_a_notice_ends_a_process_with_75_after_a_committed_checkpoint(tmp_path: Path) -> None:
    with started(tmp_path, WITHOUT_TORCH) as process:
        wait_for(process, "ready")
        os.killpg(process.pid, signal.SIGTERM)
        assert process.wait(60) == EXIT_PREEMPTED == 75
    saved = latest_checkpoint(str(tmp_path / "checkpoints"))
    assert (saved.position.epoch, saved.position.step, saved.position.batch) == (1, 6, 2)
    last = read_progress(str(tmp_path / "progress.jsonl"))[-1]
    assert (last.event.value, last.checkpoint) == ("stopping", saved.name)
    assert run(tmp_path, WITHOUT_TORCH) == 0
    assert read_progress(str(tmp_path / "progress.jsonl"))[-1].step == 12


def test_a_notice_that_cannot_be_saved_does_not_end_with_75(tmp_path: Path) -> None:
    with started(tmp_path, WITHOUT_TORCH) as process:
        wait_for(process, "ready")
        (tmp_path / "checkpoints" / "step-000000006").write_text("in the way")
        os.killpg(process.pid, signal.SIGTERM)
        assert process.wait(60) == EXIT_UNSAVED
    assert latest_checkpoint(str(tmp_path / "checkpoints")).position.step == 4


def test_killed_within_a_save_the_one_before_is_used_and_the_rest_swept_up(tmp_path: Path) -> None:
    with started(tmp_path, DYING_WHILE_SAVING) as process:
        wait_for(process, "ready")
        os.killpg(process.pid, signal.SIGKILL)
    torn = tmp_path / "checkpoints" / "step-000000002"
    assert torn.exists()
    assert not (torn / "manifest.json").exists()
    assert latest_checkpoint(str(tmp_path / "checkpoints")).position.step == 1
    assert run(tmp_path, DYING_WHILE_SAVING.replace("step-000000002", "never")) == 0
    assert [record.epoch for record in read_progress(str(tmp_path / "progress.jsonl"))][-1] == 3


def test_importing_it_loads_nothing_heavy() -> None:
    heavy = "{'torch', 'numpy', 'fsspec', 'ray', 'sqlalchemy', 'pydantic'}"
    program = f"import sys, spotwise.checkpoints; print({heavy} & set(sys.modules))"
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.slow
def test_loader_processes_that_die_of_the_notice_do_not_spoil_the_save(tmp_path: Path) -> None:
    """The notice reaches the whole process group; PyTorch would turn its workers' death into an error anywhere."""
    undisturbed, interrupted = tmp_path / "undisturbed", tmp_path / "interrupted"
    for folder in (undisturbed, interrupted):
        folder.mkdir()
    assert run(undisturbed, WITH_LOADER_WORKERS) == 0
    with started(interrupted, WITH_LOADER_WORKERS, "wait") as process:
        wait_for(process, "ready")
        workers = psutil.Process(process.pid).children()
        os.killpg(process.pid, signal.SIGTERM)
        wait_until_dead(workers)
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.wait(60) == EXIT_PREEMPTED
    assert latest_checkpoint(str(interrupted / "checkpoints")).position.batch == 3
    assert run(interrupted, WITH_LOADER_WORKERS) == 0
    assert totals(interrupted) == totals(undisturbed)


SLOW_TO_LEAVE = """
import atexit, time
from spotwise.checkpoints import Session

def farewell():
    print("leaving", flush=True)
    time.sleep(1)

atexit.register(farewell)
session = Session.from_env()
print("ready", flush=True)
for epoch in session.epochs(600):
    time.sleep(0.05)
"""


def test_a_second_notice_changes_nothing_for_a_program_that_has_saved_and_leaves(tmp_path: Path) -> None:
    """A platform signals every process of a machine, and then our agent does."""
    with started(tmp_path, SLOW_TO_LEAVE) as process:
        wait_for(process, "ready")
        process.send_signal(signal.SIGTERM)
        wait_for(process, "leaving")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == EXIT_PREEMPTED
