"""What is passed on of SkyPilot's words."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from spotwise.scheduler.engines.skypilot.public import PublicSky
from spotwise.scheduler.engines.skypilot.sky import Failure


class ResourcesUnavailableError(Exception):
    """SkyPilot's, of which only the name is looked at."""


class CommandError(Exception):
    """SkyPilot's too."""


ADVICE = """\
\x1b[31mFailed to provision all possible launchable resources.\x1b[0m Relax the task's resource requirements: \
1x Slurm(cpus=1, mem=1.5, {'V100': 1})
To keep retrying until the cluster is up, use the `--retry-until-up` flag.
"""
TRIED = """\
Reasons for provision failures (for details, please check the log above):
Provision failures (tried 1 infra):

✗ Slurm (gcp) — (gpus=V100:1, ...)
"""
NO_GPU = "Failed to acquire resources in spot for {Slurm(cpus=1, mem=1.5, {'V100': 1})}."
NO_QUOTA = "Found no quota for p3.2xlarge spot instances in region us-east-1 in AWS."


def failure(monkeypatch: pytest.MonkeyPatch, error: Exception) -> Failure:
    def get(_request_id: str) -> None:
        raise error

    monkeypatch.setitem(sys.modules, "sky", SimpleNamespace(get=get))
    return PublicSky().failure("r1")


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (f"{ADVICE}{TRIED}  {NO_GPU}\n", NO_GPU),
        (f"{ADVICE}{TRIED}  {NO_GPU} \n  Reason: 2 pods are pending. See the log above.\n", "2 pods are pending."),
        (f"{ADVICE}{TRIED}  {NO_QUOTA} To request quotas, check the instruction: https://docs.skypilot.co\n", NO_QUOTA),
        (f"{ADVICE}{NO_GPU}", NO_GPU),
        (f"{NO_GPU}\nTo keep retrying until the cluster is up, use the `--retry-until-up` flag.\n{NO_GPU}", NO_GPU),
        (
            "Catalog does not contain any V100.\nTo fix: relax it.\n\nHint: sky gpus list",
            "Catalog does not contain any V100.",
        ),
        ("no capacity", "no capacity"),
        # a wording that nobody knows yet: rather too much than nothing
        (ADVICE, "Failed to provision all possible launchable resources."),
    ],
)
def test_a_refusal_names_its_cause_and_gives_no_advice(monkeypatch: pytest.MonkeyPatch, said: str, cause: str) -> None:
    assert failure(monkeypatch, ResourcesUnavailableError(said)) == Failure(of_capacity=True, message=cause)


def test_a_refusal_without_words_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "ResourcesUnavailableError" in failure(monkeypatch, ResourcesUnavailableError("")).message


def test_other_failures_are_passed_on_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    found = failure(monkeypatch, CommandError("rsync failed.\nSee ~/sky_logs"))
    assert found == Failure(of_capacity=False, message="rsync failed. See ~/sky_logs (CommandError)")


def test_a_login_node_out_of_reach_is_no_fault_of_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """SkyPilot 0.14.1 wraps what ssh said in a ValueError, its answer to a task that cannot be."""
    asked = "sky.exceptions.CommandError: Command scontrol show partitions -o failed with return code"
    away = failure(monkeypatch, ValueError(f"Failed to get partitions for cluster gcp: {asked} 255. ssh: timed out"))
    assert away.of_capacity
    assert not away.refused
    broken = failure(monkeypatch, ValueError(f"Failed to get partitions for cluster gcp: {asked} 1."))
    assert not broken.of_capacity
    assert broken.of_place
