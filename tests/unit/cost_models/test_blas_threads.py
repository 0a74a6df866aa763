"""Linear algebra on one thread, in a program that has set another number."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from blas import threads, three_threads

from spotwise.cost_models.blas_threads import one_thread


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
