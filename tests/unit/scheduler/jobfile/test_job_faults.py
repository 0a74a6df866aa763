# ruff: noqa: E501
"""What is said of a job file that is wrong: the exact words, because they are what the user has."""

from pathlib import Path

import pytest

from spotwise.scheduler.core.errors import ExitCode, JobFileError
from spotwise.scheduler.jobfile.job_spec import load_job, parse_job

SWEEP = (
    "run: x\nsweep:\n  metric: m\n  goal: minimize\n  trials: 2\n  space:\n    lr: {type: float, low: 0.1, high: 1}\n"
)
RETRAIN = "run: x\nretrain:\n  model: m\n  triggers: {calendar: {at: 02:00}}\n  gate: {metric: m, goal: minimize}\n"


def faults(text: str) -> list[str]:
    with pytest.raises(JobFileError) as caught:
        parse_job(text, source="job.yaml")
    return caught.value.faults


def space(param: str) -> str:
    return SWEEP.replace("{type: float, low: 0.1, high: 1}", param)


@pytest.mark.parametrize("text", [SWEEP, RETRAIN])
def test_the_texts_below_are_right_before_they_are_made_wrong(text: str) -> None:
    parse_job(text, source="job.yaml")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        # not a job file at all
        ("", "job.yaml:1: found an empty file; allowed: a mapping of keys to values, such as name: demo"),
        ("# only a comment\n", "job.yaml:1: found an empty file; allowed: a mapping of keys to values, such as name: demo"),
        ("- run: x\n", "job.yaml:1: found a list; allowed: a mapping of keys to values"),
        ("\njust words\n", "job.yaml:2: found 'just words'; allowed: a mapping of keys to values"),
        ("run: x\n---\nrun: y\n", "job.yaml:3: found 2 jobs, one after each ---, as in a pipeline of SkyPilot; allowed: one job a file; write each into a file of its own, and submit the next when one has completed"),
        ("run: [x\n", "job.yaml:1:6: not YAML: the [ that begins here is not closed by line 2; allowed: ] at its end"),
        (
            "run: x\n\tname: y\n",
            "job.yaml:2:1: not YAML: found a tab; allowed: indentation by spaces",
        ),
        ("run: *x\n", "job.yaml:1:6: not YAML: found undefined alias 'x'; allowed: a name that a & before has given, or the text in quotes"),
        ("run: x\nlabels: &a {b: *a}\n", "job.yaml:2:9: not YAML: an alias repeats itself without end; allowed: YAML"),
        # keys
        ("run: x\nbudgett: 4\n", "job.yaml:2: budgett: unknown key; allowed: the keys that `spotwise schema` lists; did you mean budget"),
        ("run: x\ntrials: 4\n", "job.yaml:2: trials: unknown key; allowed: the keys that `spotwise schema` lists; did you mean sweep.trials"),
        ("run: x\nsky: {}\n", "job.yaml:2: sky: unknown key; allowed: the keys that `spotwise schema` lists"),
        ("run: x\nbudget_usd: 4\n", "job.yaml:2: budget_usd: unknown key; allowed: the keys that `spotwise schema` lists; did you mean budget"),
        ("run: x\ncheckpoint:\n  evry: auto\n", "job.yaml:3: checkpoint.evry: unknown key; allowed: every, to, keep, keep_best; did you mean every"),
        ("run: x\nresources:\n  acelerators: T4\n", "job.yaml:3: resources.acelerators: unknown key; allowed: the keys of SkyPilot's resources; did you mean accelerators"),
        ("run: x\nresources:\n  any_of:\n    - {regoin: a}\n", "job.yaml:4: resources.any_of[0].regoin: unknown key; allowed: the keys of SkyPilot's resources; did you mean region"),
        ("run: x\nname: a\nname: b\n", "job.yaml:3: name: found twice, first on line 2; allowed: once"),
        ("name: a\n", "job.yaml:1: run: missing; required: shell script that trains"),
        ("run: x\n? [a]\n: b\n", "job.yaml:2: found a list or mapping as a key; allowed: text"),
        # values
        ("run: x\nname: my job\n", "job.yaml:2: name: found 'my job'; allowed: at most 60 letters, digits and .-_, a letter first; did you mean my-job"),
        ("run: ''\n", "job.yaml:1: run: found ''; allowed: text that is not empty"),
        ("run: [x]\n", "job.yaml:1: run: found a list; allowed: text"),
        ("run: x\nteam: [a]\n", "job.yaml:2: team: found a list; allowed: text"),
        ("run: x\nteam:\n", "job.yaml:2: team: found nothing; allowed: a value, or leave the key out"),
        ("run: x\ncheckpoint: {every: }\n", "job.yaml:2: checkpoint.every: found nothing; allowed: a value, or leave the key out"),
        ("run: x\nlabels: [a]\n", "job.yaml:2: labels: found a list; allowed: a mapping of keys to values"),
        ("run: x\nnum_nodes: 0\n", "job.yaml:2: num_nodes: found 0; allowed: 1 or more"),
        ("run: x\nnum_nodes: two\n", "job.yaml:2: num_nodes: found 'two'; allowed: a whole number"),
        ("run: x\nnum_nodes: true\n", "job.yaml:2: num_nodes: found true; allowed: a whole number"),
        ("run: x\nresources: T4\n", "job.yaml:2: resources: found 'T4'; allowed: a mapping of keys to values; did you mean resources: {accelerators: T4}"),
        ("run: x\nenvs: {A: }\n", "job.yaml:2: envs.A: found nothing; allowed: text, '' for none, or --env A[=VALUE]"),
        ("run: x\nenvs: {A-B: c}\n", "job.yaml:2: envs.A-B: found 'A-B'; allowed: letters, digits and _"),
        ("run: x\nenvs: {A: 2026-13-45}\n", "job.yaml:2: envs.A: found '2026-13-45', which looks like a timestamp but is none"),
        ("run: x\ndeadline: 0h\n", "job.yaml:2: deadline: found '0h', which leaves no time; allowed: more than 0s"),
        ("run: x\nbudget: -1 USD\n", "job.yaml:2: budget: found '-1 USD'; allowed: an amount in US dollars such as 40 USD, $40 or 40, not below 0"),
        ("run: x\nbudget: 40 EUR\n", "job.yaml:2: budget: found '40 EUR', which is not in USD; allowed: an amount in US dollars such as 40 USD, $40 or 40"),
        ("run: x\npolicy: cheap\n", "job.yaml:2: policy: found 'cheap'; allowed: auto, deadline, cheapest, on_demand, spot_only; did you mean cheapest"),
        ("run: x\ncheckpoint: {every: 0 epochs}\n", "job.yaml:2: checkpoint.every: found '0 epochs'; allowed: N epochs, N steps, N minutes or auto, with N 1 or more"),
        ("run: x\ncheckpoint: {keep: 0}\n", "job.yaml:2: checkpoint.keep: found 0; allowed: 1 or more"),
        ("run: x\ncheckpoint: 2 epochs\n", "job.yaml:2: checkpoint: found '2 epochs'; allowed: a mapping of keys to values; did you mean checkpoint: {every: 2 epochs}"),
        ("run: x\nwork: {}\n", "job.yaml:2: work: found no amount; allowed: one or more of epochs, steps, hours"),
        ("run: x\nwork: {hours: 0}\n", "job.yaml:2: work.hours: found 0; allowed: more than 0"),
        ("run: x\nwork: {epochs: 1.5}\n", "job.yaml:2: work.epochs: found 1.5; allowed: a whole number"),
        # sweep
        (SWEEP.replace("  metric: m\n", ""), "job.yaml:2: sweep.metric: missing; required: the metric that trials report and the sweep improves"),
        (SWEEP.replace("minimize", "minimise"), "job.yaml:4: sweep.goal: found 'minimise'; allowed: maximize, minimize; did you mean minimize"),
        (SWEEP.replace("trials: 2", "trials: 0"), "job.yaml:5: sweep.trials: found 0; allowed: 1 or more"),
        (SWEEP.replace("  trials: 2\n", ""), "job.yaml:2: sweep.trials: missing; required: trials, budget or deadline, or the sweep never ends"),
        (SWEEP + "  priors: atuo\n", "job.yaml:8: sweep.priors: found 'atuo'; allowed: auto, none or a list of study ids; did you mean auto"),
        (SWEEP + "  early_stopping: {type: median}\n", "job.yaml:8: sweep.early_stopping.type: found 'median'; allowed: asha, freeze_thaw"),
        (SWEEP + "  early_stopping: {type: freeze_thaw}\n", "job.yaml:1: work.epochs: missing; required: a whole trial's, for freeze_thaw to foresee its end"),
        (SWEEP + "  stop_when: {gain_below: 0, per: 2 USD}\n", "job.yaml:8: sweep.stop_when.gain_below: found 0; allowed: more than 0"),
        (SWEEP + "  stop_when: {gain_below: 0.1}\n", "job.yaml:8: sweep.stop_when.per: missing; required: what that much improvement may cost, in USD"),
        (SWEEP + "  early_stopping: {type: freeze_thaw}\n  stop_when: {gain_below: 0.1, per: 2 USD}\nwork: {epochs: 9}\n", "job.yaml:9: sweep.stop_when: found beside freeze_thaw, which ends by itself; allowed: one of them"),
        (SWEEP + "  early_stopping: {reduction_factor: 1}\n", "job.yaml:8: sweep.early_stopping.reduction_factor: found 1; allowed: 2 or more"),
        (SWEEP + "    l-r: {type: float, low: 0, high: 1}\n", "job.yaml:8: sweep.space.l-r: found a name that no environment variable can have; allowed: letters, digits, _"),
        (SWEEP + "    LR: {type: float, low: 0, high: 1}\n", "job.yaml:8: sweep.space.LR: found the same variable HP_LR as lr; allowed: names that differ by more than case"),
        (space("{type: real, low: 0, high: 1}"), "job.yaml:7: sweep.space.lr.type: found 'real'; allowed: float, int, categorical; did you mean type: float"),
        (space("{type: float, low: 1, high: 1}"), "job.yaml:7: sweep.space.lr.low: found 1; allowed: less than high, which is 1"),
        (space("{type: float, low: 0, high: 1, log: true}"), "job.yaml:7: sweep.space.lr.low: found 0 with log: true; allowed: more than 0"),
        (space("{type: float, low: 1, high: 2, log: yes}"), "job.yaml:7: sweep.space.lr.log: found 'yes'; allowed: true or false"),
        (space("{type: float, low: 1, high: .inf}"), "job.yaml:7: sweep.space.lr.high: found inf; allowed: a number"),
        (space("{type: float, low: '1', high: 2}"), "job.yaml:7: sweep.space.lr.low: found '1'; allowed: a number"),
        (space("{type: float, low: 1}"), "job.yaml:7: sweep.space.lr.high: missing; required: the largest value"),
        (space("{type: int, low: 1.5, high: 3}"), "job.yaml:7: sweep.space.lr.low: found 1.5; allowed: a whole number, or type float"),
        (space("{type: int, low: 1, high: 3, step: 0}"), "job.yaml:7: sweep.space.lr.step: found 0; allowed: more than 0"),
        (space("{type: int, low: 1, high: 9, step: 2, log: true}"), "job.yaml:7: sweep.space.lr.step: found 2 with log: true; allowed: step or log, not both"),
        (space("{type: int, low: 1, high: 9, choices: [1]}"), "job.yaml:7: sweep.space.lr.choices: found a list; allowed: only with type categorical"),
        (space("{type: categorical}"), "job.yaml:7: sweep.space.lr.choices: missing; required: the values of a categorical parameter"),
        (space("{type: categorical, choices: []}"), "job.yaml:7: sweep.space.lr.choices: found an empty list; allowed: a list of one or more values"),
        (space("{type: categorical, choices: [a], low: 1}"), "job.yaml:7: sweep.space.lr.low: found 1; allowed: only with type float or int"),
        (SWEEP + "  budget: 4\nbudget: 5\n", "job.yaml:8: sweep.budget: found beside budget of the job; allowed: one of them"),
        # retrain
        (RETRAIN + "sweep: {metric: m, goal: minimize, trials: 1, space: {a: {type: categorical, choices: [1]}}}\n", "job.yaml:2: retrain: found beside sweep; allowed: one of sweep and retrain"),
        (RETRAIN.replace("02:00", "24:30"), "job.yaml:4: retrain.triggers.calendar.at: found '24:30'; allowed: a time of day from 00:00 to 23:59"),
        (RETRAIN.replace("02:00", "02:00, days: [funday]"), "job.yaml:4: retrain.triggers.calendar.days: found 'funday'; allowed: a list of mon, tue, wed, thu, fri, sat, sun; did you mean sun"),
        (RETRAIN.replace("02:00", "02:00, timezone: Europe/Berln"), "job.yaml:4: retrain.triggers.calendar.timezone: found 'Europe/Berln'; allowed: a time zone such as UTC or Europe/Berlin; did you mean Europe/Berlin"),
        (RETRAIN.replace("goal: minimize", "goal: minimize, min_improvement: -1"), "job.yaml:5: retrain.gate.min_improvement: found -1; allowed: 0 or more"),
        (RETRAIN.replace("model: m", "model: ../m"), "job.yaml:3: retrain.model: found '../m'; allowed: up to 100 letters, digits, dots, dashes and underscores, a letter or digit first"),
        (RETRAIN.replace("  model: m\n", ""), "job.yaml:2: retrain.model: missing; required: the model's name in the registry"),
    ],
)  # fmt: skip
def test_a_fault_is_said_in_one_line(text: str, fault: str) -> None:
    assert faults(text) == [fault]


