"""The sweep host: runs the trials of a sweep on this node, packed by Ray Tune.

``python -m spotwise.scheduler.tuning.host <run folder>/sweep.json``. Exit codes: 0 the sweep is complete, 75 preempted
(start it again anywhere and it continues), 1 broken: going on makes no sense, the last line says why.

On SIGTERM it passes the signal on to the trials' processes, waits until they have saved and left, records them as
paused, and leaves. It waits as long as they need: whoever sent the signal ends the node when the grace is over, and a
host that is killed at any moment loses nothing but the epochs that ran.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import NoReturn

import psutil

from spotwise.checkpoints.stop import EXIT_PREEMPTED

from ...core.clock import SystemClock
from ...core.errors import InputError
from ..study.events import StudyLog
from ..study.sweep_task import SweepTask
from .checkpoint_remover import CheckpointRemover
from .event_upload import EventUpload
from .ray_workdir import RayWorkdir
from .recovery import recover
from .sweep import LiveSweep
from .trial_process import TrialProcess

COMPLETE, BROKEN, PREEMPTED = 0, 1, EXIT_PREEMPTED
POLL_S = 0.05
OBJECT_STORE_BYTES = 100 * 2**20  # trials pass small messages only; Ray's default is a third of the memory

_RAY_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # the command has its own work folder
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the study's events are the record
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",  # no snapshots: nothing is ever restored from them
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}


class Host:
    """One sweep on one node, from start to exit code."""

    def __init__(self, task: SweepTask, task_file: Path) -> None:
        self._task, self._task_file = task, task_file.resolve()
        self._clock = SystemClock()
        self._preempted = False
        self._scratch = RayWorkdir(task.folder, task.host)
        self._remover = CheckpointRemover(task, self._say)

    def run(self) -> int:
        """Run until the sweep is complete, broken or preempted. Once Ray has started, it leaves from here."""
        signal.signal(signal.SIGTERM, self._leave_at_once)
        sweep = self._prepare()
        if sweep.is_over or sweep.broken is not None:
            return self._conclude(sweep)
        return self._run_trials(sweep)

    def _prepare(self) -> LiveSweep:
        from ..search.grid import GridProposer
        from ..search.proposer import Proposer
        from ..stopping.freeze_thaw_trials import FreezeThawTrials

        url = os.environ.get("SPOTWISE_RUN_URL", "")
        publish = EventUpload(url, self._say) if "://" in url else None
        log = StudyLog(self._task.study_folder, self._task.attempt, publish)
        study = recover(self._task, log)
        return LiveSweep(
            self._task,
            log,
            study,
            GridProposer(self._task) if self._task.search == "grid" else Proposer(self._task),
            now=self._clock.now,
            say=self._say,
            kill=self._kill_trial,
            leave=self._ask_to_leave,
            freeze_thaw=FreezeThawTrials(self._task) if self._task.freezes else None,
        )

    def _run_trials(self, sweep: LiveSweep) -> NoReturn:
        self._scratch.create()
        self._start_ray()
        self._scratch.note_helpers()
        with ThreadPoolExecutor(1) as pool:  # signals reach the main thread, which must be free to act on them
            tuning = pool.submit(self._tune, sweep)
            while not tuning.done() and sweep.broken is None and not self._preempted:
                self._remover.follow(sweep.study)
                time.sleep(POLL_S)
            if self._preempted:
                self._leave_preempted(sweep)
            if sweep.broken is not None:
                self._leave_broken(sweep)
        error = tuning.exception()
        if error is not None:
            traceback.print_exception(error)
        self._exit(BROKEN if error else self._conclude(sweep))

    def _start_ray(self) -> None:
        os.environ.update(_RAY_ENVIRONMENT)
        import ray

        try:
            ray.init(
                address="local",
                num_cpus=_cpus(),
                include_dashboard=False,
                object_store_memory=OBJECT_STORE_BYTES,
                log_to_driver=False,
                logging_level=logging.ERROR,
                _temp_dir=str(self._scratch.path),
            )
            signal.signal(signal.SIGTERM, self._note_preemption)  # Ray has put its own in place
        except SystemExit:  # Ray answers SIGTERM so while it starts
            self._exit(PREEMPTED)

    def _tune(self, sweep: LiveSweep) -> None:
        from ray import cluster_resources, tune

        from .ray_adapters import StudyScheduler, StudySearcher
        from .ray_trainable import CommandTrial

        gpus = cluster_resources().get("GPU", 0.0)  # type: ignore[no-untyped-call]  # Ray's
        tune.run(  # not tune.Tuner: that pickles searcher and scheduler for a restore that never comes
            CommandTrial,
            name="sweep",
            search_alg=StudySearcher(sweep, self._task_file),
            scheduler=StudyScheduler(sweep),
            num_samples=-1,  # the searcher says when it is over
            resources_per_trial=trial_resources(self._task, _cpus(), gpus),
            reuse_actors=True,
            raise_on_failed_trial=False,
            storage_path=str(self._scratch.path / "tune"),
            trial_dirname_creator=lambda trial: str(trial.trial_id),
            verbose=0,
        )

    def _conclude(self, sweep: LiveSweep) -> int:
        if sweep.broken is not None:
            self._say(f"sweep {self._task.run_id} is broken: {sweep.broken.explanation}")
            return BROKEN
        if self._task.host not in sweep.study.finished_hosts:
            sweep.finish()
        self._remover.follow(sweep.study)
        self._remover.wait()
        early = f", {sweep.study.end_reason}" if sweep.study.end_reason else ""
        share = "" if self._task.hosts == 1 else f" as far as host {self._task.host} of {self._task.hosts} goes"
        self._say(f"sweep {self._task.run_id} is complete{share}: {len(sweep.study.trials)} trials{early}")
        return COMPLETE

    def _leave_preempted(self, sweep: LiveSweep) -> NoReturn:
        waiting = set(sweep.close())
        self._say(f"preempted: {len(waiting)} trials are told to save")
        while waiting:
            for number in sorted(waiting):
                if self._has_left(number):
                    sweep.pause(number, self._clock.now(), "preempted")
                    waiting.discard(number)
            time.sleep(POLL_S if waiting else 0)
        self._exit(PREEMPTED)

    def _has_left(self, number: int) -> bool:
        self._ask_to_leave(number)
        return self._process(number).has_left()

    def _leave_broken(self, sweep: LiveSweep) -> NoReturn:
        for number in sweep.close():
            self._kill_trial(number)
            sweep.pause(number, self._clock.now(), "the sweep is broken")
        self._exit(self._conclude(sweep))

    def _kill_trial(self, number: int) -> None:
        self._process(number).kill()

    def _ask_to_leave(self, number: int) -> None:
        self._process(number).ask_to_leave()

    def _process(self, number: int) -> TrialProcess:
        return TrialProcess(self._task.trial_folder(number))

    def _note_preemption(self, _signal: int, _frame: FrameType | None) -> None:
        self._preempted = True

    def _leave_at_once(self, _signal: int, _frame: FrameType | None) -> None:
        self._exit(PREEMPTED)  # no trial runs yet

    def _exit(self, code: int) -> NoReturn:
        """Leave without Ray's farewell, which takes seconds: all events are on disk."""
        sys.stdout.flush()
        self._scratch.remove()
        os._exit(code)

    def _say(self, line: str) -> None:
        print(f"{self._clock.now():%H:%M:%S} {line}", flush=True)


def trial_resources(task: SweepTask, cpus: int, gpus: float) -> dict[str, float]:
    """What one trial reserves, so that ``parallel`` fit on the node. Beyond one, Ray takes whole numbers only."""
    share = cpus / task.parallel
    gpu = gpus / task.parallel if task.gpus_per_trial is None else task.gpus_per_trial
    return {"cpu": float(int(share)) if share >= 1 else share, "gpu": float(int(gpu)) if gpu >= 1 else gpu}


def _cpus() -> int:
    return len(psutil.Process().cpu_affinity()) if hasattr(psutil.Process, "cpu_affinity") else os.cpu_count() or 1


def main(arguments: Iterable[str]) -> int:
    """Run the sweep of a ``sweep.json``."""
    try:
        (path,) = map(Path, arguments)
        task = SweepTask.load(path, os.environ)
    except (ValueError, OSError, InputError) as error:
        print(f"usage: python -m spotwise.scheduler.tuning.host <run folder>/sweep.json ({error})", file=sys.stderr)
        return BROKEN
    return Host(task, path).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
