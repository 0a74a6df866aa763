"""An installation whose jobs run on the Slurm clusters of `tests/integration/skypilot`, through a real SkyPilot."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from installation import TRAIN, Installation
from slurm_world import SlurmJob, SlurmWorld

from spotwise.cost_models.offer import Offer
from spotwise.scheduler.accounting.ledger import cost_of
from spotwise.scheduler.core.run import Attempt, AttemptState
from spotwise.scheduler.node_agent.events import NodeEvent, read_events

# Of one V100; the regions of Slurm are its clusters.
PRICES = {"aws": {"ondemand": 3.06, "spot": 0.92}, "gcp": {"ondemand": 2.48, "spot": 0.74}}


def cloud_of(offer: Offer) -> str:
    """Which cloud its cluster plays, whatever part of the world it is in."""
    return offer.pool.region.rstrip("0123456789")


@dataclass
class SkyInstallation(Installation):
    """As people set it up: settings name the partitions, and a folder that the nodes see."""

    world: SlurmWorld = None  # after the fields with defaults of its parent

    def __post_init__(self) -> None:
        super().__post_init__()
        self.env = {**self.world.client_env, **self.env}
        self.umask, self.patience_s = 0, 600.0  # machines that run tests may be busy
        self.sky_settings()

    def sky_settings(self, clusters: tuple[str, ...] = ("aws", "gcp"), **keys: Any) -> None:
        """Settings with the partitions of these clusters; overheads as they are on Slurm."""
        pools = [self._pool(c, p) for c in clusters for p in ("spot", "ondemand")]
        skypilot = {
            "storage": str(self.storage()),
            "pools": pools,
            "provision_timeout": "10m",
            **keys.pop("skypilot", {}),
        }
        overheads = {"provision": "40s", "restore": "2s", "checkpoint": "0s"}
        values = {
            "engine": "skypilot",
            "tick": "0.3s",
            "grace": "5s",
            "cooldown": "10m",
            "overheads": overheads,
            **keys,
        }
        self.settings(**{**values, "skypilot": skypilot})

    def storage(self) -> Path:
        """A folder that all machines see, whoever they work for."""
        folder = self.world.shared_folder / "spotwise"
        folder.mkdir(exist_ok=True)
        folder.chmod(0o777)
        return folder

    def sky_job(self, run: str = "", **keys: Any) -> Path:
        """A job that trains 6 epochs of half a second each, unless told otherwise."""
        values = {"resources": {"accelerators": "V100:1"}, "work": {"epochs": 6, "hours": 0.01, "reference": "V100"}}
        return self.job(run or self.sky_train(), **{**values, **keys})

    def sky_train(self, epochs: int = 6, epoch_s: float = 0.5) -> str:
        """The training program of the local tests, as a user would start it on a node."""
        (self.work / "train.py").write_text(TRAIN)
        return f"exec python3 train.py --epochs {epochs} --epoch-s {epoch_s}"

    def places(self, run_id: str) -> list[str]:
        """Where its attempts were, in order: ``gcp/spot``."""
        return [f"{cloud_of(a.offer)}/{a.offer.pool.zone}" for a in self.attempts(run_id)]

    def outcomes(self, run_id: str) -> list[str]:
        return [a.state.value for a in self.attempts(run_id)]

    def engine_notes(self, attempt: Attempt) -> list[NodeEvent]:
        """What the engine wrote down of an attempt."""
        run = self.run(attempt.run_id)
        return read_events(Path(run.storage) / "attempts" / attempt.id / "engine.jsonl")

    def node_of(self, run_id: str) -> tuple[str, str]:
        """Slurm cluster and node that the newest attempt is on."""
        return self.node_of_attempt(self.attempts(run_id)[-1])

    def node_of_attempt(self, attempt: Attempt) -> tuple[str, str]:
        """Slurm cluster and node, or nodes, that it is on."""
        cluster, job = self.world.job_of(f"spotwise-{attempt.id}")
        return cluster, job.node

    def slurm_jobs(self, attempt: Attempt) -> list[SlurmJob]:
        """All that ever carried it."""
        jobs = [job for cluster in PRICES for job in self.world.jobs(cluster, ended=True)]
        return [job for job in jobs if job.name.startswith(f"spotwise-{attempt.id}-")]

    def sky_cost_usd(self, attempt: Attempt) -> float:
        """What SkyPilot itself reports for an attempt's cluster."""
        script = f"""
import sky
for cluster in sky.get(sky.cost_report()):
    if cluster["name"] == "spotwise-{attempt.id}":
        print("USD", cluster["total_cost"])
"""
        command = [f"{self.world.layout.venv}/bin/python", "-c", script]
        done = subprocess.run(command, env=self.world.client_env, capture_output=True, text=True, check=True)
        return float(next(line.split()[1] for line in done.stdout.splitlines() if line.startswith("USD ")))

    def took(self, run_id: str) -> dict[str, float]:
        """How long each step of getting over a preemption took, in seconds."""
        before, after = self.attempts(run_id)
        old, new = ({event.name: event.time for event in self.machine(run_id, number)} for number in (1, 2))
        asked = {event.name: event.time for event in self.engine_notes(after)}
        placed = [event.at for event in self.store.events(run_id) if event.kind == "placed"][1]
        ended = next(event.time for event in self.engine_notes(before) if event.name == "ended")
        started = [record.time for record in self.progress(run_id) if record.event == "started"][1]
        moments = {
            "notice to the program's end": (old["notice"], old["ended"]),
            "to the attempt's end": (old["ended"], ended),
            "decision": (ended, placed),
            "launch asked for": (placed, asked["launching"]),
            "machine up": (asked["launching"], asked["up"]),
            "agent up": (asked["up"], new["up"]),
            "restored": (new["up"], started),
        }
        return {name: round((end - start).total_seconds(), 1) for name, (start, end) in moments.items()}

    def assert_clean(self, run_id: str) -> None:
        """The books balance to the last digit, and no cluster, Slurm job or process is left."""
        for attempt in self.attempts(run_id):
            booked = sum((c.amount_usd for c in self.charges(run_id) if c.attempt_id == attempt.id), Decimal(0))
            assert attempt.ended_at is not None
            expected = Decimal(0) if attempt.state is AttemptState.REFUSED else cost_of(attempt, attempt.ended_at)
            assert booked == expected, attempt
            assert len(self.slurm_jobs(attempt)) <= 1, "one cluster for one attempt"
        assert len({charge.id for charge in self.charges(run_id)}) == len(self.charges(run_id))
        self.wait(lambda: self.world.sky_clusters() == [], "SkyPilot's books to be empty")
        self.wait(lambda: not self.jobs_left(), "all Slurm jobs to be gone")
        assert not self.supervisors() or self.wait(lambda: not self.supervisors(), "the supervisor to leave") is None

    def jobs_left(self) -> list[Any]:
        return [job for cluster in PRICES for job in self.world.jobs(cluster) if job.partition != "reclaim"]

    def _pool(self, cluster: str, partition: str) -> dict[str, Any]:
        market = "spot" if partition == "spot" else "on_demand"
        infra, price = f"slurm/{self.world.cluster(cluster)}/{partition}", PRICES[cluster][partition]
        size = {"accelerators": "V100:1", "cpus": 1, "memory": 1}
        return {"infra": infra, "market": market, "price_usd_per_hour": price, **size}
