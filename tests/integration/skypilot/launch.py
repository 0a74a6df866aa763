"""Starts the world in namespaces of its own and removes its folder afterwards. Usage: launch.py COMMAND...

Everything runs below one process with an own process table and own mounts. When that process is gone, whatever the
reason, the kernel has ended all that ran in it and undone all mounts; only the folder is left for us to remove.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from types import FrameType

HERE = Path(__file__).resolve().parent
FOLDERS = Path("/var/tmp")  # not /tmp: the world hides that behind one of its own  # noqa: S108
PREFIX = "spotwise-sky."
VARIABLE = "SPOTWISE_TEST_SKYPILOT"
PATIENCE_S = 30  # for pytest to write its summary after Ctrl-C


def remove_left_behind() -> None:
    """Folders whose owner is dead: a killed run could not remove its own. Living worlds share nothing with ours."""
    for folder in FOLDERS.glob(f"{PREFIX}*"):
        with (folder / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            shutil.rmtree(folder)


def new_folder(stack: ExitStack) -> Path:
    """Ours for as long as we live: the lock goes with this process."""
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=FOLDERS))
    folder.chmod(0o755)
    lock = stack.enter_context((folder / "lock").open("a"))
    fcntl.flock(lock, fcntl.LOCK_EX)
    return folder


def start(folder: Path, command: list[str]) -> subprocess.Popen[bytes]:
    """The first process of the world. `setpriv` and `--kill-child` pass our death on to it, even by SIGKILL."""
    outer = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child"]
    inner = ["--mount-proc", sys.executable, str(HERE / "inside.py"), str(folder)]
    return subprocess.Popen([*outer, *inner, *command])


def write_entrance(folder: Path, world: int) -> None:
    """`FOLDER/enter COMMAND...` from another terminal, for a look at a world that runs."""
    spaces = f"--mount=/proc/{world}/ns/mnt --uts=/proc/{world}/ns/uts --pid=/proc/{world}/ns/pid_for_children"
    script = folder / "enter"
    script.write_text(f'#!/bin/bash\nexec nsenter {spaces} --wdns="$PWD" env {VARIABLE}={folder} "${{@:-bash}}"\n')
    script.chmod(0o755)


def interrupted(signum: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + signum)


def main() -> int:
    command = sys.argv[1:]
    signal.signal(signal.SIGTERM, interrupted)
    signal.signal(signal.SIGHUP, interrupted)
    remove_left_behind()
    with ExitStack() as stack:
        folder = new_folder(stack)
        stack.callback(shutil.rmtree, folder)
        world = start(folder, command)
        stack.callback(world.wait)
        stack.callback(world.kill)
        write_entrance(folder, world.pid)
        return wait_for(world)


def wait_for(world: subprocess.Popen[bytes]) -> int:
    try:
        return world.wait()
    except KeyboardInterrupt:  # the terminal sent it to the tests too
        with suppress(subprocess.TimeoutExpired):
            world.wait(PATIENCE_S)
        return 128 + signal.SIGINT


if __name__ == "__main__":
    os.environ.pop("PYTHONPATH", None)
    sys.exit(main())
