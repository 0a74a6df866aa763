"""Being told to save now and to go on: a file that somebody touches, looked at between two steps."""

from __future__ import annotations

from pathlib import Path


class SaveRequest:
    """Whether a file has appeared, or was touched, since this was last asked; with no path, never."""

    def __init__(self, path: str | None) -> None:
        self._path = Path(path).absolute() if path else None  # a program may change its folder later
        self._seen_ns = self._touched_ns()  # what is there already asked the attempt before

    def arrived(self) -> bool:
        """True once for each request. Looks at the file once, and at nothing without a path: cheap at each step."""
        before, self._seen_ns = self._seen_ns, self._touched_ns()
        return self._seen_ns is not None and self._seen_ns != before

    def _touched_ns(self) -> int | None:
        """None where there is no file, or none that can be looked at: training does not end for that."""
        if self._path is None:
            return None
        try:
            return self._path.stat().st_mtime_ns
        except OSError:
            return None
