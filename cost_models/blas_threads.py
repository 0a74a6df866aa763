"""Linear algebra on one thread. The matrices here are so small that threads wait for each other longer than they work:
left alone, a plan or a proposal takes several times the CPU, and more the more cores there are and the busier they are.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from threading import RLock

from threadpoolctl import ThreadpoolController

_lock = RLock()  # the number of threads is the process's: another's end would give back what this one took away


@contextmanager
def one_thread(*, with_scipy: bool = False) -> Iterator[None]:
    """Within it NumPy's linear algebra keeps to one thread, and SciPy's where that is asked for or loaded already.

    The program's threads enter one by one.
    """
    if with_scipy:
        import scipy.linalg  # noqa: F401 - what is not loaded yet cannot be told
    with _lock, _controller("scipy.linalg" in sys.modules).limit(limits=1, user_api="blas"):
        yield


@lru_cache
def _controller(with_scipy: bool) -> ThreadpoolController:
    """Of the libraries that are loaded: SciPy brings one of its own."""
    return ThreadpoolController()
