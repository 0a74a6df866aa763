"""What past studies are expected to save, and are estimated to have saved."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from spotwise.scheduler.core.study import StudyRecord, TrialState
from spotwise.scheduler.tuning.savings.cold_start import cold_trials, finest_quantile, spread
from spotwise.scheduler.tuning.savings.expected import expected_saving
from spotwise.scheduler.tuning.savings.realised import realised_saving

MakeStudy = Callable[..., StudyRecord]
PLANE: dict[str, dict[str, Any]] = {
    "x": {"type": "float", "low": 0.0, "high": 1.0},
    "y": {"type": "float", "low": 1e-4, "high": 1.0, "log": True},
    "kind": {"type": "categorical", "choices": ["a", "b"]},
}


def config(rng: np.random.Generator) -> dict[str, Any]:
    return {"x": float(rng.random()), "y": float(10 ** rng.uniform(-4, 0)), "kind": "ab"[int(rng.integers(2))]}


def accuracy(params: dict[str, Any], best: float) -> float:
    """Best near ``best`` in both parameters that are numbers."""
    y = (np.log10(params["y"]) + 4) / 4
    return float(1 - (params["x"] - best) ** 2 - (y - best) ** 2 - 0.1 * (params["kind"] == "b"))


def studies(make: MakeStudy, bests: list[float], trials: int = 40, **changes: Any) -> list[StudyRecord]:
    found = []
    for seed, best in enumerate(bests):
        rng = np.random.default_rng(seed)
        results = [(params, accuracy(params, best)) for params in (config(rng) for _ in range(trials))]
        found.append(make(results, **({"id": f"past-{seed}", "space": PLANE} | changes)))
    return found


ALIKE = [0.3, 0.32, 0.28, 0.31, 0.29]
SCATTERED = [0.05, 0.95, 0.35, 0.65, 0.5]


def test_alike_studies_are_expected_to_save_more_than_scattered_ones(make_study: MakeStudy) -> None:
    alike, scattered = (expected_saving(studies(make_study, bests), PLANE, 4) for bests in (ALIKE, SCATTERED))
    assert alike is not None
    assert scattered is not None
    assert alike.studies == 5
    assert alike.trials.expected > 5
    assert alike.trials.expected > scattered.trials.expected + 1


def test_a_loss_is_not_hidden(make_study: MakeStudy) -> None:
    """Results by chance: four configurations of other studies are as good as a few at random, on average."""
    expected = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        noise = [
            make_study([(config(rng), float(rng.random())) for _ in range(40)], id=f"noise-{n}", space=PLANE)
            for n in range(5)
        ]
        saving = expected_saving(noise, PLANE, 4)
        assert saving is not None
        assert saving.trials.p10 < 0
        expected.append(saving.trials.expected)
    assert np.mean(expected) < 4


def test_a_study_says_nothing_of_itself(make_study: MakeStudy) -> None:
    """Three studies on three corners: none shows where another's best is, however well each knows its own."""
    rng = np.random.default_rng(0)
    corners = [(0.05, 1e-4), (0.95, 1.0), (0.05, 1.0)]
    past = []
    for number, (x, y) in enumerate(corners):
        places = [config(rng) for _ in range(60)]
        values = [-((p["x"] - x) ** 2) - ((np.log10(p["y"]) - np.log10(y)) / 4) ** 2 for p in places]
        past.append(make_study(list(zip(places, values, strict=True)), id=f"corner-{number}", space=PLANE))
    saving = expected_saving(past, PLANE, 1)
    assert saving is not None
    assert saving.trials.expected < 2


@pytest.mark.parametrize("count", [0, 1, 2])
def test_fewer_than_three_studies_cannot_tell(make_study: MakeStudy, count: int) -> None:
    assert expected_saving(studies(make_study, ALIKE[:count]), PLANE, 4) is None


def test_studies_of_one_trial_or_of_failures_alone_do_not_judge(make_study: MakeStudy) -> None:
    tiny = studies(make_study, ALIKE[:2], trials=1)
    failed = make_study([({"x": 0.1}, None)] * 8, id="failed", space=PLANE)
    past = [*studies(make_study, ALIKE[2:4]), *tiny, failed]
    assert expected_saving(past, PLANE, 4) is None
    more = expected_saving([*studies(make_study, ALIKE[:3]), *tiny, failed], PLANE, 4)
    assert more is not None
    assert more.studies == 3


def test_scale_and_direction_do_not_matter(make_study: MakeStudy) -> None:
    past = studies(make_study, ALIKE)
    other = [
        replace(s, goal="minimize", trials=tuple(replace(t, value=7 - 1000 * (t.value or 0)) for t in s.trials))
        for s in past
    ]
    assert expected_saving(other, PLANE, 4) == expected_saving(past, PLANE, 4)


def test_conditional_parameters_may_be_missing(make_study: MakeStudy) -> None:
    past = [
        replace(
            s,
            trials=tuple(
                replace(t, params={k: v for k, v in t.params.items() if k != "y" or t.number % 2}) for t in s.trials
            ),
        )
        for s in studies(make_study, ALIKE)
    ]
    assert expected_saving(past, PLANE, 4) is not None
    taken = replace(past[0].trials[0], source="prior")
    own = replace(past[0], id="own", priors=("past-1",), trials=(taken, *past[0].trials[1:]))
    assert realised_saving(own, past[1:]) is not None


