"""Whatever stands under a key, a job file is valid or its faults are said: it never crashes what reads it."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from factories import offer

from spotwise.scheduler.core.errors import InputError, JobFileError
from spotwise.scheduler.engines.base import LaunchRequest
from spotwise.scheduler.engines.skypilot.tasks import Wheel, sky_task
from spotwise.scheduler.jobfile import skypilot_keys
from spotwise.scheduler.jobfile.job_notes import notes_on
from spotwise.scheduler.jobfile.job_spec import (
    JobSpec,
    job_schema,
    load_job,
    parse_job,
    text_to_store,
)
from spotwise.scheduler.jobfile.settings import load_settings, settings_schema
from spotwise.scheduler.jobfile.validation_errors import dotted_keys
from spotwise.scheduler.planning.remote_checks import check_remote, remote_notes

ODD = [
    "", "~", "true", "no", "0", "-1", "1.5", ".nan", ".inf", "-.inf", "1e300", "1e-320", "1e400", "9" * 32, "9" * 400,
    "-" + "9" * 400, "9" * 5000, "0x10", "0123", "12:30", "1_000", "190:20:30", "'x'", "'1'", "' '", "''", "[]", "{}",
    "[x]", "[[x]]", "[~]", "[1]", "[.nan]", "{a: }", "{a: b}", "{a: 1}", "{1: 2}", "{a: [x]}", "{a: {b: c}}", "2026",
    "2026-01-01", "0000-00-00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59Z",
    "2026-01-01T00:00:00+99:99", "!!timestamp 2026", "!!timestamp ''", "!!int x", "!!int ''", "!!int 0b", "!!float x",
    "!!float ''", "!!bool x", "!!binary x", "!!binary aGk=", "!!set {a}", "!!omap [a: b]", "!!pairs [a: b]", "!!null x",
    "!!python/none x", "!!map x", "!!seq x", "!!merge x", "!x y", "=", "<<", "'\n'", r'"a\nb"', r'"\0"', r'"\ud800"',
    r'{"\0": x}', "'" + "x" * 300 + "'", "'" + "/x" * 3000 + "'", "~nobody-of-this-name/x", "'[::1'", "s3://[x",
    "2 epochs", "'" + "9" * 400 + " steps'", "10 USD", "'1" + "0" * 400 + " USD'", "'" + "9" * 24 + "h'", "&a x", "*a",
    "&a [*a]", "{<<: x}", "{<<: {a: b}}", "{? [a] : b}", "80GB+", "nvidia:80GB+:8", "{T4: !!int ''}",
]  # fmt: skip

RESOURCES = [*sorted(skypilot_keys.RESOURCE_KEYS), *skypilot_keys.RESOURCE_ALIASES]
DEEPER = [
    "envs.A", "secrets.A", "labels.A", "resources.labels.A", "resources.accelerators.A", "workdir.url", "workdir.ref",
    "file_mounts./x", "file_mounts./x.source", "file_mounts./x.mode", "file_mounts./x.config", "storage_mounts./x",
    "storage_mounts./x.source", "volumes./x", "config.kubernetes", "config.kubernetes.pod_config", "config.hooks",
    "config.kubernetes.pod_config.spec", "config.kubernetes.pod_config.spec.nodeSelector", "service.x", "pool.x",
    "inputs.x", "outputs.x", "_metadata.x", "resources.job_recovery.max_restarts_on_errors",
]  # fmt: skip
KEYS = [
    *dotted_keys(job_schema()),
    *(f"resources.{key}" for key in RESOURCES),
    *(f"resources.{several}[0].{key}" for several in ("any_of", "ordered") for key in RESOURCES),
    *DEEPER,
]

SWEEP = {"metric": "m", "goal": "minimize", "trials": 2, "space": {"lr": {"type": "float", "low": 0.1, "high": 1}}}
RETRAIN = {"model": "m", "triggers": {"calendar": {"at": "02:00"}}, "gate": {"metric": "m", "goal": "minimize"}}


def with_value(key: str, odd: str, base: dict[str, object]) -> str:
    """A file that is valid but for what stands at ``key``, as text: much of what is odd has no value in Python."""
    words = key.replace("*", "lr").split(".")
    content = json.loads(json.dumps(base))
    at = content
    for word in words[:-1]:
        name, in_list, _ = word.partition("[")
        inner = at.get(name)
        if not isinstance(inner, list if in_list else dict):
            at[name] = [{}] if in_list else {}
        at = at[name][0] if in_list else at[name]
    at[words[-1]] = "HERE"
    lines = (f"{name}: {yaml.safe_dump(part, default_flow_style=True, width=10**6)}" for name, part in content.items())
    return "".join(lines).replace("\n...\n", "\n").replace("HERE", odd)


def job_base(key: str) -> dict[str, object]:
    first = key.partition(".")[0]
    parts = {"sweep": SWEEP, "retrain": RETRAIN}
    return {"name": "t", "run": "echo", **({first: parts[first]} if first in parts else {})}


def use(job: JobSpec, text: str) -> None:
    """What looks at a job before and while it runs, short of the plan."""
    parse_job(text_to_store(text, job), source="the store")
    for engine in ("local", "skypilot"):
        notes_on(job, engine)
    remote_notes(job, [offer()])
    request = LaunchRequest(
        attempt_id="t-aaaaaa-a1",
        run_id="t-aaaaaa",
        offer=offer(),
        setup=job.setup,
        command=job.run,
        workdir="/",
        folder="/nonexistent",
        env=job.envs,
        nodes=1,
        run_url="s3://bucket/x",
        task={**job.sky, "resources": job.resources or {}},
        secrets={},
    )
    json.dumps(sky_task(request, Wheel(Path("/w.whl"), "0123"), []), allow_nan=False).encode()
    [text.encode() for text in (job.run, job.setup, job.owner, *job.envs.values(), *job.labels.values())]
    check_remote(job)


def outcome(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    try:
        use(load_job(path), text)
    except (JobFileError, InputError) as error:
        return str(error)
    return ""


def drawn(keys: list[str], seed: int, times: int) -> Iterator[tuple[str, str]]:
    chosen = random.Random(seed)
    for _ in range(times):
        yield chosen.choice(keys), chosen.choice(ODD)


@pytest.mark.parametrize("seed", range(4))
def test_an_odd_value_is_valid_or_a_fault_under_every_key(tmp_path: Path, seed: int) -> None:
    for key, odd in drawn(KEYS, seed, 120):
        outcome(tmp_path / "job.yaml", with_value(key, odd, job_base(key)))


def test_an_odd_value_is_valid_or_a_fault_in_the_settings(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    for key, odd in drawn(dotted_keys(settings_schema()), 0, 120):
        path.write_text(with_value(key.replace(".[*]", "[0]").replace("[*]", "[0]"), odd, {}), encoding="utf-8")
        try:
            load_settings(path, {}, tmp_path)
        except JobFileError as error:
            assert error.faults


@pytest.mark.parametrize("text", [text for text in ODD if text])
def test_a_file_that_is_only_an_odd_value_is_a_fault(text: str) -> None:
    with pytest.raises(JobFileError):
        parse_job(text, source="job.yaml")


@pytest.mark.parametrize(
    ("key", "odd", "found"),
    [
        ("file_mounts", "[/x]", "found a list; allowed: a mapping of paths on the node to files, URLs or buckets"),
        ("file_mounts./x", "3", "found 3; allowed: text or a mapping of keys to values"),
        ("storage_mounts", "true", "found true; allowed: a mapping of paths on the node"),
        ("config", "true", "found true; allowed: a mapping"),
        ("config.kubernetes.pod_config", "[x]", "found a list; allowed: a mapping"),
        ("service.x", "2026-01-01", "found 2026-01-01, a date; allowed: text, a number"),
        ("volumes", "no", "found false; allowed: a mapping"),
        ("inputs", "{a: 1, b: 2}", "found a mapping; allowed: a mapping of one URL"),
        ("resources.use_spot", "'yes'", "found 'yes'; allowed: true or false"),
        ("resources.disk_size", "big", "found 'big'; allowed: a size such as 256"),
        ("resources.labels.A", "0123", "found 83; allowed: text, in quotes"),
        ("resources.job_recovery.max_restarts_on_errors", "-1", "found -1; allowed: 0 or more"),
        ("resources.max_hourly_cost", ".nan", "found nan; allowed: an amount in USD, above 0"),
        ("resources.any_of[0].ordered", "[{infra: aws}]", "found inside any_of; allowed: one list"),
        ("work.hours", "1e300", "found 1e+300; allowed: 1,000,000 or less"),
        ("work.epochs", "9" * 400, "allowed: 1,000,000,000,000 or less"),
        ("checkpoint.every", "'" + "9" * 400 + " steps'", "allowed: N epochs"),
        ("budget", "9" * 32, "allowed: at most 1,000,000,000,000 USD"),
        ("deadline", "0001-01-01T00:00:00+14:00", "which is no moment"),
        ("deadline", "9999-12-31T23:59:59Z", "allowed: at most ten years from now"),
        ("sweep.space.lr", "{type: int, low: 1, high: 100000000000000000000000}", "allowed: at most 9007199254740992"),
        ("sweep.space.lr", "{type: float, low: 0, high: 1, step: 1e-300}", "allowed: so much that there are fewer"),
        ("sweep.hosts", "1000000", "found 1000000; allowed: 10,000 or less"),
        ("run", "!!timestamp 2026", "found '2026', which looks like a timestamp but is none"),
        ("run", r'"\ud800"', "found the character U+D800; allowed: text that can be written"),
        ("workdir", "'" + "x" * 300 + "'", "allowed: a folder that exists"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_an_odd_value_is_said(tmp_path: Path, key: str, odd: str, found: str) -> None:
    said = outcome(tmp_path / "job.yaml", with_value(key, odd, job_base(key)))
    assert found in said
    assert said.count("\n") == 0, "one fault"
