"""Puts state and folder together: saves a position of training, and finds the last good one again."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import CorruptError, StateError, StorageError
from .folder import CheckpointFolder
from .manifest import Manifest, TrainingEnd
from .progress_log import utc_now
from .rng import RngState, is_rng_state, own_states, restore_own_states
from .schedule import TrainingPosition
from .state import TrainingState
from .state_file import read_state, state_file_name, state_writer

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Restored:
    """What training continues from."""

    checkpoint: str  # name of the folder
    position: TrainingPosition
    metrics: Mapping[str, float]  # as reported before the checkpoint
    rng: RngState = field(repr=False)  # when it was taken
    epoch_rng: RngState | None = field(repr=False)  # at the start of the epoch in whose middle it was taken
    end: TrainingEnd | None = None  # None: there is more to train

    @property
    def epoch(self) -> int:
        """Epochs completed."""
        return self.position.epoch

    @property
    def step(self) -> int:
        """Steps completed."""
        return self.position.step

    @property
    def finished(self) -> bool:
        """Whether an earlier process has said that nothing is left to train."""
        return self.end is not None

    def leaves_to_train(self, total: int) -> bool:
        """Whether there is anything to do for who asks for ``total`` epochs.

        A training that was ended early stays ended, whatever is asked for now; one that did all the epochs that it
        was asked for goes on where more are asked for.
        """
        ended_early = self.end is not None and (self.end.total_epochs is None or self.epoch < self.end.total_epochs)
        return self.epoch < total and not ended_early


class CheckpointManager:
    """Knows which position was committed last. With ``writes=False`` (ranks other than 0) it only restores."""

    def __init__(self, folder: CheckpointFolder, state: TrainingState, *, attempt: int, writes: bool = True) -> None:
        self._folder = folder
        self._state = state
        self._attempt = attempt
        self._writes = writes
        self.committed = TrainingPosition()  # at the very beginning there is nothing to lose
        self.checkpoint: str | None = None  # name of the last committed one

    def rng(self) -> RngState:
        """The state of all random number generators now."""
        return self._state.capture_rng()

    def restore_rng(self, state: RngState) -> None:
        """Put them back; ranks that do not write keep their own, which differ from the saved rank's on purpose."""
        if self._writes:
            self._state.restore_rng(state)

    @property
    def parts(self) -> Mapping[str, object]:
        """The objects whose state is kept, by name."""
        return self._state.parts

    def adopt(self, generators: Mapping[str, object], epoch_rng: RngState, resumed: Restored | None) -> None:
        """Keep the random number generators of a loader too, before it draws.

        Args:
            generators: those that it holds; what is kept already stays as it is.
            epoch_rng: states at the start of this epoch; those of the new ones are added.
            resumed: where this epoch continues from; the new ones are put back to where they were at its start.
        """
        new = self._state.adopt(generators)
        if resumed and self._writes:
            restore_own_states((resumed.epoch_rng or resumed.rng)["own"], new)
        epoch_rng["own"].update(own_states(new))

    def draw_in_vain(self, loader: Iterable[object]) -> None:
        """Let a loader start its lasting workers, and draw for it, without a trace in the random states.

        Such a loader draws more in the epoch in which it starts them; a resumed process would have another order.
        """
        rng = self._state.capture_rng()
        iter(loader)
        self._state.restore_rng(rng)

    def save(
        self,
        position: TrainingPosition,
        metrics: Mapping[str, float],
        *,
        rng: RngState,
        epoch_rng: RngState | None,
        end: TrainingEnd | None = None,
    ) -> None:
        """Commit the current state as ``position``, the last one where training ended.

        Raises ``SaveError``; ``committed`` then stays what it was.
        """
        if self._writes:
            state = {"parts": self._state.capture(), "rng": rng, "epoch_rng": epoch_rng}
            file = state_file_name(position)
            draft = Manifest(position, utc_now(), metrics, socket.gethostname(), attempt=self._attempt, end=end)
            self.checkpoint = self._folder.commit(draft, file, state_writer(file, state)).name
        self.committed = position

    def mark_ended(self, end: TrainingEnd) -> None:
        """Remember with the last checkpoint that training has ended. Raises ``SaveError``."""
        if self._writes and self.checkpoint is not None:
            self._folder.mark_ended(self.checkpoint, end)

    def check(self) -> None:
        """Raise ``StateError`` now, not after the first hours, for parts whose state cannot be saved."""
        state_writer(state_file_name(TrainingPosition()), {"parts": self._state.capture(), "rng": self.rng()})

    def prune(self) -> None:
        """Remove old checkpoints and leftovers. What cannot be removed is a warning: nothing depends on it."""
        if not self._writes or self.checkpoint is None:
            return
        try:
            self._folder.prune(self.checkpoint)
        except (OSError, StorageError) as fault:
            _log.warning("Old checkpoints in %s could not be removed: %s", self._folder.url, fault)

    def restore(self) -> Restored | None:
        """Load the newest intact checkpoint; None when there is none. Damaged ones are passed over with a warning.

        Raises ``StateError`` where an intact one does not fit, ``StorageError`` where the place cannot be reached.
        """
        try:
            return self._load_newest()
        except OSError as fault:
            raise StorageError(f"Checkpoints in {self._folder.url} cannot be read: {fault}") from fault

    def _load_newest(self) -> Restored | None:
        passed_over = 0
        for name in reversed(self._folder.names()):
            try:
                found = self._load(name)
            except CorruptError as fault:
                _log.warning("Checkpoint passed over, trying the one before it: %s", fault)
                passed_over += 1
                continue
            if found is not None:
                return found
        if passed_over:
            _log.warning("No intact checkpoint is left in %s: training starts over.", self._folder.url)
        return None

    def _load(self, name: str) -> Restored | None:
        manifest = self._folder.manifest(name)
        if manifest is None:
            return None
        state = self._read(manifest)
        self._state.restore(state["parts"], source=f"{self._folder.url}/{name}")
        self.committed, self.checkpoint = manifest.position, name
        return Restored(
            name,
            manifest.position,
            manifest.metrics,
            rng=state["rng"],
            epoch_rng=state["epoch_rng"],
            end=manifest.end,
        )

    def _read(self, manifest: Manifest) -> dict[str, Any]:
        if len(manifest.files) != 1:
            raise CorruptError(
                f"{self._folder.url}/{manifest.name} should hold one state file; its manifest says otherwise."
            )
        (file,) = manifest.files
        with self._folder.open(manifest, file) as stream:
            source = f"{self._folder.url}/{manifest.name}/{file}"
            return _state_of_session(read_state(file, stream, source=source), source)


def _state_of_session(state: dict[str, Any], source: str) -> dict[str, Any]:
    """What ``CheckpointManager.save`` has written. Raises ``StateError`` for what another program has."""
    parts, rng, epoch_rng = (state.get(name) for name in ("parts", "rng", "epoch_rng"))
    if isinstance(parts, dict) and is_rng_state(rng) and (epoch_rng is None or is_rng_state(epoch_rng)):
        return {"parts": parts, "rng": rng, "epoch_rng": epoch_rng}
    raise StateError(
        f"{source} is intact, but no state that a Session has saved: it is of another program, or another version. "
        "Continue it with that, or set SPOTWISE_CHECKPOINT_URL to another folder to start over."
    )