def test_all_faults_are_said_at_once_in_the_order_of_the_file() -> None:
    assert faults("name: my job\npolcy: auto\nnum_nodes: 0\nsweep: {trials: 0}\nretrain: {}\n") == [
        "job.yaml:1: name: found 'my job'; allowed: at most 60 letters, digits and .-_, a letter first; did you mean my-job",
        "job.yaml:1: run: missing; required: shell script that trains",
        "job.yaml:2: polcy: unknown key; allowed: the keys that `spotwise schema` lists; did you mean policy",
        "job.yaml:3: num_nodes: found 0; allowed: 1 or more",
        "job.yaml:4: sweep.metric: missing; required: the metric that trials report and the sweep improves",
        "job.yaml:4: sweep.goal: missing; required: maximize or minimize",
        "job.yaml:4: sweep.trials: found 0; allowed: 1 or more",
        "job.yaml:4: sweep.space: missing; required: the hyperparameters, by name",
        "job.yaml:5: retrain: found beside sweep; allowed: one of sweep and retrain",
        "job.yaml:5: retrain.model: missing; required: the model's name in the registry",
        "job.yaml:5: retrain.triggers: missing; required: what makes it run",
        "job.yaml:5: retrain.gate: missing; required: when the new model replaces the champion",
    ]


