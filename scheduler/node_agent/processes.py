"""Process trees of attempts and trials: who belongs to one, who is asked to save, and how nothing is left behind."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

FOLDER_VARIABLE = "SPOTWISE_ATTEMPT_FOLDER"  # in the environment of every process of an attempt; unique on a machine
# What runs other programs and does not pass signals on to them: shells, and what works like one.
_WRAPPERS = frozenset({"ash", "bash", "busybox", "dash", "ksh", "sh", "time", "xargs", "zsh"})
_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_CREATED_TOLERANCE_S = 2.0  # a process' start is known in clock ticks, and the boot time moves when clocks are set


def adopt_orphans() -> bool:
    """Become the parent of every descendant whose parent dies, also of those that called setsid. Linux only."""
    if sys.platform != "linux":
        return False
    return bool(ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def descendants() -> list[psutil.Process]:
    """Every live process below this one."""
    return [process for process in psutil.Process().children(recursive=True) if is_alive(process)]


def is_alive(process: psutil.Process) -> bool:
    """Whether it still runs; a zombie does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def find_process(pid: int, created: float) -> psutil.Process | None:
    """The live process with this number that was created then (seconds since the epoch), and not a later one."""
    try:
        process = psutil.Process(pid)
        is_same = abs(process.create_time() - created) <= _CREATED_TOLERANCE_S
    except psutil.NoSuchProcess:
        return None
    return process if is_same and is_alive(process) else None


def ask_to_leave(leader: psutil.Process) -> list[psutil.Process]:
    """Send SIGTERM to the job's program, not to its children: it knows best what to tell them. Who was told."""
    told = programs(leader)
    terminate(told)
    return told


def programs(*leaders: psutil.Process) -> list[psutil.Process]:
    """Who is to be told to save, in this order.

    A leader is a shell unless the command was so simple that the shell became the program. A shell dies of SIGTERM
    and tells nobody, so its direct children are told as well, the shell first: it must not go on to its next line.

    What only reads a pipe is left out, as ``tee`` in ``train | tee log``: a program that cannot print any more may die
    of that before it has saved. A reader that handles SIGTERM itself is a program, as in ``cat data | train``, unless
    another that does feeds it. What feeds it is left alone then: it must not take a lack of data for its end.
    """
    parts = _parts(leaders)
    told = {part.process.pid: part for part in parts if not part.is_wrapper and _is_program(part, parts)}
    fed = {part.reads for part in told.values() if part.reads}
    told = {pid: part for pid, part in told.items() if part.handles_sigterm or not fed & part.writes}
    for part in reversed(parts):  # a wrapper whose input is a pipe may be a filter itself: it is what runs below it
        if part.is_wrapper and (not part.is_filtering or any(part in other.above for other in told.values())):
            told[part.process.pid] = part
    return [part.process for part in parts if part.process.pid in told]


def filters(*leaders: psutil.Process) -> list[psutil.Process]:
    """What of the job only reads a pipe; it still has to print what the program said last."""
    told = {process.pid for process in programs(*leaders)}
    return [part.process for part in _parts(leaders) if part.reads and part.process.pid not in told]


@dataclass(frozen=True, slots=True)
class _JobProcess:
    """A process of a job that may be a program: a leader, or a child of a shell."""

    process: psutil.Process
    above: tuple[_JobProcess, ...]  # the shells that it was started through
    is_wrapper: bool  # a shell, or what else runs other programs and does not pass signals on
    handles_sigterm: bool
    reads: str  # the pipe that is its input; "" for other input
    writes: frozenset[str]  # pipes that are its output

    @property
    def is_filtering(self) -> bool:
        """Whether it stands behind a pipe, by itself or with the shell that runs it."""
        return bool(self.reads) or any(part.reads for part in self.above)


def _parts(leaders: Iterable[psutil.Process]) -> list[_JobProcess]:
    """The leaders and, of shells, the children, shells below shells too; each after those that it was started by."""
    found = [_part(leader, ()) for leader in leaders]
    for part in found:  # grows while it is walked
        if part.is_wrapper:
            found += [_part(child, (*part.above, part)) for child in _children(part.process)]
    return found


def _part(process: psutil.Process, above: tuple[_JobProcess, ...]) -> _JobProcess:
    written = frozenset(pipe for number in (1, 2) if (pipe := _pipe(process, number)))
    return _JobProcess(process, above, _is_wrapper(process), _handles_sigterm(process), _pipe(process, 0), written)


