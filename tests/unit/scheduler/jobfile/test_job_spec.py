import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from spotwise.checkpoints import Every, Unit
from spotwise.scheduler.core.errors import JobFileError
from spotwise.scheduler.core.run import RunKind
from spotwise.scheduler.jobfile.job_notes import notes_on
from spotwise.scheduler.jobfile.job_spec import (
    job_schema,
    load_job,
    parse_job,
    slug,
    text_to_store,
)

EVERYTHING = """\
name: shelf-detector
owner: 007
team: vision
project: shelf-detector
labels: {ticket: V-1204, on: yes}
deadline: 18h
budget: 40 USD
policy: deadline
checkpoint:
  every: 2 epochs
  to: s3://bucket/path
  keep: 5
work: {epochs: 30, steps: 9000, hours: 2.5, reference: T4}
sweep:
  metric: val_accuracy
  goal: maximize
  trials: 40
  parallel: 4
  space:
    lr: {type: float, low: 1e-5, high: 1e-1, log: true}
    width: {type: int, low: 32, high: 512, step: 32}
    optimizer: {type: categorical, choices: [adam, sgd, on, 02:00, true, 1e-3]}
  early_stopping: {type: asha, grace_epochs: 2, reduction_factor: 4}
  priors: [digits-mlp-7k2f9q]
  seed: 7
setup: pip install -r requirements.txt
run: python train.py
num_nodes: 2
resources: {accelerators: {V100:1, A100:1}, use_spot: yes, any_of: [{infra: aws}]}
envs: {EPOCHS: 30, RATE: 1e-5, DEBUG: true}
secrets: {TOKEN: null}
file_mounts: {/data: s3://bucket}
"""

SKY_TASK = """\
name: task
workdir: {url: https://github.com/org/repo, ref: main}
num_nodes: 1
resources:
  infra: aws/us-east-1
  accelerators: [A100:8, H100:8]
  job_recovery: {strategy: EAGER_NEXT_REGION, max_restarts_on_errors: 3}
  image_id: docker:ubuntu
event_callback: echo done
file_mounts: {/a: ~/a}
file_mounts_mapping: {}
storage_mounts: {}
volumes: {/mnt: pvc}
volume_mounts: []
config: {kubernetes: {provision_timeout: 600}}
envs: {A: b}
secrets: [secrets:shared-token]
managed_secrets: [other]
inputs: {s3://in: 3}
outputs: {s3://out: 1}
service: {replicas: 1}
pool: {workers: 2}
api_server_access: true
_metadata: {}
_policies: {}
version: 1
setup:
run: |
  echo hello
"""


def job(text: str, source: str = "job.yaml"):
    return parse_job(text, source=source)


def test_every_key_of_a_sweep_arrives() -> None:
    spec = job(EVERYTHING)
    assert (spec.name, spec.owner, spec.team, spec.project) == ("shelf-detector", "007", "vision", "shelf-detector")
    assert spec.labels == {"ticket": "V-1204", "on": "yes"}
    assert spec.deadline.duration == timedelta(hours=18)
    assert spec.budget_usd == Decimal(40)
    assert spec.policy == "deadline"
    assert (spec.checkpoint.every, spec.checkpoint.to, spec.checkpoint.keep) == (
        Every(2, Unit.EPOCHS),
        "s3://bucket/path",
        5,
    )
    assert (spec.work.epochs, spec.work.steps, spec.work.hours, spec.work.reference) == (30, 9000, 2.5, "T4")
    assert (spec.run, spec.setup, spec.num_nodes) == ("python train.py", "pip install -r requirements.txt", 2)
    assert spec.kind is RunKind.SWEEP


def test_the_sweep_of_a_job_arrives() -> None:
    sweep = job(EVERYTHING).sweep
    assert (sweep.metric, sweep.goal, sweep.trials, sweep.parallel, sweep.seed) == (
        "val_accuracy",
        "maximize",
        40,
        4,
        7,
    )
    assert (sweep.early_stopping.grace_epochs, sweep.early_stopping.reduction_factor) == (2, 4)
    assert sweep.priors == ["digits-mlp-7k2f9q"]
    assert (sweep.space["lr"].low, sweep.space["lr"].high, sweep.space["lr"].log) == (1e-5, 0.1, True)
    assert (sweep.space["width"].low, sweep.space["width"].step) == (32, 32)


