from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Thread

import optuna
from threadpoolctl import threadpool_info, threadpool_limits

from spotwise.scheduler.tuning import TransferSampler
from spotwise.scheduler.tuning.model.blas_threads import one_thread


def threads() -> set[int]:
    """Of NumPy's and SciPy's linear algebra."""
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


@contextmanager
def three_threads() -> Iterator[None]:
    """As a program may have set it. In a thread that ends, since while one that set it lives no other can."""
    before = threads()
    in_thread(lambda: threadpool_limits(3, user_api="blas"))
    yield
    in_thread(lambda: threadpool_limits(min(before), user_api="blas"))


def in_thread(do: Callable[[], object]) -> None:
    thread = Thread(target=do)
    thread.start()
    thread.join()


def test_linear_algebra_keeps_to_one_thread_and_then_has_what_it_had() -> None:
    with three_threads():
        with one_thread(), one_thread():
            assert threads() == {1}
        assert threads() == {3}


def test_threads_of_a_program_wait_for_each_other_and_leave_what_there_was() -> None:
    """The number is the process's: if they overlapped, the last to leave would give back the one of the first."""

    def within() -> set[int]:
        with one_thread():
            time.sleep(0.01)
            return threads()

    with three_threads(), ThreadPoolExecutor(4) as pool:
        found = [pool.submit(within) for _ in range(8)]
        assert [each.result() for each in found] == [{1}] * 8
        assert threads() == {3}


def test_a_proposal_keeps_to_one_thread_and_leaves_the_programs_own_alone() -> None:
    found: set[int] = set()

    def cost_of(_: optuna.trial.FrozenTrial) -> float:
        found.update(threads())
        return 1.0

    study = optuna.create_study(sampler=TransferSampler([], seed=0, cost_of=cost_of))
    with three_threads():
        study.optimize(lambda trial: trial.suggest_float("x", 0.0, 1.0), n_trials=8)
        assert threads() == {3}
    assert found == {1}
