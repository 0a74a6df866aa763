"""What the store keeps of a job file: the same job, with the command line's variables, and no secret's value."""

from __future__ import annotations

from pathlib import Path

import pytest

from spotwise.scheduler.core.errors import JobFileError
from spotwise.scheduler.jobfile.job_spec import GivenVariables, JobSpec, job_of, parse_job, text_to_store

KEY = "-----BEGIN KEY-----\nAbCdEfGh\nIjKlMnOp\n-----END KEY-----\n"


def job(text: str) -> JobSpec:
    return parse_job(text, source="job.yaml")


def stored(text: str, **environment: str) -> str:
    return text_to_store(text, job(text), environment=environment)


@pytest.mark.parametrize(
    "text",
    [
        "run: x\nsecrets: {A: &tok s3cret}\nenvs: {B: *tok, C: plain}\n",
        "run: x\nenvs: {B: &tok s3cret, C: plain}\nsecrets: {A: *tok}\n",
        "run: x\nenvs: &e {A: s3cret, B: s3cret}\nsecrets: *e\n",
        "run: x\nsecrets: &s {A: s3cret}\nenvs: {<<: *s, B: s3cret, C: plain}\n",
        "run: x\nsecrets: {A: s3cret}\nenvs: {B: s3cret, C: plain}\n",
        "run: x  # the token s3cret is ana's\nsecrets: {A: s3cret, B: }\nenvs: {C: plain}\n",
        "# s3cret\nname: t\nrun: |\n  echo 1\n  echo 2\nsecrets:\n  A: s3cret\n",
    ],
)
def test_no_value_of_a_secret_is_stored_by_alias_by_name_or_in_a_comment(text: str) -> None:
    kept = stored(text)
    assert "s3cret" not in kept
    again = job(kept)
    assert set(again.secrets) == set(job(text).secrets)
    assert again == job(text).model_copy(update={"secrets": dict.fromkeys(again.secrets)})


def test_a_variable_that_repeats_a_secret_is_a_secret() -> None:
    found = job("run: x\nsecrets: {A: &tok s3cret}\nenvs: {B: *tok, C: plain}\n")
    assert found.secrets == {"A": "s3cret", "B": "s3cret"}
    assert found.envs == {"C": "plain"}


def test_a_secret_of_several_lines_is_not_stored_in_any_writing() -> None:
    text = f"run: x\nowner: ana # AbCdEfGh\nsecrets:\n  A: {KEY!r}\n".replace("'", '"')
    assert job(text).secrets == {"A": KEY}
    assert "AbCdEfGh" not in stored(text)


def test_the_value_of_a_secret_from_the_environment_is_not_stored_in_a_comment() -> None:
    assert "s3cret" not in stored("run: x # s3cret\nsecrets: {A: }\n", A="s3cret")


def test_a_text_that_gives_nothing_away_is_stored_as_it_is_written() -> None:
    text = "run: x  # a comment\nsecrets:\n  A: s3cret\nenvs: {B: c}  # another\n"
    assert stored(text) == "run: x  # a comment\nsecrets:\n  {A: null}\nenvs: {B: c}  # another\n"


@pytest.mark.parametrize(
    ("key", "value"), [("owner", "*tok"), ("labels", "{a: [*tok]}"), ("file_mounts", "{/a: *tok}")]
)
def test_a_secret_that_an_alias_takes_where_all_can_read_it_is_a_fault(key: str, value: str) -> None:
    with pytest.raises(JobFileError, match="found the value of a secret; allowed: only below secrets and envs"):
        job(f"run: x\nsecrets: {{A: &tok s3cret}}\n{key}: {value}\n")


def given(text: str, path: Path, **variables: dict[str, str]) -> tuple[JobSpec, JobSpec]:
    """The job, and what comes back from the store."""
    said = GivenVariables(**variables)
    found = job_of(text, path, given=said)
    return found, job(text_to_store(text, found, said))


def test_variables_of_the_command_line_count_more_than_the_files_and_are_stored(tmp_path: Path) -> None:
    text = "name: t\nowner: 007\nrun: x\nenvs: {HF: , EPOCHS: 3}\nlabels: {a: no}\n"
    found, again = given(text, tmp_path / "t.yaml", envs={"HF": "00:10", "MORE": "1e3"})
    assert found.envs == {"HF": "00:10", "EPOCHS": "3", "MORE": "1e3"}
    assert again == found


def test_secrets_of_the_command_line_are_not_stored(tmp_path: Path) -> None:
    text = "name: t\nrun: x\nsecrets: [secrets:OF_THE_SERVER]\n"
    found, again = given(text, tmp_path / "t.yaml", secrets={"TOKEN": "s3cret"}, envs={"SAME": "s3cret"})
    assert found.secrets == {"TOKEN": "s3cret", "SAME": "s3cret"}
    assert again == found.model_copy(update={"secrets": {"TOKEN": None, "SAME": None}})
    assert again.sky == {"managed_secrets": ["OF_THE_SERVER"]}