def test_faults_end_with_exit_code_2() -> None:
    with pytest.raises(JobFileError) as caught:
        parse_job("", source="job.yaml")
    assert caught.value.exit_code == ExitCode.BAD_INPUT


def test_aliases_that_multiply_are_stopped() -> None:
    """Nine lines that stand for a billion values."""
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    assert len(faults("\n".join(rows))) == 1


def test_nesting_without_end_is_a_fault() -> None:
    assert faults("run: " + "[" * 1500) == ["job.yaml:1: nested too deeply; allowed: a job file"]


def test_a_huge_file_is_a_fault() -> None:
    assert faults("run: x # " + "y" * 1_000_000) == [
        "job.yaml:1: found 1,000,009 characters; allowed: at most 1,000,000"
    ]


def test_control_characters_are_a_fault() -> None:
    assert faults("run: x\x00\n") == [
        "job.yaml:1: not YAML: special characters are not allowed; allowed: text without control characters"
    ]


@pytest.mark.parametrize(
    ("resources", "fault"),
    [
        ("{accelerators: 'V100:x'}", "accelerators: found 'V100:x'; allowed: a name with a number above 0, such as T4, T4:2 or {T4: 2}, or a memory such as 80GB+ or 24GB:2"),
        ("{accelerators: 'V100:0'}", "accelerators: found 'V100:0'; allowed: a name with a number above 0, such as T4, T4:2 or {T4: 2}, or a memory such as 80GB+ or 24GB:2"),
        ("{accelerators: {V100: -1}}", "accelerators: found {'V100': -1}; allowed: a name with a number above 0, such as T4, T4:2 or {T4: 2}, or a memory such as 80GB+ or 24GB:2"),
        ("{accelerators: [T4, 'V100:nan']}", "accelerators: found 'V100:nan'; allowed: a name with a number above 0, such as T4, T4:2 or {T4: 2}, or a memory such as 80GB+ or 24GB:2"),
        ("{accelerators: 4}", "accelerators: found 4; allowed: a name with a number above 0, such as T4, T4:2 or {T4: 2}, or a memory such as 80GB+ or 24GB:2"),
        ("{any_of: [aws]}", "any_of[0]: found 'aws'; allowed: a mapping of keys to values"),
        ("{ordered: {infra: aws}}", "ordered: found a mapping; allowed: a list of mappings"),
        ("{cpus: many}", "cpus: found 'many'; allowed: 4 for exactly so much, 4+ for at least"),
        ("{max_hourly_cost: cheap}", "max_hourly_cost: found 'cheap'; allowed: an amount in USD, above 0"),
        ("{any_of: [{accelerators: 'V100:0'}]}", "any_of[0].accelerators: found 'V100:0'; allowed: a name with a number above 0, such as T4, T4:2 or {T4: 2}, or a memory such as 80GB+ or 24GB:2"),
    ],
)  # fmt: skip
def test_resources_by_which_no_offer_can_be_chosen_are_a_fault(resources: str, fault: str) -> None:
    assert faults(f"run: x\nresources: {resources}\n") == [f"job.yaml:2: resources.{fault}"]


