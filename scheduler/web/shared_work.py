"""Work that many ask for at once is done once for all of them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock
from typing import Generic, TypeVar

Key = TypeVar("Key")
Result = TypeVar("Result")


class SharedWork(Generic[Key, Result]):
    """Whoever asks gets the result of work that began after the question, never of earlier one; one piece at a time."""

    def __init__(self, work: Callable[[Key], Result]) -> None:
        self._work = work
        self._lock, self._busy = Lock(), Lock()
        self._to_begin: dict[Key, Future[Result]] = {}

    def __call__(self, key: Key) -> Result:
        """The result for this key. Raises what the work raises, for all who share it."""
        with self._lock:
            is_first = key not in self._to_begin
            shared = self._to_begin.setdefault(key, Future())
        if is_first:
            with self._busy:
                with self._lock:
                    del self._to_begin[key]  # who asks from here on waits for the next
                try:
                    shared.set_result(self._work(key))
                except BaseException as error:  # noqa: BLE001 - raised below, in each who shares it
                    shared.set_exception(error)
        return shared.result()
