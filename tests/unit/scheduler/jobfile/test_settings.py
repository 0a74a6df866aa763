# ruff: noqa: E501
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from spotwise.cost_models.estimate import Overheads
from spotwise.scheduler.core.errors import JobFileError
from spotwise.scheduler.jobfile.settings import Settings, load_settings, settings_schema, spotwise_home
from spotwise.scheduler.jobfile.source_settings import AwsSourceSettings, GcpSourceSettings, nothing_enabled

EVERYTHING = """\
engine: local
local: {price_usd_per_hour: 0.25}
store: postgresql+psycopg://db/spotwise
teams:
  vision: {monthly_budget: 500 USD}
  speech: {}
overheads: {provision: 6m, restore: 30m, checkpoint: 2m}
grace: 3s
tick: 0.25s
crash_limit: 5
cooldown: 30m
nightly: {timezone: Europe/Berlin}
"""


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def faults(path: Path) -> list[str]:
    with pytest.raises(JobFileError) as caught:
        load_settings(path, {}, path.parent)
    return caught.value.faults


def test_every_key_arrives(tmp_path: Path) -> None:
    path = write(tmp_path / "settings.yaml", EVERYTHING)
    settings = load_settings(path, {"SPOTWISE_HOME": str(tmp_path / "home")}, tmp_path)
    assert (settings.engine, settings.local.market, settings.local.price_usd_per_hour) == (
        "local",
        None,
        Decimal("0.25"),
    )
    assert settings.store_url == "postgresql+psycopg://db/spotwise"
    assert settings.monthly_budget_usd("vision") == Decimal(500)
    assert settings.overheads == Overheads(0.1, 0.5, 2 / 60)
    assert (settings.grace, settings.tick) == (timedelta(seconds=3), timedelta(seconds=0.25))
    assert (settings.crash_limit, settings.cooldown) == (5, timedelta(minutes=30))
    assert settings.nightly.timezone == "Europe/Berlin"
    assert (settings.home, settings.source) == (tmp_path / "home", path)


@pytest.mark.parametrize("team", ["speech", "", "unheard-of"])
def test_a_team_without_budget_has_no_limit(tmp_path: Path, team: str) -> None:
    settings = load_settings(write(tmp_path / "settings.yaml", EVERYTHING), {}, tmp_path)
    assert settings.monthly_budget_usd(team) is None


def test_without_any_file_there_are_defaults(tmp_path: Path) -> None:
    """Those of the keys and those of the value agree."""
    settings = load_settings(None, {"SPOTWISE_HOME": str(tmp_path)}, tmp_path)
    assert settings == Settings(home=tmp_path)
    assert settings.store_url == f"sqlite:///{tmp_path}/spotwise.db"
    assert (settings.grace, settings.cooldown_hours) == (timedelta(seconds=5), 1.0)
    assert (settings.crash_limit, settings.nightly.timezone, settings.local.market) == (3, "UTC", None)


def test_an_empty_mapping_means_defaults(tmp_path: Path) -> None:
    path = write(tmp_path / "settings.yaml", "{}\n")
    assert load_settings(path, {}, tmp_path).crash_limit == 3


@pytest.mark.parametrize(
    ("there", "found"),
    [
        ("explicit variable configs home", "explicit"),
        ("variable configs home", "variable"),
        ("configs home", "configs"),
        ("home", "home"),
        ("", None),
    ],
)
def test_the_first_file_counts(tmp_path: Path, there: str, found: str | None) -> None:
    files = {
        "explicit": tmp_path / "a.yaml",
        "variable": tmp_path / "b.yaml",
        "configs": tmp_path / "cwd" / "configs" / "settings.yaml",
        "home": tmp_path / "home" / "settings.yaml",
    }
    for name in there.split():
        write(files[name], "{}\n")
    env = {"SPOTWISE_HOME": str(tmp_path / "home")}
    env |= {"SPOTWISE_SETTINGS": str(files["variable"])} if "variable" in there else {}
    explicit = files["explicit"] if "explicit" in there else None
    assert load_settings(explicit, env, tmp_path / "cwd").source == (files[found] if found else None)


