"""The ways in which public SkyPilot files write things: each is read as SkyPilot reads it."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories import offer

from spotwise.cost_models.selection import reject_reason
from spotwise.scheduler.core.errors import JobFileError
from spotwise.scheduler.jobfile.job_notes import notes_on
from spotwise.scheduler.jobfile.job_spec import GivenVariables, JobSpec, job_of, load_job, parse_job

BOARDS = ["T4", "L4", "A100", "A100-80GB", "H100", "MI300X"]


def job(text: str) -> JobSpec:
    return parse_job(text, source="job.yaml")


def faults(text: str) -> list[str]:
    with pytest.raises(JobFileError) as caught:
        job(text)
    return caught.value.faults


def fitting(accelerators: str, count: int = 1) -> list[str]:
    resources = job(f"run: x\nresources: {{accelerators: {accelerators}}}\n").resources
    return [name for name in BOARDS if not reject_reason(offer(accelerator=name, accelerator_count=count), resources)]


@pytest.mark.parametrize(
    ("accelerators", "count", "boards"),
    [
        ("80GB", 1, ["A100-80GB", "H100"]),
        ("80GB+", 1, ["A100-80GB", "H100", "MI300X"]),
        ("80gb+", 1, ["A100-80GB", "H100", "MI300X"]),
        ("81920MB+", 1, ["A100-80GB", "H100", "MI300X"]),
        ("nvidia:80GB+", 1, ["A100-80GB", "H100"]),
        ("NVIDIA:80GB+:8", 8, ["A100-80GB", "H100"]),
        ("NVIDIA:80GB+:8", 1, []),
        ("AMD:80GB+", 1, ["MI300X"]),
        ("24GB:2", 2, ["L4"]),
        ("['24GB+', 'T4:1']", 1, BOARDS),
        ("{24GB: 1, T4: 1}", 1, ["T4", "L4"]),
        ("{'nvidia:80GB+': 8}", 8, ["A100-80GB", "H100"]),
        ("{'40GB', 'T4:1'}", 1, ["T4", "A100"]),
        ("t4", 1, ["T4"]),
    ],
)
def test_accelerators_by_memory_are_those_with_so_much_as_it_is_sold(
    accelerators: str, count: int, boards: list[str]
) -> None:
    assert fitting(accelerators, count) == boards


@pytest.mark.parametrize("wrong", ["'80GB+:x'", "'nvidia:'", "'nvidia:T4:1'", "'nvidia'", "'80GB+:0'", "'a:b:c:d'"])
def test_what_looks_like_a_memory_and_is_none_is_a_fault_or_a_name(wrong: str) -> None:
    if wrong == "'nvidia'":  # a maker alone is a name that no offer has
        assert fitting(wrong) == []
    else:
        assert len(faults(f"run: x\nresources: {{accelerators: {wrong}}}\n")) == 1


@pytest.mark.parametrize("where", ["{gpus: 'T4:2'}", "{any_of: [{gpus: 'T4:2'}]}", "{ordered: [{gpus: {T4: 2}}]}"])
def test_gpus_are_accelerators(where: str) -> None:
    resources = job(f"run: x\nresources: {where}\n").resources
    assert reject_reason(offer(accelerator_count=2), resources) is None
    assert reject_reason(offer(accelerator_count=1), resources) is not None


def test_gpus_beside_accelerators_are_a_fault() -> None:
    (fault,) = faults("run: x\nresources: {gpus: T4, accelerators: T4}\n")
    assert fault.endswith("gpus: found beside accelerators, which means the same; allowed: one of them")


@pytest.mark.parametrize(
    ("memory", "gib"),
    [("16384MB", 16), ("16Gi", 16), ("16GB", 16), ("1TB", 1024), ("1ti", 1024), ("0.5TB+", 700), ("16777216KB", 16)],
)
def test_memory_may_name_its_unit(memory: str, gib: float) -> None:
    resources = job(f"run: x\nresources: {{memory: {memory}}}\n").resources
    assert reject_reason(offer(memory_gib=float(gib)), resources) is None
    assert reject_reason(offer(memory_gib=gib / 4), resources) is not None


def test_a_list_of_accelerators_is_an_order_which_has_no_effect_here_and_that_is_said() -> None:
    said = "resources.accelerators: all are considered, and the policy chooses; only the order has no effect"
    for engine in ("local", "skypilot"):
        assert said in notes_on(job("run: x\nresources: {accelerators: [T4, L4]}\n"), engine)
        assert notes_on(job("run: x\nresources: {accelerators: {T4, L4}}\n"), engine) == []
        assert notes_on(job("run: x\nresources: {accelerators: [T4]}\n"), engine) == []


def test_workdir_is_filled_in_from_the_variables(tmp_path: Path) -> None:
    (tmp_path / "code" / "sub").mkdir(parents=True)
    path = tmp_path / "job.yaml"
    for written in ("${DIR}/sub", "$DIR/sub"):
        path.write_text(f"run: x\nworkdir: {written}\nenvs: {{DIR: code}}\n")
        assert load_job(path).workdir == f"{tmp_path}/code/sub"
    path.write_text("run: x\nworkdir: $DIR/sub\nenvs: {DIR: }\n")
    assert load_job(path, given=GivenVariables({"DIR": "code"})).workdir == f"{tmp_path}/code/sub"


def test_a_variable_without_a_value_is_the_command_lines_to_give(tmp_path: Path) -> None:
    text = "name: t\nrun: x\nenvs: {HF_TOKEN: }\n"
    assert faults(text) == [
        "job.yaml:3: envs.HF_TOKEN: found nothing; allowed: text, '' for none, or --env HF_TOKEN[=VALUE]"
    ]
    assert job_of(text, tmp_path / "t.yaml", given=GivenVariables({"HF_TOKEN": "x"})).envs == {"HF_TOKEN": "x"}


@pytest.mark.parametrize(
    "secrets",
    [
        "secrets: [secrets:A, secrets:shared/B]\n",
        "secrets: {secrets:A: , secrets:shared/B: }\n",
        "managed_secrets: [A, shared/B]\n",
        "secrets: [secrets:A]\nmanaged_secrets: [shared/B]\n",
    ],
)
def test_secrets_of_skypilots_server_mean_the_same_in_each_form(secrets: str) -> None:
    found = job(f"run: x\n{secrets}")
    assert found.secrets == {}
    assert sorted(found.sky["managed_secrets"]) == ["A", "shared/B"]


@pytest.mark.parametrize(
    ("secrets", "fault"),
    [
        ("[A]", "secrets[0]: found 'A'; allowed: secrets:NAME, which SkyPilot's server keeps, or a mapping"),
        ("[{a: b}]", "secrets[0]: found a mapping; allowed: secrets:NAME"),
        ("{secrets:A: x}", "secrets.secrets:A: found a value; allowed: none, since SkyPilot's server keeps it"),
    ],
)
def test_other_lists_of_secrets_are_a_fault(secrets: str, fault: str) -> None:
    assert fault in faults(f"run: x\nsecrets: {secrets}\n")[0]


@pytest.mark.parametrize(
    "text",
    [
        "name: head\n---\nrun: x\n",
        "---\nname: head\n---\nrun: x\n...\n",
        "# only a comment\n---\nname: head\nrun: x\n---\n",
        "name: other\n---\nname: head\nrun: x\n",
    ],
)
def test_a_header_and_one_task_are_a_job(text: str) -> None:
    found = job(text)
    assert (found.name, found.run) == ("head", "x")


def test_a_fault_below_a_header_has_the_line_of_the_file() -> None:
    assert faults("name: head\n---\nrun: x\nnum_nodes: 0\n") == ["job.yaml:4: num_nodes: found 0; allowed: 1 or more"]


@pytest.mark.parametrize("text", ["run: x\n---\nrun: y\n", "name: p\n---\nrun: x\n---\nrun: y\n"])
def test_a_pipeline_says_what_to_do(text: str) -> None:
    (fault,) = faults(text)
    assert (
        "found 2 jobs, one after each ---, as in a pipeline of SkyPilot; allowed: one job a file; write each" in fault
    )
