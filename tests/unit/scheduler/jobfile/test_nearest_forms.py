# ruff: noqa: E501
"""A fault names the form that was probably meant, and where a slip in the text of a YAML file is likely to be."""

from __future__ import annotations

import pytest

from spotwise.scheduler.core.errors import JobFileError
from spotwise.scheduler.jobfile.job_notes import notes_on_file
from spotwise.scheduler.jobfile.job_spec import parse_job

LR = "{type: float, low: 0.1, high: 1}"
SWEEP = f"run: x $HP_LR\nsweep:\n  metric: m\n  goal: minimize\n  trials: 2\n  space:\n    lr: {LR}\n"


def faults(text: str) -> list[str]:
    with pytest.raises(JobFileError) as caught:
        parse_job(text, source="job.yaml")
    return caught.value.faults


def space(param: str) -> str:
    return SWEEP.replace(LR, param)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (SWEEP.replace("goal: minimize", "goal: max"), "maximize"),
        (SWEEP.replace("goal: minimize", "goal: Lower"), "minimize"),
        (space("{type: loguniform, low: 1, high: 2}"), "type: float with log: true"),
        (space("{type: randint, low: 1, high: 2}"), "type: int"),
        (space("{type: choice, choices: [a]}"), "type: categorical"),
        (space("[0.1, 0.2]"), "lr: {type: categorical, choices: [0.1, 0.2]}"),
        (space("adam"), "lr: {type: categorical, choices: [adam]}"),
        (space("{low: 1, high: 2}"), "type: float or type: int"),
        (space("{choices: [a, b]}"), "type: categorical"),
        (SWEEP + "  early_stopping: asha\n", "early_stopping: {type: asha}"),
        ("run: x\naccelerators: T4\n", "resources.accelerators"),
        ("run: x\ngpus: T4\n", "resources.gpus"),
        ("run: x\nuse_spot: true\n", "resources.use_spot"),
        ("run: x\ninfra: aws\n", "resources.infra"),
        ("run: x\nmetric: acc\n", "sweep.metric"),
        ("run: x\nnodes: 2\n", "num_nodes"),
        ("run: x\nenvironment: {A: b}\n", "envs"),
        ("run: x\nresources: T4\n", "resources: {accelerators: T4}"),
        ("run: x\ncheckpoint: 2 epochs\n", "checkpoint: {every: 2 epochs}"),
        ("run: x\nwork: 3\n", "work: {hours: 3}"),
        ("run: x\npolicy: spot\n", "spot_only"),
        ("run: x\npolicy: on-demand\n", "on_demand"),
    ],
)
def test_a_fault_names_the_nearest_right_form_once(text: str, form: str) -> None:
    (fault,) = faults(text)
    assert fault.endswith(f"; did you mean {form}")
    assert fault.count("did you mean") == 1


@pytest.mark.parametrize(("wrong", "right"), [("min", "low"), ("max", "high"), ("values", "choices"), ("q", "step")])
def test_other_words_for_the_keys_of_a_parameter_are_known(wrong: str, right: str) -> None:
    found = faults(space(f"{{type: float, low: 0, high: 1, {wrong}: 2}}"))
    assert any(fault.endswith(f"; did you mean {right}") for fault in found)


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("run: x\nsweep:\nmetric: m\ngoal: minimize\n", "metric, goal"),
        ("run: x\ncheckpoint:\nevery: 2 epochs\n", "every"),
        ("run: x\nretrain:\nmodel: m\n", "model"),
    ],
)
def test_keys_without_indentation_are_said_at_the_key_that_they_belong_to(text: str, keys: str) -> None:
    assert f"; did you mean to put more spaces before {keys}, which belong below it" in faults(text)[0]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("name: 'abc\nrun: x\n", "1:7: not YAML: the quote ' that begins here is never closed; allowed: the same quote at its end"),
        ("name: 'abc\nrun: 'x'\n", "1:7: not YAML: the quote ' that begins here is closed only on line 2; allowed: the same quote at its end"),
        ('run: "python -c 1\nname: b\nworkdir: "."\n', '1:6: not YAML: the quote " that begins here is closed only on line 3; allowed: the same quote at its end'),
        ("run: x\nowner: 'it's'\n", "2:12: not YAML: found text behind a closing quote; allowed: quotes around the whole value; a quote inside is written twice: 'it''s'"),
        ("run: |\npython train.py --lr 3\n", "2:1: not YAML: this line belongs to the block of line 1; allowed: more spaces before it than there"),
        ("setup: |  # first\n\npip install x\nrun: x\n", "3:1: not YAML: this line belongs to the block of line 1; allowed: more spaces before it than there"),
        ("run: >-\npython\nname: y\n", "2:1: not YAML: this line belongs to the block of line 1; allowed: more spaces before it than there"),
        ("name: x\nrun echo\n", "2:1: not YAML: found a line without a colon; allowed: KEY: VALUE, or more spaces before it than the line above"),
        ("run: echo a: b\n", "1:12: not YAML: found another colon in a value; allowed: the value in quotes, or below it as a block: KEY: |"),
        ("run: x\n name: y\n", "2:6: not YAML: found a key with more spaces before it than its neighbours; allowed: as many as they have"),
        ("envs: {A: b\nrun: x\n", "1:7: not YAML: the { that begins here is not closed by line 2; allowed: } at its end"),
        ("run: @x\n", "1:6: not YAML: found a value that begins with @; allowed: the value in quotes"),
        ("run:x\nname:y\n", "1: found 'run:x name:y'; allowed: a mapping of keys to values; did you forget the space after each colon"),
    ],
)  # fmt: skip
def test_a_slip_in_the_text_is_shown_where_it_is(text: str, fault: str) -> None:
    assert faults(text) == [f"job.yaml:{fault}"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("run: x\nresources: {infra: awss}\n", "resources.infra: found 'awss'; allowed: CLOUD, CLOUD/REGION or CLOUD/REGION/ZONE, with a cloud that SkyPilot knows, or *; did you mean aws"),
        ("run: x\nresources: {any_of: [{cloud: gpc}]}\n", "resources.any_of[0].cloud: found 'gpc'; allowed: a cloud that SkyPilot knows; did you mean gcp"),
        ("run: x\nwork: {hours: 1, reference: T400}\n", "work.reference: found 'T400'; allowed: an accelerator that SkyPilot knows, or one that resources ask for; did you mean T4"),
        ("run: x\ncheckpoint: {every: 100 steps}\nwork: {hours: 2}\n", "work.steps: missing; required with checkpoint.every in steps: how many the whole work has"),
        ("run: x\ncheckpoint: {every: 1 step}\n", "work.steps: missing; required with checkpoint.every in steps: how many the whole work has"),
        ("run: x\nresources: {any_of: [{infra: aws}], ordered: [{infra: gcp}]}\n", "resources.ordered: found beside any_of; allowed: one of them"),
    ],
)  # fmt: skip
def test_names_that_nobody_knows_and_parts_that_are_missing_are_a_fault(text: str, fault: str) -> None:
    (found,) = faults(text)
    assert found.split(": ", 1)[1] == fault