def test_nothing_finer_is_claimed_than_past_studies_can_show(make_study: MakeStudy) -> None:
    saving = expected_saving(studies(make_study, ALIKE, trials=6), PLANE, 4)
    assert saving is not None
    assert saving.without.p90 <= cold_trials(finest_quantile(6))


def test_fewer_studies_give_a_wider_interval(make_study: MakeStudy) -> None:
    three, five = (expected_saving(studies(make_study, [0.3] * n), PLANE, 4) for n in (3, 5))
    assert three is not None
    assert five is not None
    assert three.without.p10 < three.without.expected <= three.without.p90
    widths = [np.log(saving.without.expected / saving.without.p10) for saving in (three, five)]
    assert widths[0] > widths[1] > 0


def test_forty_studies_and_a_huge_one_are_judged(make_study: MakeStudy) -> None:
    past = studies(make_study, [0.3 + i / 200 for i in range(39)], trials=50)
    saving = expected_saving([*past, *studies(make_study, [0.3], trials=1000, id="huge")], PLANE, 4)
    assert saving is not None
    assert saving.studies == 40


def test_cold_trials_are_random_at_first_and_predicted_later() -> None:
    assert cold_trials(0.5) == 2
    assert cold_trials(1 / 6) == pytest.approx(6)
    assert 6 < cold_trials(0.02) < 0.5 / 0.02


def test_an_interval_ends_where_nothing_finer_can_be_shown() -> None:
    known = spread(0.05, 1.0, floor=0.03)
    assert known.p10 == pytest.approx(cold_trials(0.05 * np.e))
    assert known.expected == pytest.approx(cold_trials(0.05))
    assert known.p90 == pytest.approx(cold_trials(0.03))


def test_a_plan_imports_no_heavy_library() -> None:
    code = (
        "import sys, spotwise.scheduler.execution.submission, spotwise.scheduler.tuning.savings.realised; "
        "sys.exit(bool({'optuna', 'scipy', 'ray', 'torch'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-P", "-c", code], check=False).returncode == 0


def ended(make: MakeStudy, first: list[dict[str, Any]], best: float, trials: int = 16) -> StudyRecord:
    """A sweep that took some configurations from past studies, then drew at random."""
    rng = np.random.default_rng(77)
    configs = [*first, *(config(rng) for _ in range(trials - len(first)))]
    made = make([(p, accuracy(p, best)) for p in configs], id="own", space=PLANE, priors=("past-0",))
    source = ["prior"] * len(first) + ["sampler"] * trials
    return replace(made, trials=tuple(replace(t, source=source[t.number]) for t in made.trials))


BEST = {"x": 0.3, "y": 10 ** (-4 + 4 * 0.3), "kind": "a"}


def test_a_sweep_that_was_best_at_once_saved_trials(make_study: MakeStudy) -> None:
    saving = realised_saving(ended(make_study, [BEST], 0.3), studies(make_study, ALIKE))
    assert saving is not None
    assert saving.with_past == 1
    assert saving.trials.expected > 5
    assert saving.trials.p10 <= saving.trials.expected <= saving.trials.p90


def test_past_studies_that_misled_are_said_to_have_cost_trials(make_study: MakeStudy) -> None:
    """All that was taken from them is where the past was good and this task is not."""
    bad = [{"x": 0.9 + i / 100, "y": 0.9, "kind": "b"} for i in range(4)]
    saving = realised_saving(ended(make_study, bad, 0.2, trials=30), studies(make_study, [0.9] * 3))
    assert saving is not None
    assert saving.with_past == 4
    assert saving.trials.expected < -2
    assert saving.trials.p10 < -2


def test_later_trials_where_earlier_ones_were_good_do_not_stand_for_the_space(make_study: MakeStudy) -> None:
    """Ten good trials of the sampler beside the best one do not make that one ordinary."""
    own = ended(make_study, [BEST], 0.3)
    crowd = tuple(
        replace(
            own.trials[1],
            number=100 + i,
            params=(near := BEST | {"x": 0.3 + i / 1e4}),
            value=accuracy(near, 0.3) + 1e-6,
        )
        for i in range(10)
    )
    crowded = realised_saving(replace(own, trials=(*own.trials, *crowd)), studies(make_study, ALIKE))
    assert crowded is not None
    assert crowded.trials.expected > 3


def test_failed_and_equal_trials_have_their_places(make_study: MakeStudy) -> None:
    own = ended(make_study, [BEST], 0.3)
    failed = replace(own.trials[3], state=TrialState.FAILED, value=None)
    equal = tuple(replace(t, value=1.0) for t in own.trials)
    past = studies(make_study, ALIKE)
    assert realised_saving(replace(own, trials=(*own.trials[:3], failed, *own.trials[4:])), past) is not None
    same = realised_saving(replace(own, trials=equal), past)
    assert same is not None
    assert same.trials.expected < 2


def test_no_saving_is_made_up(make_study: MakeStudy) -> None:
    past = studies(make_study, ALIKE)
    own = ended(make_study, [BEST], 0.3)
    assert realised_saving(own, past) is not None
    assert realised_saving(ended(make_study, [], 0.3), past) is None
    assert realised_saving(own, []) is None
    assert realised_saving(replace(own, trials=own.trials[:4]), past) is None
    failed = tuple(replace(t, state=TrialState.FAILED, value=None) for t in own.trials)
    assert realised_saving(replace(own, trials=failed), past) is None
    assert realised_saving(replace(own, space={"z": PLANE["x"]}), past) is None
