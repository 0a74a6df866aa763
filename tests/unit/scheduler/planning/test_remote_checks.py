"""What is said of a job before it runs on machines other than this one."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from factories import offer

from spotwise.scheduler.cli import main
from spotwise.scheduler.core.errors import InputError
from spotwise.scheduler.jobfile.job_spec import parse_job
from spotwise.scheduler.planning.remote_checks import check_remote, needed_features, remote_notes

T4, BARE = offer("a"), offer("b", accelerator=None, accelerator_count=0)


def job(to: str = "", more: str = ""):
    checkpoint = f"checkpoint: {{to: '{to}'}}\n" if to else ""
    return parse_job(f"run: x\n{checkpoint}{more}", source="job")


@pytest.mark.parametrize(
    ("more", "needed"),
    [
        ("", ["autodown"]),
        ("num_nodes: 2\n", ["multi-node", "autodown"]),
        ("file_mounts: {/data: 's3://bucket', /x: {source: 's3://b', mode: COPY}}\n", ["autodown"]),
        ("file_mounts: {/data: {name: b}}\n", ["storage_mounting", "autodown"]),
        ("file_mounts: {/data: {name: b, mode: mount_cached}}\n", ["storage_mounting", "autodown"]),
        ("storage_mounts: {/data: {name: b}}\n", ["storage_mounting", "autodown"]),
    ],
)
def test_what_a_job_needs_of_a_place_beyond_its_resources(more: str, needed: list[str]) -> None:
    assert needed_features(job(more=more)) == needed


@pytest.mark.parametrize("to", ["checkpoints", "./out", "~/checkpoints"])
def test_checkpoints_in_a_folder_that_each_node_has_its_own_of_are_refused(to: str) -> None:
    with pytest.raises(InputError, match=rf"checkpoint.to: found '{to}'.*lost with the node; allowed: a URL such as"):
        check_remote(job(to))


@pytest.mark.parametrize(
    ("to", "more"),
    [
        ("", ""),
        ("s3://bucket/x", ""),
        ("/srv/shared", ""),
        ("out/x", "file_mounts: {out/: 's3://bucket'}\n"),
        ("~/out", "volumes: {~/out: volume}\n"),
    ],
)
def test_checkpoints_that_outlive_their_node_are_not(to: str, more: str) -> None:
    check_remote(job(to, more))


@pytest.mark.parametrize(
    ("to", "more", "is_noted"),
    [
        ("/srv/shared", "", True),
        ("/outer", "file_mounts: {/out: 's3://bucket'}\n", True),
        ("/out/x", "file_mounts: {/out: 's3://bucket'}\n", False),
        ("/out", "volumes: {/out: volume}\n", False),
        ("s3://bucket/x", "", False),
        ("", "", False),
    ],
)
def test_a_folder_that_nobody_is_known_to_share_is_noted(to: str, more: str, is_noted: bool) -> None:
    notes = remote_notes(job(to, more), [BARE])
    assert notes == ([f"checkpoint.to: every node must see the folder {to}, or checkpoints are lost with the node"]
                     if is_noted else [])  # fmt: skip


@pytest.mark.parametrize(
    ("resources", "offers", "is_noted"),
    [
        ("{}", [T4], True),
        ("{instance_type: m5.large}", [T4], True),
        ("{cpus: 8+}", [T4], True),
        ("{cpus: 8+}", [T4, BARE], False),
        ("{accelerators: T4:1}", [T4], False),
        ("{any_of: [{accelerators: T4:1}, {accelerators: L4:1}]}", [T4], False),
        ("{}", [], False),  # other words say that there is none
    ],
)
def test_a_job_without_accelerators_is_told_that_only_machines_with_them_are_known(resources, offers, is_noted) -> None:
    notes = remote_notes(job(more=f"resources: {resources}\n"), offers)
    assert bool(notes) is is_noted
    assert all("machines without are never chosen" in note for note in notes)


def test_plan_refuses_such_a_job_on_skypilot_and_takes_it_on_this_machine(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("SPOTWISE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SPOTWISE_SETTINGS", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "job.yaml").write_text("run: x\ncheckpoint: {to: out}\n")
    refused = CliRunner().invoke(main.cli, ["plan", "--engine", "skypilot", "job.yaml"], standalone_mode=False)
    assert isinstance(refused.exception, InputError)
    assert CliRunner().invoke(main.cli, ["plan", "job.yaml"], standalone_mode=False).exception is None
