"""What is left of a space whose configurations are too many to be judged in each round."""

from __future__ import annotations

from itertools import islice

from spotwise.scheduler.core.configurations import configurations
from spotwise.scheduler.tuning.search.untried import UntriedConfigurations
from spotwise.scheduler.tuning.study.proposal import Proposal
from spotwise.scheduler.tuning.study.study_state import Study, TrialView

SPACE = {"a": {"type": "int", "low": 1, "high": 30}, "b": {"type": "int", "low": 1, "high": 20}}


def study(trials: int) -> Study:
    tried = islice(configurations(SPACE), trials)
    return Study({n: TrialView(n, params, "sampler", "") for n, params in enumerate(tried)})


def test_of_six_hundred_configurations_the_last_one_is_found() -> None:
    untried = UntriedConfigurations(SPACE, 0)
    repeated = Proposal(599, {"a": 1, "b": 1}, "prior", "from past trial 3")
    assert not untried.is_exhausted(study(599))
    assert untried.instead_of(repeated, study(599)) == Proposal(599, {"a": 30, "b": 20}, "sampler")
    assert untried.is_exhausted(study(600))
    assert untried.instead_of(repeated, study(600)) == repeated


def test_what_was_not_tried_stays_as_it_was_proposed() -> None:
    fresh = Proposal(3, {"a": 30, "b": 20}, "prior", "from past trial 3")
    assert UntriedConfigurations(SPACE, 0).instead_of(fresh, study(3)) is fresh


def test_the_choice_follows_from_the_seed_and_the_number() -> None:
    repeated = [Proposal(number, {"a": 1, "b": 1}, "sampler") for number in range(8)]
    drawn = [
        [UntriedConfigurations(SPACE, seed).instead_of(each, study(3)).params for each in repeated]
        for seed in (0, 0, 1)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