def test_a_file_that_was_named_must_exist(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    assert faults(path) == [f"{path}: no such file; allowed: the path of a YAML file"]
    with pytest.raises(JobFileError, match="no such file"):
        load_settings(None, {"SPOTWISE_SETTINGS": str(path)}, tmp_path)


def test_the_market_lies_relative_to_the_settings(tmp_path: Path) -> None:
    market = write(tmp_path / "configs" / "markets" / "demo.yaml", "")
    path = write(tmp_path / "configs" / "settings.yaml", "local: {market: markets/demo.yaml}\n")
    assert load_settings(path, {}, tmp_path).local.market == market


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("engin: local\n", "1: engin: unknown key; allowed: engine, local, skypilot, sources, store, teams, require_team, overheads, grace, tick, crash_limit, cooldown, nightly, notify; did you mean engine"),
        ("home: /tmp\n", "1: home: unknown key; allowed: engine, local, skypilot, sources, store, teams, require_team, overheads, grace, tick, crash_limit, cooldown, nightly, notify"),
        ("monthly_budget: 4\n", "1: monthly_budget: unknown key; allowed: engine, local, skypilot, sources, store, teams, require_team, overheads, grace, tick, crash_limit, cooldown, nightly, notify; did you mean teams.*.monthly_budget"),
        ("engine: locl\n", "1: engine: found 'locl'; allowed: auto, local, skypilot; did you mean local"),
        ("tick: 0s\n", "1: tick: found '0s'; allowed: more than 0s"),
        ("grace: 5\n", "1: grace: found 5; allowed: a duration such as 45s, 90m, 18h, 1h30m, 2d or 1w"),
        ("crash_limit: 0\n", "1: crash_limit: found 0; allowed: 1 or more"),
        ("teams:\n  vision: {monthly_budget: 5 EUR}\n", "2: teams.vision.monthly_budget: found '5 EUR', which is not in USD; allowed: an amount in US dollars such as 40 USD, $40 or 40"),
        ("teams:\n  vision: {budget: 5}\n", "2: teams.vision.budget: unknown key; allowed: monthly_budget; did you mean monthly_budget"),
        ("nightly: {timezone: Mars}\n", "1: nightly.timezone: found 'Mars'; allowed: a time zone such as UTC or Europe/Berlin"),
        ("store:\n", "1: store: found nothing; allowed: a value, or leave the key out"),
    ],
)  # fmt: skip
def test_a_fault_is_said_in_one_line(tmp_path: Path, text: str, fault: str) -> None:
    path = write(tmp_path / "settings.yaml", text)
    assert faults(path) == [f"{path}:{fault}"]


def test_a_market_must_exist(tmp_path: Path) -> None:
    path = write(tmp_path / "settings.yaml", "local: {market: demo.yaml}\ntick: 0s\n")
    assert faults(path) == [
        f"{path}:1: local.market: found 'demo.yaml'; allowed: a market file that exists, and {tmp_path}/demo.yaml does not",
        f"{path}:2: tick: found '0s'; allowed: more than 0s",
    ]


@pytest.mark.parametrize(
    ("env", "home"),
    [({"SPOTWISE_HOME": "/data/spotwise"}, Path("/data/spotwise")), ({}, Path.home() / ".spotwise")],
)
def test_home(env: dict[str, str], home: Path) -> None:
    assert spotwise_home(env) == home


def test_the_schema_describes_every_key() -> None:
    schema = settings_schema()
    Draft202012Validator.check_schema(schema)
    for part in (schema, *schema["$defs"].values()):
        for key, value in part.get("properties", {}).items():
            assert value.get("description"), key


@pytest.mark.parametrize("wrong", ["V100:0.5", "V100:x", "V100:1:2", "V100:0", "V100:-1", "V100:", ":1", "V 100"])
def test_accelerators_of_a_pool_are_a_name_and_a_whole_number(tmp_path: Path, wrong: str) -> None:
    pool = f'{{infra: slurm/a/b, market: spot, price_usd_per_hour: 1, accelerators: "{wrong}"}}'
    path = write(tmp_path / "settings.yaml", f"skypilot:\n  pools:\n    - {pool}\n")
    assert faults(path) == [
        f"{path}:3: skypilot.pools[0].accelerators: found '{wrong}'; allowed: a name, or a name and a whole number, such as V100 or V100:2"
    ]


@pytest.mark.parametrize("right", ["V100", "V100:8", "A100-80GB:1", "tpu-v4-8"])
def test_accelerators_of_a_pool_need_no_number(tmp_path: Path, right: str) -> None:
    pool = f'{{infra: kubernetes/c, market: spot, price_usd_per_hour: 1, accelerators: "{right}"}}'
    path = write(tmp_path / "settings.yaml", f"skypilot: {{pools: [{pool}]}}\n")
    assert load_settings(path, {}, tmp_path).skypilot.pools[0].accelerators == right


@pytest.mark.parametrize("wrong", ["slurm", "slurm/aws", "slurm/aws/", "Slurm//spot", "slurm/aws/spot/x"])
def test_a_slurm_pool_is_a_partition(tmp_path: Path, wrong: str) -> None:
    pool = f"{{infra: {wrong}, market: spot, price_usd_per_hour: 1}}"
    path = write(tmp_path / "settings.yaml", f"skypilot:\n  pools:\n    - {pool}\n")
    assert faults(path) == [
        f"{path}:3: skypilot.pools[0].infra: found '{wrong}'; allowed: slurm/CLUSTER/PARTITION or kubernetes/CONTEXT"
    ]


