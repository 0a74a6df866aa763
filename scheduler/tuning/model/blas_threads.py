"""Linear algebra on one thread. A sweep's matrices are so small that threads wait for each other longer than they work:
left alone, a proposal takes several times the CPU, and more the more cores there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

import scipy.linalg  # noqa: F401 - its linear algebra must be loaded to be found
from threadpoolctl import ThreadpoolController

_controller = ThreadpoolController()
_lock = RLock()  # the number of threads is the process's: another's end would give back what this one took away


@contextmanager
def one_thread() -> Iterator[None]:
    """Within it NumPy's and SciPy's linear algebra keeps to one thread. The program's threads enter one by one."""
    with _lock, _controller.limit(limits=1, user_api="blas"):
        yield
