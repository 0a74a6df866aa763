"""Threads of NumPy's and SciPy's linear algebra: how many there are, and a program that has set some."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread

from threadpoolctl import threadpool_info, threadpool_limits


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
