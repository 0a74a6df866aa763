"""Session: what a training script talks to. Continues after the last checkpoint, saves when due, leaves when told.

    session = Session.from_env(model=model, optimizer=optimizer)
    for epoch in session.epochs(30):
        for x, y in session.batches(loader):
            ...
            session.step(samples=len(x))
        session.report(val_accuracy=accuracy)

A resumed training is bit-identical to an uninterrupted one:

- In the middle of an epoch (SIGTERM, or a checkpoint due by steps or minutes) a checkpoint is taken only between two
  batches of ``session.batches(...)``. On resume the epoch begins with the random state it had begun with, so the loader
  draws the same order; the batches already trained on are drawn and dropped; then the random state of the save is put
  back. Sums kept in plain variables over an epoch start again: hand what must survive to ``from_env``.
- Behind an epoch's last batch nothing is saved before ``report()``, so that a resumed epoch always has a batch left.
- A loader that keeps its own place (``state_dict()``) must be one of the session's parts; it then continues by itself.
- Without ``session.batches(...)`` nobody knows which batches were done: saves wait for ``report()``, the epoch's end.
- ``report()`` is the last statement of an epoch: the random state is saved there.

Of a distributed training only rank 0 writes; the others load the weights and keep their own random state. The ranks of
``torch.distributed`` agree after each step: once SIGTERM has reached one, all leave at the same step, and after rank 0
has saved. So all must take the same number of steps; a sampler that shares an epoch out evenly sees to that.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Any, NoReturn, SupportsFloat, TypeVar
from weakref import WeakSet

from .checkpoint_manager import CheckpointManager, Restored
from .errors import SaveError, SessionError
from .folder import CheckpointFolder
from .loaders import (
    EpochBatches,
    generators_within,
    has_workers,
    keeps_own_place,
    lasting_workers_within,
    warn_of_random_workers,
)
from .manifest import TrainingEnd
from .progress import ProgressEvent
from .progress_log import ProgressLog, as_metrics
from .ranks import Ranks
from .rng import RngState
from .save_request import SaveRequest
from .schedule import TrainingPosition
from .settings import SessionSettings
from .state import TrainingState
from .stop import EXIT_PREEMPTED, EXIT_UNSAVED, SigtermListener
from .storage import Storage, storage_for

Batch = TypeVar("Batch")

_log = logging.getLogger(__name__)


@dataclass
class _Epoch:
    """The epoch in progress."""

    began_at: float  # seconds, the session's clock
    rng: RngState  # when it began
    to_skip: int  # batches that were done before the interruption
    taken: int | None = None  # batches drawn through batches(); None while it was not called
    resumed: Restored | None = None  # what this epoch continues from; of a process' first one
    batches: EpochBatches[Any] | None = None  # once batches() was called
    stepped: bool = False
    wanted: bool = False  # a checkpoint, at its end
    samples: int = 0

    @property
    def is_over(self) -> bool:
        """Whether the loader is known to have given its last batch."""
        return bool(self.batches and self.batches.is_over(self.taken or 0))


class Session:
    """One training process's connection to its checkpoints. Make one, in the main thread, before the first epoch."""

    @classmethod
    def from_env(cls, **parts: object) -> Session:
        """A session as the environment describes it; without one it saves every epoch under ``./checkpoints``.

        ``parts`` is all that training changes: anything with ``state_dict()`` and ``load_state_dict()``, and random
        number generators of your own. The last intact checkpoint is loaded into them here.
        """
        return cls(SessionSettings.from_env(os.environ), parts)

    def __init__(
        self,
        settings: SessionSettings,
        parts: Mapping[str, object],
        *,
        storage: Storage | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        writes = settings.rank == 0
        storage = storage or storage_for(settings.checkpoint_url)
        folder = CheckpointFolder(storage, keep=settings.keep, keep_best=settings.keep_best)
        self.hparams = dict(settings.hparams)
        self._every = settings.every
        self._clock = clock
        self._manager = CheckpointManager(folder, TrainingState(parts), attempt=settings.attempt, writes=writes)
        self._progress = ProgressLog(settings.progress_url, attempt=settings.attempt, enabled=writes)
        self._save_request = SaveRequest(settings.save_request if writes else None)
        self._ranks, self._stop = Ranks(), SigtermListener()
        self._stop.listen()
        self._epoch: _Epoch | None = None
        self._total: int | None = None
        self._finished = False
        self._known: WeakSet[Any] = WeakSet()  # loaders whose workers were warned of
        self.restored = self._manager.restore()
        self._manager.check()
        self._keep_best, self._best = settings.keep_best, folder.best_value(up_to=self._manager.checkpoint)
        self._position = self.restored.position if self.restored else TrainingPosition()
        self._metrics = dict(self.restored.metrics) if self.restored else {}
        self._tried, self._tried_at = self._position, self._clock()  # the last attempt to save
        self._write(ProgressEvent.STARTED)

    def epochs(self, total: int) -> Iterator[int]:
        """The epochs still to do, numbered from 0, up to ``total``. After the last one the session is finished.

        None where an earlier process has finished this training, also where it did so before ``total``: see
        ``finish()``. One that did all epochs that it was asked for goes on where more are asked for.
        Ends the process with ``EXIT_PREEMPTED`` where SIGTERM asked for it and everything done so far is saved.
        Raises ``SessionError`` where the session is finished.
        """
        if self._finished:
            raise SessionError("This session is finished. Use session.epochs() once; give it the total of all epochs.")
        return self._epochs(total)

    def _epochs(self, total: int) -> Iterator[int]:
        self._total = total
        if self.restored and not self.restored.leaves_to_train(total):
            self.finish()
            return
        while self._position.epoch < total:
            self._leave_if_asked()
            self._begin_epoch()
            epoch = self._position.epoch
            yield epoch
            if self._position.epoch == epoch:
                self.report()
        self.finish()

    def batches(self, loader: Iterable[Batch]) -> Iterator[Batch]:
        """The batches of this epoch still to do. Once an epoch; call ``step()`` where the weights have changed."""
        epoch = self._current_epoch()
        if epoch.taken is not None:
            raise SessionError("session.batches() can be used once an epoch: chain or zip several loaders into one.")
        keeps_place = keeps_own_place(loader, self._manager.parts)
        epoch.taken, epoch.to_skip = epoch.to_skip, 0
        try:
            batches = self._open(loader, epoch, keeps_place=keeps_place)
            for batch in self._continued(batches, epoch, keeps_place=keeps_place):
                epoch.taken += 1
                yield batch
        except RuntimeError:
            if not self._stop.requested:
                raise
            if not epoch.is_over:
                self._leave_without_loader(epoch)  # the notice has ended the loader's worker processes
        if epoch.resumed and 0 < epoch.resumed.position.batch == epoch.taken:
            _log.warning(
                "%s was taken after the last batch of epoch %d: none is left, and what the loop over them sets is not.",
                epoch.resumed.checkpoint,
                epoch.resumed.epoch,
            )

    def step(self, samples: int = 0) -> None:
        """Count a step and its samples. Within ``batches()``: saves when due or asked, saves and leaves on SIGTERM."""
        epoch = self._current_epoch()
        self._refuse_skipping(epoch)
        epoch.stepped = True
        epoch.samples += samples
        self._position = replace(self._position, step=self._position.step + 1, batch=epoch.taken or 0)
        if epoch.taken is None or epoch.batches is None:
            return  # nobody knows which batches are done: report() will save
        if self._is_wanted():
            if epoch.is_over:
                epoch.wanted = True  # what the loop has set is needed by report(): it saves
            else:
                self._save()
        if self._ranks.any(self._stop.requested):
            self._leave_within(epoch, epoch.batches)

    def report(self, **metrics: SupportsFloat) -> None:
        """End the epoch: writes progress, saves when due, asked to or all is done, saves and leaves on SIGTERM.

        An epoch without any ``step()`` counts as one step.
        """
        epoch = self._current_epoch()
        self._refuse_skipping(epoch)
        self._metrics = as_metrics(metrics)
        self._position = TrainingPosition(self._position.epoch + 1, self._position.step + (not epoch.stepped))
        self._epoch = None
        self._write(ProgressEvent.PROGRESS, samples_per_second=self._speed(epoch))
        last, best = self._total is not None and self._position.epoch >= self._total, self._is_best()
        if last or best or epoch.wanted or self._is_wanted() or self._was_saved_too_late():
            self._save()
        if not last:
            self._leave_if_asked()

    def finish(self) -> None:
        """All is done: what is not saved yet is, and nothing listens to SIGTERM any more. ``epochs()`` calls this.

        Call it yourself after leaving the loop early. What is finished is remembered with the checkpoint: a program
        that starts again after this, say because its machine was lost while it exported the model, trains no further.
        Raises ``SaveError`` where the last state cannot be saved.
        """
        if self._epoch is not None:
            raise SessionError("session.finish() in the middle of an epoch: call session.report() first.")
        if self._finished:
            return
        if self._position != self._manager.committed:
            self._commit(TrainingEnd(self._total))
        else:
            self._mark_ended()
        self._finished = True
        self._write(ProgressEvent.FINISHED)
        self._stop.close()

    def _mark_ended(self) -> None:
        """The state is saved already; that it is the last one is worth no failed run."""
        try:
            self._manager.mark_ended(TrainingEnd(self._total))
        except SaveError as fault:
            _log.warning("A restart will not know that training is finished: %s", fault)

    def _begin_epoch(self) -> None:
        """The first epoch after a restore begins with the random state that it had begun with before."""
        if self.restored and self._position == self.restored.position:
            self._manager.restore_rng(self.restored.epoch_rng or self.restored.rng)
        skip = self._position.batch
        resumed = self.restored if self.restored and self._position == self.restored.position else None
        self._epoch = _Epoch(self._clock(), self._manager.rng(), to_skip=skip, resumed=resumed, stepped=skip > 0)

    def _open(self, loader: Iterable[Batch], epoch: _Epoch, *, keeps_place: bool) -> EpochBatches[Batch]:
        """Begin to draw, with the random states that the epoch has begun with, also those within the loader."""
        self._manager.adopt(generators_within(loader), epoch.rng, epoch.resumed)
        watched = [loader] if keeps_place and has_workers(loader) else lasting_workers_within(loader)
        for new in (one for one in watched if one not in self._known):
            self._known.add(new)
            warn_of_random_workers(keeps_place=keeps_place)
            if not keeps_place:
                self._manager.draw_in_vain(new)
        epoch.batches = batches = EpochBatches(loader)
        return batches

    def _continued(self, batches: EpochBatches[Batch], epoch: _Epoch, *, keeps_place: bool) -> Iterator[Batch]:
        """The batches that are not done yet; they are drawn from the random state of the save."""
        if not epoch.taken or epoch.resumed is None:
            return batches
        if not keeps_place:
            self._drop(batches, epoch.taken, epoch.resumed)
        # A generator's code draws its order only now; one batch of other random numbers is better than another order.
        first = list(islice(batches, 1)) if keeps_place and batches.draws_late else []
        self._manager.restore_rng(epoch.resumed.rng)
        return chain(first, batches)

    def _drop(self, batches: Iterator[object], count: int, resumed: Restored) -> None:
        dropped = sum(1 for _ in islice(batches, count))
        if dropped < count:
            raise SessionError(
                f"{resumed.checkpoint} was taken after {count} batches of an epoch, but the loader has only "
                f"{dropped}. Restore the batch size and the data, or set SPOTWISE_CHECKPOINT_URL to another folder."
            )

    def _current_epoch(self) -> _Epoch:
        if self._epoch is None:
            raise SessionError("Use this inside 'for epoch in session.epochs(...)', and report() once an epoch.")
        return self._epoch

    def _refuse_skipping(self, epoch: _Epoch) -> None:
        if epoch.to_skip:
            raise SessionError(
                "The checkpoint was taken in the middle of an epoch: iterate over session.batches(loader) as before, "
                "or set SPOTWISE_CHECKPOINT_URL to another folder."
            )

    def _is_wanted(self) -> bool:
        """Asked for or due; a request is used up by a save that was due anyway."""
        asked = self._save_request.arrived()
        return asked or self._is_due()

    def _is_best(self) -> bool:
        """Whether the epoch that has just ended is better than all that were, by the metric whose best is kept."""
        value = self._keep_best.value_of(self._metrics) if self._keep_best else None
        if value is None or (self._best is not None and value <= self._best):
            return False
        self._best = value
        return True

    def _was_saved_too_late(self) -> bool:
        """Whether the newest checkpoint lies behind the last batch of the epoch that has just ended.

        Who resumes there finds no batch left, and whatever the loop over them sets is not set.
        """
        return self._manager.committed.batch > 0 and self._manager.committed.step == self._position.step

    def _is_due(self) -> bool:
        minutes = (self._clock() - self._tried_at) / 60
        return self._every.is_due(self._tried, self._position, minutes)

    def _save(self) -> None:
        """Save, or warn and go on with the checkpoint before."""
        try:
            self._commit()
        except SaveError as fault:
            _log.warning("%s Training goes on; the last checkpoint is %s.", fault, self._manager.checkpoint or "none")

    def _commit(self, end: TrainingEnd | None = None) -> None:
        self._tried, self._tried_at = self._position, self._clock()
        rng, epoch_rng = self._random_states()
        self._manager.save(self._position, self._metrics, rng=rng, epoch_rng=epoch_rng, end=end)
        self._write(ProgressEvent.CHECKPOINT)
        self._manager.prune()

    def _random_states(self) -> tuple[RngState, RngState | None]:
        """What the epoch to come draws from; in the middle of one also what the loader's order was drawn from."""
        if self._epoch is None:
            return self._manager.rng(), None
        if self._position.batch == 0:  # begun, but nothing of it is done yet
            return self._epoch.rng, None
        return self._manager.rng(), self._epoch.rng

    def _leave_if_asked(self) -> None:
        if self._ranks.any(self._stop.requested):
            if self._position != self._manager.committed:
                self._save()
            self._ranks.wait_for_all()  # whoever starts ranks ends the rest when the first has gone
            self._leave()

    def _leave_within(self, epoch: _Epoch, batches: EpochBatches[Any]) -> None:
        """Save and leave, but not behind the last batch: ``report()`` needs what the loop has set, and does it then.

        All ranks must take the same way, so all ask the same questions.
        """
        if self._ranks.any(epoch.is_over):
            return
        if self._position != self._manager.committed:
            self._save()
        if self._ranks.any(batches.cannot_tell and batches.has_none_left()):
            return
        self._ranks.wait_for_all()
        self._leave()

    def _leave_without_loader(self, epoch: _Epoch) -> NoReturn:
        """Between two steps everything can be saved; with batches drawn since the last step it cannot exactly."""
        if epoch.taken == self._position.batch and self._position != self._manager.committed:
            self._save()
        self._leave()

    def _leave(self) -> NoReturn:
        """End the process; say that it was saved only if it was."""
        saved = self._position == self._manager.committed
        if saved:
            self._write(ProgressEvent.STOPPING)
        self._stop.leave()
        raise SystemExit(EXIT_PREEMPTED if saved else EXIT_UNSAVED)

    def _write(self, event: ProgressEvent, *, samples_per_second: float | None = None) -> None:
        self._progress.write(
            event,
            self._position,
            checkpoint=self._manager.checkpoint,
            metrics=self._metrics,
            samples_per_second=samples_per_second,
        )

    def _speed(self, epoch: _Epoch) -> float | None:
        elapsed_s = self._clock() - epoch.began_at
        return epoch.samples / elapsed_s if epoch.samples and elapsed_s > 0 else None