def test_the_terms_of_a_sweep_are_those_of_the_job() -> None:
    """A sweep is the whole job, so budget and deadline mean the same in both places."""
    sweep = "sweep: {metric: m, goal: minimize, space: {a: {type: int, low: 1, high: 2}}, budget: 0, deadline: 2h}"
    spec = job(f"run: x\n{sweep}\n")
    assert (spec.budget_usd, spec.deadline.duration) == (Decimal(0), timedelta(hours=2))


def test_words_in_our_keys_are_what_they_look_like() -> None:
    """YAML 1.1 would read on as true, 02:00 as a number and 1e-3 as text."""
    assert job(EVERYTHING).sweep.space["optimizer"].choices == ("adam", "sgd", "on", "02:00", True, 1e-3)


def test_words_in_skypilot_keys_are_what_skypilot_reads() -> None:
    spec = job(EVERYTHING)
    assert spec.resources == yaml.safe_load(EVERYTHING)["resources"]
    assert spec.envs == {"EPOCHS": "30", "RATE": "1e-5", "DEBUG": "True"}
    assert spec.secrets == {"TOKEN": None}
    assert spec.sky == {"file_mounts": {"/data": "s3://bucket"}}


def test_any_skypilot_task_is_a_job() -> None:
    """Nothing that SkyPilot reads is lost, whether spotwise has a use for it or not."""
    spec, task = job(SKY_TASK), yaml.safe_load(SKY_TASK)
    read = {"name", "num_nodes", "resources", "envs", "secrets", "setup", "run"}
    passed = {key: value for key, value in task.items() if key not in read}
    assert spec.sky == {**passed, "managed_secrets": ["other", "shared-token"]}, "two ways to name the same"
    assert spec.resources == task["resources"]
    assert (spec.workdir, spec.setup, spec.secrets) == (None, "", {})
    assert spec.kind is RunKind.TRAINING


def test_defaults() -> None:
    spec = job("run: python train.py\n", "jobs/night shift.yaml")
    assert spec.name == "night-shift"
    assert (spec.policy, spec.num_nodes, spec.deadline, spec.budget_usd, spec.work) == ("auto", 1, None, None, None)
    assert (spec.checkpoint.every, spec.checkpoint.to, spec.checkpoint.keep) == (None, None, 3)
    assert not spec.declares_checkpoint
    assert job("run: x\ncheckpoint: {every: auto}\n").declares_checkpoint


@pytest.mark.parametrize(
    ("at", "expected"), [("02:00", "02:00"), ("2:00", "02:00"), ("'02:00'", "02:00"), ("12:30", "12:30")]
)
def test_a_time_of_day_needs_no_quotes(at: str, expected: str) -> None:
    """PyYAML reads 2:00 as 120 and 12:30 as 750."""
    retrain = job(
        f"""\
run: python train.py
retrain:
  model: digits
  triggers: {{calendar: {{at: {at}, days: [Fri, mon], timezone: Europe/Berlin}}}}
  gate: {{metric: val_accuracy, goal: maximize, min_improvement: 1e-3}}
"""
    ).retrain
    assert (retrain.triggers.calendar.at, retrain.triggers.calendar.days) == (expected, ("mon", "fri"))
    assert retrain.gate.min_improvement == 1e-3


def test_a_job_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        job("run: x\n").name = "other"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("My job (2)", "My-job-2"),
        ("7up", "job-7up"),
        ("digits_mlp", "digits_mlp"),
        ("日本", "job"),
        ("x" * 99, "x" * 60),
    ],
)
def test_slugs_are_names(text: str, expected: str) -> None:
    assert slug(text) == expected
    assert job(f"name: {slug(text)}\nrun: x\n").name == expected


def test_merge_keys_and_anchors_work() -> None:
    spec = job(
        """\
run: x
sweep:
  metric: m
  goal: minimize
  trials: 2
  space:
    lr: &rate {type: float, low: 1e-5, high: 1e-1, log: true}
    decay: {<<: *rate, high: 1.0}
"""
    )
    assert (spec.sweep.space["decay"].low, spec.sweep.space["decay"].high) == (1e-5, 1.0)


# files


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_workdir_lies_beside_the_file_if_it_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("here/code", "there/code", "there/other"):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "there")
    file = write(tmp_path / "here" / "job.yaml", "run: x\nworkdir: code\n")
    assert load_job(file).workdir == str(tmp_path / "here" / "code")