def _is_program(part: _JobProcess, parts: Iterable[_JobProcess]) -> bool:
    """Whether it is told, where it is no shell."""
    if not part.is_filtering:
        return True
    inputs = {each.reads for each in (part, *part.above) if each.reads}
    feeders = [each for each in parts if each.writes & inputs and each is not part]
    return part.handles_sigterm and not any(each.handles_sigterm for each in feeders)


def terminate(processes: Iterable[psutil.Process]) -> None:
    """Send SIGTERM, in this order; those that are gone do not matter."""
    for process in processes:
        _send(process, signal.SIGTERM)


def kill_all(find: Callable[[], list[psutil.Process]], *, patience_s: float = 10.0) -> bool:
    """SIGKILL what ``find`` finds until it finds nothing: some may fork meanwhile. False if some cannot be killed."""
    give_up = time.monotonic() + patience_s
    while found := find():
        for process in found:
            _send(process, signal.SIGKILL)
        if time.monotonic() > give_up:
            return False
        time.sleep(0.01)
    return True


def leftovers(folder: Path, sessions: Mapping[int, float]) -> list[psutil.Process]:
    """Live processes of an attempt whose node is gone, with all their descendants.

    Known by the environment they inherited or by their session (leader's pid -> when it was created): a program that
    sets its title, as Ray's workers do, overwrites its environment.
    """
    mark = str(folder)
    return _with_descendants(p for p in psutil.process_iter() if _is_marked(p, mark) or _is_in_session(p, sessions))


def tree_of(pid: int, created: float) -> list[psutil.Process]:
    """Live processes that one which leads a session has started, itself among them; also once it is gone."""
    leader, session = find_process(pid, created), {pid: created}
    members = (process for process in psutil.process_iter() if _is_in_session(process, session))
    return _with_descendants([leader, *members] if leader else members)


def roots(tree: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Those of a tree whose parent does not belong to it: its leader, or what a leader that is gone has left."""
    by_pid = {process.pid: process for process in tree}
    return [process for process in by_pid.values() if _parent(process) not in by_pid]


def _with_descendants(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    found = {process.pid: process for process in processes}
    for process in list(found.values()):
        found |= {child.pid: child for child in _children(process, recursive=True)}
    return [process for process in found.values() if is_alive(process)]


def _parent(process: psutil.Process) -> int | None:
    try:
        return int(process.ppid())
    except psutil.NoSuchProcess:
        return None


def _is_wrapper(process: psutil.Process) -> bool:
    try:
        return Path(process.exe()).name in _WRAPPERS
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def _pipe(process: psutil.Process, number: int) -> str:
    """The pipe behind an open file of a process, by its name in Linux; "" for anything else."""
    try:
        target = Path(f"/proc/{process.pid}/fd/{number}").readlink().name
    except OSError:
        return ""
    return target if target.startswith("pipe:") else ""


def _handles_sigterm(process: psutil.Process) -> bool:
    """Whether it does something of its own when it is told to end, or waits for the signal in a thread."""
    try:
        lines = Path(f"/proc/{process.pid}/status").read_text(errors="replace").splitlines()
    except OSError:
        return False
    masks = [int(line.split()[1], 16) for line in lines if line.startswith(("SigCgt:", "SigBlk:"))]
    return any(mask >> (signal.SIGTERM - 1) & 1 for mask in masks)


def _children(process: psutil.Process, *, recursive: bool = False) -> list[psutil.Process]:
    try:
        return process.children(recursive=recursive)
    except psutil.NoSuchProcess:
        return []


def _is_marked(process: psutil.Process, mark: str) -> bool:
    try:
        return process.environ().get(FOLDER_VARIABLE) == mark
    except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
        return False


def _is_in_session(process: psutil.Process, sessions: Mapping[int, float]) -> bool:
    """Whether it belongs to one of these sessions, and not to a later one that got the same number."""
    try:
        session = os.getsid(process.pid)
        created = sessions.get(session)
        if created is None or process.create_time() < created - _CREATED_TOLERANCE_S:
            return False
        return psutil.boot_time() < created and _was_created(session, created)
    except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
        return False


def _was_created(pid: int, created: float) -> bool:
    """Whether this pid, if it is in use, still is the process created then."""
    try:
        return abs(psutil.Process(pid).create_time() - created) <= _CREATED_TOLERANCE_S
    except psutil.NoSuchProcess:
        return True  # the leader is gone, and its number stays reserved while its session lives


def _send(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return  # gone meanwhile, or no longer ours (setuid)
