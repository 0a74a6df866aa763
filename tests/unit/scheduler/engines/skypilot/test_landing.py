"""Asking where an attempt's machines came up: now and then, not for ever, and never by waiting for the answer."""

from __future__ import annotations

from concurrent.futures import Future
from decimal import Decimal

from spotwise.scheduler.engines.skypilot.landing import MOST_ASKS, LandingInquiry
from spotwise.scheduler.engines.skypilot.sky import Landing, SkyUnreachableError

LANDING = Landing("us-east-1b", Decimal("1.5"))


class Answers:
    """SkyPilot, as one question after the other is answered."""

    def __init__(self) -> None:
        self.asked: list[Future[Landing | None]] = []

    def ask(self) -> Future[Landing | None]:
        self.asked.append(Future())
        return self.asked[-1]


def test_it_is_given_up_after_so_many_questions_that_were_not_answered_and_not_before() -> None:
    inquiry, sky = LandingInquiry(), Answers()
    for count in range(1, MOST_ASKS + 1):
        assert not inquiry.is_given_up
        assert inquiry.answer(sky.ask, 0.0) is None
        assert inquiry.answer(sky.ask, 0.0) is None, "it is not asked again while a question is open"
        assert len(sky.asked) == count
        assert not inquiry.is_given_up, "the last answer may still come"
        sky.asked[-1].set_result(None)
        assert inquiry.answer(sky.ask, 1e6) is None
    assert inquiry.is_given_up
    assert len(sky.asked) == MOST_ASKS


def test_an_answer_is_told_once_it_is_there_whatever_failed_before() -> None:
    inquiry, sky = LandingInquiry(), Answers()
    inquiry.answer(sky.ask, 0.0)
    sky.asked[-1].set_exception(SkyUnreachableError("away"))
    assert inquiry.answer(sky.ask, 0.0) is None
    inquiry.answer(sky.ask, 0.0)
    sky.asked[-1].set_result(LANDING)
    assert inquiry.answer(sky.ask, 0.0) == LANDING


def test_between_two_questions_there_is_a_pause() -> None:
    inquiry, sky = LandingInquiry(), Answers()
    inquiry.answer(sky.ask, 3600.0)
    sky.asked[-1].set_result(None)
    assert inquiry.answer(sky.ask, 3600.0) is None
    assert inquiry.answer(sky.ask, 3600.0) is None
    assert len(sky.asked) == 1