def test_workdir_else_lies_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "configs").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load_job(write(tmp_path / "configs" / "job.yaml", "run: x\nworkdir: ./code\n")).workdir == str(
        tmp_path / "code"
    )


MOUNTS = """\
run: x
envs: {SIZE: 7b, BUCKET: "s3://bucket"}
file_mounts:
  /data: data
  /there: ./other
  /home: ~/weights
  /model: models/$SIZE
  /bucket: ${BUCKET}/x
  /store: {name: s, source: data}
  /several: {name: t, source: [data, other]}
  /empty: {name: u, mode: MOUNT}
storage_mounts: {/old: {name: v, source: "gs://bucket"}}
"""


def test_files_that_a_job_brings_along_lie_beside_the_file_else_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in ("here/data", "there/data", "there/other", "weights", "here/models/7b"):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.chdir(there)
    monkeypatch.setenv("HOME", str(tmp_path))
    sky = load_job(write(here / "job.yaml", MOUNTS)).sky
    assert sky["file_mounts"] == {
        "/data": f"{here}/data",
        "/there": f"{there}/other",
        "/home": f"{tmp_path}/weights",
        "/model": f"{here}/models/7b",
        "/bucket": "${BUCKET}/x",
        "/store": {"name": "s", "source": f"{here}/data"},
        "/several": {"name": "t", "source": [f"{here}/data", f"{there}/other"]},
        "/empty": {"name": "u", "mode": "MOUNT"},
    }
    assert sky["storage_mounts"] == {"/old": {"name": "v", "source": "gs://bucket"}}


def test_a_deadline_that_is_past_is_a_fault_of_a_file_and_not_of_a_text(tmp_path: Path) -> None:
    """A supervisor reads a run's text again after its deadline."""
    text = "run: x\ndeadline: 2026-03-01T06:00:00Z\n"
    file, moment = write(tmp_path / "job.yaml", text), datetime(2026, 3, 1, 6, tzinfo=UTC)
    assert load_job(file, now=moment - timedelta(seconds=1)).deadline.at == moment
    with pytest.raises(JobFileError, match=r"job.yaml:2: deadline: found '2026-03-01T06:00:00Z', which is past"):
        load_job(file, now=moment)
    assert job(text).deadline.at == moment


def test_a_byte_order_mark_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_bytes(b"\xef\xbb\xbfrun: x\n")
    assert load_job(tmp_path / "job.yaml").run == "x"


# secrets


@pytest.mark.parametrize(
    "secrets",
    [
        "secrets: {TOKEN: s3cret, OTHER: }",
        "secrets:\n  TOKEN: s3cret  # from the vault\n  OTHER: s3cret\n\n# more",
        "secrets:\n  TOKEN: |\n    s3cret\n    s3cret\n  OTHER: 's3cret'",
        'secrets:\n  {TOKEN: s3cret,\n   OTHER: "s3cret"}',
        "secrets:\n  <<: {TOKEN: s3cret}\n  OTHER: s3cret",
    ],
)
@pytest.mark.parametrize("last", [False, True])
def test_what_is_stored_holds_no_secret_and_is_the_same_job(secrets: str, last: bool) -> None:
    triggers = "triggers: {calendar: {at: 2:00}}"
    rest = f"owner: 007\nretrain:\n  model: m\n  {triggers}\n  gate: {{metric: m, goal: minimize}}\nrun: x"
    text = f"{rest}\n{secrets}" if last else f"{secrets}\n{rest}\n"
    stored = text_to_store(text, job(text))
    assert "s3cret" not in stored
    assert job(stored) == job(text).model_copy(update={"secrets": {"TOKEN": None, "OTHER": None}})


@pytest.mark.parametrize("text", [SKY_TASK, "run: x\n", "envs: {A: b}\nsecrets: {B: }\nrun: x # as it is\n"])
def test_a_text_without_secrets_of_its_own_is_stored_as_it_is(text: str) -> None:
    assert "s3cret" not in text_to_store(text, job(text))
    assert job(text_to_store(text, job(text))) == job(text)


# schema