@pytest.mark.parametrize(
    "text",
    [
        "run: x\nresources: {infra: '*/us-east-1'}\n",
        "run: x\nresources: {infra: k8s/arn:aws:eks:us-east-1:1:cluster/c}\n",
        "run: x\nresources: {infra: Slurm/c1/gpu}\n",
        "run: x\nresources: {accelerators: 'OWN9:1'}\nwork: {hours: 1, reference: own9}\n",
        "run: x\nwork: {hours: 1, reference: 'A100:8'}\n",
        "run: x\nwork: {hours: 1, reference: tpu-v5litepod-8}\n",
        "run: x\ncheckpoint: {every: 100 steps}\nwork: {steps: 1000}\n",
    ],
)
def test_names_that_skypilot_or_the_job_knows_are_right(text: str) -> None:
    parse_job(text, source="job.yaml")


@pytest.mark.parametrize(
    ("run", "found"),
    [
        ("train --lr $HP_LEARNING_RATE", ["$HP_LEARNING_RATE, which no trial has; allowed: $HP_LR"]),
        ("train --lr ${hp_lr}", ["$hp_lr, which no trial has; allowed: $HP_LR; did you mean $HP_LR"]),
        ("train --lr $HP_lr", ["$HP_lr, which no trial has; allowed: $HP_LR; did you mean $HP_LR"]),
        (
            "python -c 'import os; os.environ[\"HP_RATE\"]'",
            ["$HP_RATE, which no trial has; allowed: $HP_LR; did you mean $HP_LR"],
        ),
    ],
)
def test_a_variable_that_no_trial_has_is_a_fault_in_run(run: str, found: list[str]) -> None:
    text = SWEEP.replace("run: x $HP_LR", f"run: |\n  {run}")
    assert faults(text) == [f"job.yaml:1: run: found {one}" for one in found]


@pytest.mark.parametrize(
    "run",
    [
        "train --lr $HP_LR --batch ${HP_BATCH:-32}",
        "hp_lr=$HP_LR; train --lr $hp_lr",
        "for hp_x in 1 2; do train $hp_x $HP_LR; done",
        "train $HP_LR  # not $HP_OLD",
        "train --lr ${HP_LR} $HP_HOST",
    ],
)
def test_variables_that_the_script_or_the_job_sets_are_right(run: str) -> None:
    text = SWEEP.replace("run: x $HP_LR", f"envs: {{HP_HOST: h}}\nrun: |\n  {run}")
    assert notes_on_file(parse_job(text, source="job.yaml")) == []


def test_a_parameter_that_run_never_names_is_noted() -> None:
    unused = SWEEP + "    width: {type: int, low: 1, high: 2}\n"
    (note,) = notes_on_file(parse_job(unused, source="job.yaml"))
    assert note.startswith("sweep.space.width: run never names $HP_WIDTH: its values have an effect only if")
    whole = unused.replace("$HP_LR", '"$SPOTWISE_HPARAMS"')
    assert notes_on_file(parse_job(whole, source="job.yaml")) == []


def test_a_variable_that_no_program_could_be_started_with_is_a_fault() -> None:
    def text(size: int) -> str:
        return f"envs: {{BIG: {'y' * size}}}\nrun: x\n"

    fits = 131_072 - len("BIG=") - 1
    parse_job(text(fits), source="job.yaml")
    assert faults(text(fits + 1)) == [
        "job.yaml:1: envs.BIG: found a variable of 131,073 bytes; allowed: at most 131,072; put it into a file below workdir or file_mounts"
    ]
    many = ", ".join(f"A{i}: {'y' * 100_000}" for i in range(9))
    huge = f"envs: {{{many}, B: {'é' * 40_000}, C: {'y' * 20_000}}}\nrun: x\n"
    assert faults(huge) == [
        "job.yaml:1: envs: found variables of 1,000,042 bytes in all; allowed: at most 1,000,000; put them into a file below workdir or file_mounts"
    ]


def test_a_long_script_is_no_fault() -> None:
    parse_job("run: |\n" + "  echo 0123456789\n" * 16_000, source="job.yaml")
