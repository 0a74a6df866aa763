"""docs/job-file.md says of every key what it does, and nothing that is not so."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from spotwise.scheduler.core.errors import JobFileError
from spotwise.scheduler.jobfile import skypilot_keys
from spotwise.scheduler.jobfile.job_spec import job_schema, parse_job
from spotwise.scheduler.jobfile.settings import load_settings, settings_schema
from spotwise.scheduler.jobfile.validation_errors import dotted_keys

REPOSITORY = Path(__file__).parents[4]
PAGE = (REPOSITORY / "docs" / "job-file.md").read_text(encoding="utf-8")
JOB_PART, SETTINGS_PART = PAGE.split("\n## Settings\n")


def rows(part: str) -> dict[str, list[str]]:
    """The cells after the key, by key."""
    found = re.findall(r"^\| `([^`]+)` \| (.*) \|$", part, flags=re.MULTILINE)
    return {key: [cell.strip() for cell in re.split(r"(?<!\\)\|", rest)] for key, rest in found}


def defaults(schema: dict[str, Any]) -> dict[str, str]:
    """The default of every key whose default is a plain value, as YAML writes it."""
    found = {}
    for prefix, part in [("", schema), *schema["$defs"].items()]:
        for key, value in part.get("properties", {}).items():
            if "default" in value and value["default"] != "":
                found[f"{prefix}.{key}"] = yaml.safe_dump(value["default"]).removesuffix("...\n").strip().strip("'")
    return found


@pytest.mark.parametrize(
    ("part", "schema", "elsewhere"),
    [(JOB_PART, job_schema(), set(skypilot_keys.PASSED_THROUGH)), (SETTINGS_PART, settings_schema(), set())],
    ids=["job", "settings"],
)
def test_every_key_has_a_row_and_every_row_a_key(part: str, schema: dict[str, Any], elsewhere: set[str]) -> None:
    assert set(rows(part)) == set(dotted_keys(schema)) - elsewhere


def test_keys_that_pass_through_are_named() -> None:
    paragraph = re.search(r"The rest goes to SkyPilot unread(.*?);", JOB_PART, flags=re.DOTALL).group(1)
    assert re.findall(r"`(\w+)`", paragraph) == list(skypilot_keys.PASSED_THROUGH)


@pytest.mark.parametrize(
    ("part", "schema"), [(JOB_PART, job_schema()), (SETTINGS_PART, settings_schema())], ids=["job", "settings"]
)
def test_defaults_are_those_of_the_code(part: str, schema: dict[str, Any]) -> None:
    """Keys are compared by their last word, of which the defaults agree."""
    written = {key.rsplit(".", 1)[-1]: cells[1] for key, cells in rows(part).items() if cells[1].startswith("`")}
    for key, default in defaults(schema).items():
        assert written.get(key.rsplit(".", 1)[-1]) == f"`{default}`", key


def test_the_example_is_a_job() -> None:
    example = re.search(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL).group(1)
    assert parse_job(example, source="example").name == "shelf-detector"


def test_the_faults_shown_are_those_that_are_said() -> None:
    shown = re.search(r"```text\n(.*?)```", PAGE, flags=re.DOTALL).group(1)
    with pytest.raises(JobFileError) as caught:
        parse_job("run: x\npolcy: auto\nbudget: 40 EUR\n", source="job.yaml")
    assert str(caught.value) == shown.strip()


def test_the_settings_of_a_clone_are_right() -> None:
    settings = load_settings(REPOSITORY / "configs" / "settings.yaml", {}, REPOSITORY)
    assert settings.local.market == REPOSITORY / "configs" / "markets" / "demo.yaml"
    assert settings.monthly_budget_usd("vision") == 400