@pytest.mark.parametrize("text", [EVERYTHING, SKY_TASK, "run: x\n"])
def test_the_schema_accepts_what_the_parser_accepts(text: str) -> None:
    spec = yaml.safe_load(text)
    spec.pop("setup", None) if spec.get("setup") is None else None
    spec.update({"owner": "007"} if "owner" in spec else {})  # YAML 1.1 in editors reads these as a number and true
    if "labels" in spec:
        spec["labels"] = {"ticket": "V-1204"}
    if "sweep" in spec:
        spec["sweep"]["space"]["lr"].update(low=1e-5, high=1e-1)
    assert [error.message for error in Draft202012Validator(job_schema()).iter_errors(spec)] == []


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"run": "x", "polcy": "auto"},
        {"run": "x", "deadline": None},
        {"run": "x", "checkpoint": {"keep": 0}},
        {"run": "x", "sweep": {"metric": "m", "goal": "maximise", "trials": 1, "space": {}}},
    ],
)
def test_the_schema_rejects_what_the_parser_rejects(spec: dict[str, object]) -> None:
    assert not Draft202012Validator(job_schema()).is_valid(spec)
    with pytest.raises(JobFileError):
        job(yaml.safe_dump(spec))


def test_every_key_of_the_schema_is_described() -> None:
    schema = job_schema()
    Draft202012Validator.check_schema(schema)
    for part in (schema, *schema["$defs"].values()):
        for key, value in part.get("properties", {}).items():
            assert value.get("description"), key


# keys without effect, and experimental ones


@pytest.mark.parametrize(("kind", "is_named"), [("asha", False), ("freeze_thaw", True)])
def test_an_early_stopping_that_is_experimental_is_named(kind: str, is_named: bool) -> None:
    sweep = "sweep: {metric: m, goal: maximize, trials: 4, space: {x: {type: float, low: 0, high: 1}}, early_stopping: "
    found = job(f"run: x\nwork: {{epochs: 9}}\n{sweep}{{type: {kind}}}}}\n")
    named = [note for note in notes_on(found, "local") if "freeze_thaw is experimental" in note]
    assert len(named) == is_named


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        ("run: x\nresources: {accelerators: T4:1, use_spot: true}\n", []),
        ("run: x\nfile_mounts: {/a: b}\n", ["file_mounts: no effect on the local engine"]),
        ("run: x\nresources: {image_id: docker:u}\n", ["resources.image_id: no effect on the local engine"]),
        ("run: x\nservice: {replicas: 1}\n", ["service: no effect on the local engine"]),
        ("run: x\nworkdir: {url: u}\n", ["workdir: no effect on the local engine"]),
        ("run: x\nnum_nodes: 2\n", ["num_nodes: the local engine has one machine and starts 1 process, not 2"]),
        ("run: x\nwork: {steps: 3}\n", ["work.steps: no effect without checkpoint.every: N steps"]),
        ("run: x\nwork: {steps: 3}\ncheckpoint: {every: 1 step}\n", []),
        ("run: x\nwork: {epochs: 3, reference: T4}\n", ["work.reference: no effect without work.hours"]),
    ],
)
def test_a_key_without_effect_is_named(text: str, notes: list[str]) -> None:
    assert notes_on(job(text), "local") == notes


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        ("run: x\nfile_mounts: {/a: b}\nnum_nodes: 2\nconfig: {}\nvolumes: {/v: w}\n", []),
        ("run: x\nresources: {accelerators: T4:1, image_id: 'docker:u', ports: 80, max_hourly_cost: 3}\n", []),
        ("run: x\nservice: {replicas: 1}\n", ["service: no effect: spotwise trains and serves nothing"]),
        ("run: x\nevent_callback: y\n", ["event_callback: no effect: only SkyPilot's managed jobs call it"]),
        (
            "run: x\nresources: {job_recovery: {}, autostop: 5}\n",
            [
                "resources.autostop: no effect: nodes end themselves after skypilot.autostop of the settings",
                "resources.job_recovery: no effect: spotwise recovers the job itself, and after crash_limit crashes "
                "in a row without progress it gives up",
            ],
        ),
        (
            "run: x\nresources: {ordered: [{infra: aws, priority: 3}]}\n",
            [
                "resources.ordered: all are considered, and the policy chooses; only the order has no effect",
                "resources.priority: no effect: only SkyPilot's managed jobs act on it",
            ],
        ),
    ],
)
def test_a_key_without_effect_on_skypilot_is_named_with_the_reason(text: str, notes: list[str]) -> None:
    assert notes_on(job(text), "skypilot") == notes


def test_job_files_need_neither_torch_nor_ray_nor_optuna_nor_sky() -> None:
    module = "spotwise.scheduler.jobfile.job_spec"
    heavy = f"import sys, {module}; print({{'torch', 'ray', 'optuna', 'scipy', 'sky'}} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"
