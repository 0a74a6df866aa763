"""What a plan costs: CPU and memory of ``spotwise plan`` over 62 pools, beside the build of an earlier commit.

    python benchmarks/plan.py [--before COMMIT] [--rounds 3]

Deadlines of one week and of four, 48 h of work, an emulated market of one GPU type. Each plan is a process of its own,
so start-up counts. Numerical libraries have one thread: those of the earlier build would mostly wait for each other.
Builds take turns, and the least of some rounds is shown. Then one policy decision in a process that goes on, as in a
supervisor: the first, which makes its tables, and the next.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

from spotwise.scheduler.cli.main import cli as spotwise
from spotwise.scheduler.policies.base import Decision, Situation
from spotwise.scheduler.policies.deadline import MeetDeadline

ROOT = Path(__file__).resolve().parents[1]
BEFORE = "54522fb"
POOLS = 62
WEEKS = (1, 4)
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}
JOB = """name: bench-plan
deadline: {weeks}w
work: {{epochs: 30, hours: 48, reference: T4}}
checkpoint: {{every: 1 epochs}}
resources: {{accelerators: T4:1}}
run: python train.py
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", default=BEFORE)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_case(folder)
        builds = {"today": _build(folder / "today", None), options.before: _build(folder / "before", options.before)}
        print(f"spotwise plan, {POOLS} pools, 48 h of work; least of {options.rounds} rounds\n")
        print(f"{'deadline':<10}{'build':<12}{'CPU s':>8}{'peak MB':>9}")
        for weeks in WEEKS:
            least: dict[str, tuple[float, float]] = {}
            for _ in range(options.rounds):
                for build, path in builds.items():
                    if path is not None:
                        least[build] = min(least.get(build, (1e9, 0.0)), _planned(folder, path, weeks))
            for build, (cpu, megabytes) in least.items():
                print(f"{weeks} w{'':<7}{build:<12}{cpu:>8.2f}{megabytes:>9.0f}")
            if options.before not in least:
                print(f"{weeks} w{'':<7}{options.before:<12}left out: this clone has no such commit")
        for weeks in WEEKS:
            first, after = _decided(folder, weeks)
            print(f"decision, {weeks} w: {first:.2f} s of CPU with its tables, {1000 * after:.1f} ms after that")


def write_case(folder: Path) -> None:
    """Job files, market and settings; prices and hazards are drawn, always the same."""
    drawn = random.Random(0)
    pools = [_pool(n, drawn) for n in range(POOLS)]
    market = {"name": "bench", "seed": 1, "hour_s": 20, "grace_s": 3, "provision_hours": 0.1, "source": "made up"}
    (folder / "market.yaml").write_text(json.dumps({**market, "pools": pools}))
    (folder / "settings.yaml").write_text("local: {market: market.yaml}\n")
    for weeks in WEEKS:
        (folder / f"{weeks}.yaml").write_text(JOB.format(weeks=weeks))


def _pool(number: int, drawn: random.Random) -> dict[str, object]:
    spot = round(drawn.uniform(0.15, 0.45), 4)
    return {
        "cloud": ("aws", "gcp")[number % 2],
        "region": f"r{number // 4}",
        "zone": f"z{number}",
        "instance_type": "g4dn.xlarge",
        "accelerators": "T4:1",
        "vcpus": 4,
        "memory_gib": 16,
        "spot_usd_per_hour": spot,
        "on_demand_usd_per_hour": round(2.6 * spot, 4),
        "published_hazard_per_hour": round(drawn.uniform(0.05, 0.25), 3),
        "lifetime": {"shape": 1.2, "scale_hours": 10},
    }


def _build(folder: Path, commit: str | None) -> Path | None:
    """A folder to import ``spotwise`` from: this checkout, or a commit's files, on the libraries of today."""
    folder.mkdir()
    if commit is None:
        (folder / "spotwise").symlink_to(ROOT)
        return folder
    packed = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=False)
    if packed.returncode != 0:
        return None
    (folder / "spotwise").mkdir()
    subprocess.run(["tar", "-x", "-C", str(folder / "spotwise")], input=packed.stdout, check=True)
    return folder


def _planned(folder: Path, build: Path, weeks: int) -> tuple[float, float]:
    """CPU seconds and peak MB of one plan."""
    environment = {**os.environ, "PYTHONPATH": str(build), "SPOTWISE_HOME": str(build / "home"), **ONE_THREAD}
    process = subprocess.Popen(
        [sys.executable, "-m", "spotwise.scheduler.cli", *_arguments(folder, weeks)],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"plan of {build.name} ended with {process.returncode}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def _arguments(folder: Path, weeks: int) -> list[str]:
    return ["--settings", str(folder / "settings.yaml"), "plan", str(folder / f"{weeks}.yaml"), "--json"]


def _decided(folder: Path, weeks: int) -> tuple[float, float]:
    """CPU seconds of the first decision over the plan's situation, and of the next."""
    situation = next(_situations(folder, weeks))
    policy = MeetDeadline(cooldown_hours=1.0)
    taken = []
    for _ in range(2):
        began = _cpu()
        policy.decide(situation)
        taken.append(_cpu() - began)
    return taken[0], taken[1]


def _situations(folder: Path, weeks: int) -> Iterator[Situation]:
    """What the policy is asked while a plan is made; its tables are made later."""
    seen: list[Situation] = []

    def watched(_: MeetDeadline, situation: Situation) -> Decision:
        seen.append(situation)
        raise _SeenError

    decide, MeetDeadline.decide = MeetDeadline.decide, watched  # type: ignore[method-assign]
    os.environ["SPOTWISE_HOME"] = str(folder / "home")
    try:
        with redirect_stdout(StringIO()):
            spotwise(_arguments(folder, weeks), standalone_mode=False)
    except _SeenError:
        pass
    finally:
        MeetDeadline.decide = decide  # type: ignore[method-assign]
    yield from seen


class _SeenError(Exception):
    """The situation is known; the plan itself is not needed."""


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
