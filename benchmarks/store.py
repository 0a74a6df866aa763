"""What commands take on a store that has grown: a year of a busy team.

``python benchmarks/store.py [--runs 2000] [--attempts 10] [--charges 10] [--before SPOTWISE]``. A SQLite store of the
schema before migrations is filled with so many runs, attempts a run and charges an attempt, and upgraded. Then whole
commands are timed, each in a process of its own. With ``--before``, the program of an earlier version does the same on
a copy; its ``status`` lists all runs, and not only the newest 100. Last come the questions that the store is asked: a
part beside the whole. Each figure is the best of three.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from spotwise.scheduler.accounting.team_month import Money
from spotwise.scheduler.store import Store

SCHEMA = Path(__file__).parents[1] / "tests" / "golden" / "store" / "schema_4" / "store.sql"
SPOTWISE = [sys.executable, "-m", "spotwise.scheduler.cli"]
JOB = "name: job-{}\nteam: vision\nwork: {{epochs: 10, hours: 2}}\nrun: python train.py\n"
END = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
YEAR = timedelta(days=365)
JOB_FILES = 50
POOLS = 12
REPEATS = 3


def moment(when: datetime) -> str:
    """As SQLite keeps it."""
    return when.strftime("%Y-%m-%d %H:%M:%S.%f")


def offer(pool: int) -> dict[str, Any]:
    return {
        "cloud": "aws", "region": "us-east-1", "zone": f"zone-{pool}", "instance_type": "g4dn.xlarge",
        "pool_accelerators": "", "market": "spot", "price_usd_per_hour": "0.20", "on_demand_usd_per_hour": "0.526",
        "accelerator": "T4", "accelerator_count": 1, "vcpus": 4.0, "memory_gib": 16.0, "source": "sheet",
    }  # fmt: skip


def run_row(number: int, runs: int) -> dict[str, Any]:
    submitted = END - YEAR + YEAR * number / runs
    return {
        "id": f"job-{number:06d}", "job_name": f"job-{number % JOB_FILES}", "kind": "training", "owner": "ana",
        "team": "vision", "project": "shelf", "state": "completed", "job_yaml": JOB.format(number % JOB_FILES),
        "workdir": "/", "folder": f"/nonexistent/{number}", "engine": "local", "submitted_at": moment(submitted),
        "storage": "", "hosts": 1, "reserved_usd": 0, "predicted_usd": 400_000, "predicted_low_usd": 300_000,
        "predicted_high_usd": 600_000, "predicted_hours": 2.0, "plan_json": "{}", "mounts_json": "{}",
        "cancel_requested": 0, "budget_spent": 0, "ended_at": moment(submitted + timedelta(hours=4)),
        "end_reason": "all work is done",
    }  # fmt: skip


def attempt_row(run: dict[str, Any], number: int, last: bool) -> dict[str, Any]:
    begin = datetime.fromisoformat(run["submitted_at"]) + timedelta(minutes=20 * number)
    return {
        "id": f"{run['id']}-a{number}", "run_id": run["id"], "number": number, **offer(number % POOLS), "nodes": 1,
        "state": "completed" if last else "preempted", "reason": "the cheapest", "launched_at": moment(begin),
        "hour_s": "3600", "cost_basis": "estimated", "started_at": moment(begin + timedelta(minutes=2)),
        "ended_at": moment(begin + timedelta(minutes=20)), "end_reason": "it ended", "exit_code": 0, "host": 0,
        "checkpoint_every": "", "migrating": 0, "epochs_kept": number,
    }  # fmt: skip


def charge_row(attempt: dict[str, Any], seq: int, charges: int) -> dict[str, Any]:
    begin, part = datetime.fromisoformat(attempt["launched_at"]), timedelta(minutes=20) / charges
    return {
        "id": f"{attempt['id']}-c{seq}", "run_id": attempt["run_id"], "attempt_id": attempt["id"], "seq": seq,
        "start": moment(begin + part * (seq - 1)), "end": moment(begin + part * seq), "share": "1",
        "hours": "0.033333", "category": "overhead" if seq == 1 else "productive",
        **offer(attempt["number"] % POOLS), "amount_usd": 6667, "on_demand_usd": 17533, "cost_basis": "estimated",
    }  # fmt: skip


def fill(database: Path, runs: int, attempts: int, charges: int) -> None:
    """Make a store of the schema before migrations."""
    tables = re.findall(r"^CREATE (?:TABLE|INDEX) .*?;$", SCHEMA.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    with sqlite3.connect(database) as connection:
        connection.executescript("\n".join(tables))
        connection.execute("INSERT INTO meta VALUES ('schema', '4')")
        for number in range(runs):
            run = run_row(number, runs)
            made = [attempt_row(run, each, each == attempts) for each in range(1, attempts + 1)]
            booked = [charge_row(one, seq, charges) for one in made for seq in range(1, charges + 1)]
            for table, rows in (("runs", [run]), ("attempts", made), ("charges", booked)):
                names = ", ".join(f'"{name}"' for name in rows[0])
                marks = ", ".join(f":{name}" for name in rows[0])
                connection.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows)  # noqa: S608
    connection.close()


def best(action: Callable[[], object]) -> float:
    """Seconds of the fastest of a few times."""
    taken = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        action()
        taken.append(time.perf_counter() - started)
    return min(taken)


def command(program: Sequence[str], home: Path, *arguments: str) -> Callable[[], object]:
    """Runs a command of spotwise to its end; what it prints is not shown."""
    env = {**os.environ, "SPOTWISE_HOME": str(home)}

    def run() -> None:
        subprocess.run([*program, *arguments], env=env, cwd=home, stdout=subprocess.DEVNULL, check=True)

    return run


def commands(home: Path) -> Iterator[tuple[str, ...]]:
    (home / "job.yaml").write_text(JOB.format(1), encoding="utf-8")
    yield ("status",)
    yield "status", "--limit", "20"
    yield "status", f"job-{1:06d}"
    yield "plan", "job.yaml"
    yield "report", "--json"


def compare_commands(home: Path, before: Path | None, home_before: Path) -> None:
    print(f"{'command':32s} {'seconds':>8s} {'before':>8s}")
    for arguments in commands(home):
        now = best(command(SPOTWISE, home, *arguments))
        then = ""
        if before is not None and "--limit" not in arguments:
            (home_before / "job.yaml").write_text(JOB.format(1), encoding="utf-8")
            then = f"{best(command([str(before)], home_before, *arguments)):8.2f}"
        print(f"{' '.join(arguments):32s} {now:8.2f} {then}", flush=True)


def compare_questions(store: Store) -> None:
    month = {"since": END - timedelta(days=30), "until": END}
    asked: dict[str, Callable[[], object]] = {
        "charges of a month": lambda: store.charges(**month),
        "all charges": store.charges,
        "what a run has cost": lambda: store.booked_usd(f"job-{1:06d}"),
        "what a team has spent this month": lambda: store.team_month("vision", Money.REAL, month["since"]),
        "attempts of the last fortnight": lambda: store.attempts(since=END - timedelta(days=14)),
        "hours and preemptions by pool": lambda: store.pool_exposures(END),
        "all attempts": store.attempts,
        "newest 20 runs": lambda: store.runs(limit=20),
        "all runs": store.runs,
    }
    print(f"\n{'question':34s} {'ms':>8s}")
    for name, question in asked.items():
        print(f"{name:34s} {best(question) * 1000:8.1f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--attempts", type=int, default=10, help="a run")
    parser.add_argument("--charges", type=int, default=10, help="an attempt")
    parser.add_argument("--before", type=Path, help="the spotwise program of an earlier version")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home, home_before = Path(folder) / "home", Path(folder) / "before"
        home.mkdir()
        fill(home / "spotwise.db", options.runs, options.attempts, options.charges)
        shutil.copytree(home, home_before)
        size = (home / "spotwise.db").stat().st_size / 1e6
        attempts = options.runs * options.attempts
        print(f"{options.runs} runs, {attempts} attempts, {attempts * options.charges} charges: {size:.0f} MB")
        started = time.perf_counter()
        store = Store.open(f"sqlite:///{home / 'spotwise.db'}")
        print(f"upgraded in {time.perf_counter() - started:.2f} s\n", flush=True)
        compare_commands(home, options.before, home_before)
        compare_questions(store)
        store.close()


if __name__ == "__main__":
    main()
