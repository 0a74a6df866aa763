"""Being told to leave: SIGTERM becomes a flag that training looks at between two steps."""

from __future__ import annotations

import logging
import signal
import threading
from types import FrameType
from typing import Any

EXIT_PREEMPTED = 75  # all work up to now is saved: start me again. BSD calls it EX_TEMPFAIL
EXIT_UNSAVED = 128 + signal.SIGTERM  # as if killed: what was done since the last checkpoint is lost

_log = logging.getLogger(__name__)


class SigtermListener:
    """Whether SIGTERM has arrived. Only the main thread of a process can listen to signals."""

    def __init__(self) -> None:
        self.requested = False
        self._before: Any = None  # the handler that listen() replaced
        self._listening = False

    def listen(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            _log.warning("Session was made outside the main thread: SIGTERM will end training without a checkpoint.")
            return
        self._before = signal.signal(signal.SIGTERM, self._note)
        self._listening = True

    def leave(self) -> None:
        """This process ends now, by itself: being told again, by a platform and then by an agent, changes nothing."""
        if self._listening:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            self._listening = False

    def close(self) -> None:
        """Give SIGTERM back to whoever handled it before."""
        if self._listening:
            signal.signal(signal.SIGTERM, self._before if self._before is not None else signal.SIG_DFL)
            self._listening = False

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.requested = True
        # A notice goes to the whole process group, so DataLoader workers die now. PyTorch's SIGCHLD handler would raise
        # from wherever training is, even from within optimizer.step(), before the next step could save.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