def test_faults_in_a_list_name_its_keys_and_words(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    pools = "{infra: slurm/a/b, markt: spot, price_usd_per_hour: 1}, {infra: x, market: spott, price_usd_per_hour: 1}"
    file.write_text(f"skypilot:\n  pools: [{pools}]\n")
    with pytest.raises(JobFileError) as caught:
        load_settings(file, {}, tmp_path)
    said = str(caught.value)
    assert "skypilot.pools[0].markt: unknown key; allowed: infra, market, " in said
    assert "did you mean market" in said
    assert "skypilot.pools[1].market: found 'spott'; allowed: spot, on_demand; did you mean spot" in said


def taken(settings: str, team: str, tmp_path: Path) -> str:
    path = write(tmp_path / "settings.yaml", settings)
    try:
        load_settings(path, {}, tmp_path).check_team(team, Path("job.yaml"))
    except JobFileError as error:
        return str(error)
    return ""


def test_a_team_that_the_settings_do_not_know_is_a_fault_with_the_nearest(tmp_path: Path) -> None:
    known = "teams: {vision: {monthly_budget: 4}, health: {}}\n"
    assert taken(known, "vision", tmp_path) == taken(known, "health", tmp_path) == taken(known, "", tmp_path) == ""
    assert taken(known, "visoin", tmp_path) == (
        "job.yaml: team: found 'visoin', which is no team of the settings; allowed: health, vision; did you mean vision"
    )


def test_settings_without_teams_know_all(tmp_path: Path) -> None:
    assert taken("engine: local\n", "anybody", tmp_path) == ""


def test_settings_can_require_a_team_so_that_no_job_passes_every_budget(tmp_path: Path) -> None:
    required = "require_team: true\nteams: {vision: {monthly_budget: 4}}\n"
    assert taken(required, "vision", tmp_path) == ""
    assert taken(required, "", tmp_path) == "job.yaml: team: missing; require_team asks for one; allowed: vision"
    assert "found 'x', which is no team" in taken("require_team: true\n", "x", tmp_path)


def test_sources_are_nobody_unless_named(tmp_path: Path) -> None:
    assert nothing_enabled(load_settings(None, {"SPOTWISE_HOME": str(tmp_path)}, tmp_path).sources)
    off = write(tmp_path / "settings.yaml", "sources: {aws: {enabled: false}}\n")
    assert nothing_enabled(load_settings(off, {}, tmp_path).sources)


def test_sources_arrive_with_the_price_file_beside_the_settings(tmp_path: Path) -> None:
    text = (
        "sources:\n"
        "  aws: {enabled: auto, regions: [us-east-1], endpoint: 'http://127.0.0.1:8080/'}\n"
        "  gcp: {enabled: true, project: mine, regions: [us-central1]}\n"
        "  prices: prices.yaml\n"
    )
    write(tmp_path / "prices.yaml", "prices: []\n")
    found = load_settings(write(tmp_path / "settings.yaml", text), {}, tmp_path / "elsewhere").sources
    assert found.aws == AwsSourceSettings(enabled="auto", regions=("us-east-1",), endpoint="http://127.0.0.1:8080")
    assert found.gcp == GcpSourceSettings(enabled=True, project="mine", regions=("us-central1",))
    assert found.prices == tmp_path / "prices.yaml"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("aws: {enabled: on}", "sources.aws.enabled: found 'on'; allowed: auto, true, false"),
        ("aws: {enabled: atuo}", "sources.aws.enabled: found 'atuo'; allowed: auto, true, false; did you mean auto"),
        ("aws: {regions: us-east-1}", "sources.aws.regions: found 'us-east-1'; allowed: a list"),
        ("aws: {regions: [US East]}", "sources.aws.regions[0]: found 'US East'; allowed: a region as its cloud names it, such as us-east-1"),
        ("aws: {endpoint: 'localhost:80'}", "sources.aws.endpoint: found 'localhost:80'; allowed: a URL such as https://proxy.example.org/aws, without a user, a password or a query"),
        ("gcp: {endpoint: 'https://me:secret@host'}", "sources.gcp.endpoint: found 'https://me:secret@host'; allowed: a URL such as https://proxy.example.org/aws, without a user, a password or a query"),
        ("aws: {project: x}", "sources.aws.project: unknown key; allowed: enabled, regions, endpoint; did you mean sources.gcp.project"),
        ("azure: {}", "sources.azure: unknown key; allowed: aws, gcp, prices"),
        ("aws:", "sources.aws: found nothing; allowed: a value, or leave the key out"),
    ],
)  # fmt: skip
def test_a_fault_of_sources_is_said_in_one_line(tmp_path: Path, text: str, fault: str) -> None:
    path = write(tmp_path / "settings.yaml", f"sources:\n  {text}\n")
    assert faults(path) == [f"{path}:2: {fault}"]


def test_a_price_file_that_does_not_exist_is_a_fault(tmp_path: Path) -> None:
    path = write(tmp_path / "settings.yaml", "sources: {prices: no.yaml}\n")
    found = f"found 'no.yaml'; allowed: a price file that exists, and {tmp_path / 'no.yaml'} does not"
    assert faults(path) == [f"{path}:1: sources.prices: {found}"]