@pytest.mark.parametrize(
    "accelerators", ["T4", "T4:2", "'T4:0.5'", "{T4: 2}", "{'A100:1', 'V100:1'}", "[T4, A100]", ""]
)
def test_accelerators_as_skypilot_takes_them_are_no_fault(accelerators: str) -> None:
    parse_job(f"run: x\nresources: {{accelerators: {accelerators}}}\n", source="job.yaml")


# files


def file_faults(path: Path) -> list[str]:
    with pytest.raises(JobFileError) as caught:
        load_job(path)
    return caught.value.faults


def test_a_missing_file_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "digits.yaml").touch()
    path = tmp_path / "digit.yaml"
    assert file_faults(path) == [
        f"{path}: no such file; allowed: the path of a YAML file; did you mean {tmp_path / 'digits.yaml'}"
    ]


def test_a_missing_folder_is_a_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "no" / "job.yaml"
    assert file_faults(path) == [f"{path}: no such file; allowed: the path of a YAML file"]


def test_a_folder_is_no_job(tmp_path: Path) -> None:
    assert file_faults(tmp_path) == [f"{tmp_path}: found a folder; allowed: the path of a YAML file"]


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml" / "more"
    path.parent.touch()
    assert file_faults(path) == [f"{path}: cannot be read (Not a directory); allowed: a file you may read"]


def test_text_must_be_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_bytes("run: x\nowner: Jos\u00e9\n".encode("latin-1"))
    assert file_faults(path) == [f"{path}:2: found byte 0xe9, which is not UTF-8; allowed: text saved as UTF-8"]


def test_a_missing_workdir_names_both_places(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text("run: x\nworkdir: code\n")
    assert file_faults(path) == [
        f"{path}:2: workdir: found 'code', no folder in {tmp_path} or {Path.cwd()}; allowed: a folder that exists"
    ]


def test_a_file_mount_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text("run: x\nfile_mounts:\n  /a: data\n  /b:\n    name: b\n    source: /no/such\n")
    allowed = "allowed: a file or folder that exists, or a URL such as s3://bucket/path"
    assert file_faults(path) == [
        f"{path}:3: file_mounts./a: found 'data', which is not there in {tmp_path} or {Path.cwd()}; {allowed}",
        f"{path}:6: file_mounts./b.source: found '/no/such', which is not there; {allowed}",
    ]
