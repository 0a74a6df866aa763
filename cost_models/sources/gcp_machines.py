"""Google's machines: what their names say, in which zones they stand, and how large they are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ..offer import Pool
from .base import Machine
from .sheet import load_sheet

CLOUD = "gcp"
NAME = re.compile(r"[a-z0-9-]{1,63}")  # of a machine type, region or zone: the only ones that are sent

# Google's names of accelerators, by SkyPilot's.
ACCELERATOR_TYPES = {
    "A100": "nvidia-tesla-a100",
    "A100-80GB": "nvidia-a100-80gb",
    "B200": "nvidia-b200",
    "H100": "nvidia-h100-80gb",
    "H100-MEGA": "nvidia-h100-mega-80gb",
    "H200": "nvidia-h200-141gb",
    "L4": "nvidia-l4",
    "P100": "nvidia-tesla-p100",
    "P4": "nvidia-tesla-p4",
    "RTXPRO6000": "nvidia-rtx-pro-6000",
    "T4": "nvidia-tesla-t4",
    "V100": "nvidia-tesla-v100",
}


@dataclass(frozen=True, slots=True)
class MachineSize:
    """What of a machine is billed by amount, beside its GPUs."""

    vcpus: Decimal
    memory_gib: Decimal


@dataclass(frozen=True, slots=True)
class MachineInRegion:
    """A machine in one region: where it stands, and its size; without zones or size where nobody says."""

    machine: Machine
    region: str
    zones: tuple[str, ...] = ()
    size: MachineSize | None = None

    def pool(self, zone: str) -> Pool:
        """The pool of the machine in a zone; ``""``: in whichever of the region."""
        machine = self.machine
        gpus = f"{machine.accelerator}:{machine.accelerator_count}" if attaches_gpus(machine) else ""
        return Pool(CLOUD, self.region, zone, machine.instance_type, gpus)


def family(instance_type: str) -> str:
    """``"a2"`` of ``"a2-highgpu-1g"``."""
    return instance_type.partition("-")[0]


def attaches_gpus(machine: Machine) -> bool:
    """Whether GPUs are attached to a machine type that leaves them open, as N1 does."""
    return family(machine.instance_type) == "n1" and machine.accelerator is not None


def is_custom(machine: Machine) -> bool:
    """Whether the machine type is one that a customer has put together."""
    return "custom" in machine.instance_type.split("-")


def is_tpu(machine: Machine) -> bool:
    """Whether the machine is a TPU's: other services answer for those."""
    return (machine.accelerator or "").lower().startswith("tpu") or machine.instance_type.upper().startswith("TPU")


def sheet_places(machines: Iterable[Machine], regions: Iterable[str]) -> Iterator[MachineInRegion]:
    """Each machine in each region, as the shipped price sheet knows it."""
    for machine in machines:
        for region in regions:
            found = [
                offer
                for offer in load_sheet()
                if (offer.pool.cloud, offer.pool.region, offer.pool.instance_type)
                == (CLOUD, region, machine.instance_type)
            ]
            stands = {offer.pool.zone for offer in found if not attaches_gpus(machine) or _has(offer, machine)}
            size = MachineSize(_exact(found[0].vcpus), _exact(found[0].memory_gib)) if found else None
            yield MachineInRegion(machine, region, tuple(sorted(stands - {""})), size)


def sheet_regions(machines: Iterable[Machine]) -> tuple[str, ...]:
    """The regions in which the shipped price sheet knows one of the machines."""
    types = {machine.instance_type for machine in machines}
    return tuple(
        sorted({o.pool.region for o in load_sheet() if o.pool.cloud == CLOUD and o.pool.instance_type in types})
    )


def type_filter(names: Iterable[str]) -> str:
    """An expression that lists of types are filtered by."""
    return " OR ".join(f'(name = "{name}")' for name in sorted(set(names)))


def told_places(
    sheet: Iterable[MachineInRegion], types: Iterable[Any], accelerators: Iterable[Any] | None
) -> Iterator[MachineInRegion]:
    """The same places as the cloud itself tells them.

    Args:
        sheet: what is known without it.
        types: compute_v1's aggregated lists of machine types, page by page.
        accelerators: those of accelerator types; None where they were not asked, or not answered.
    """
    sizes: dict[str, MachineSize] = {}
    zones: dict[str, set[str]] = {}
    for zone, kind in _listed(types, "machine_types"):
        if "guest_cpus" in kind and "memory_mb" in kind:
            sizes[kind.name] = MachineSize(Decimal(kind.guest_cpus), Decimal(kind.memory_mb) / 1024)
        zones.setdefault(kind.name, set()).add(zone)
    attached: dict[str, set[str]] | None = None
    if accelerators is not None:
        attached = {}
        for zone, kind in _listed(accelerators, "accelerator_types"):
            attached.setdefault(kind.name, set()).add(zone)
    for place in sheet:
        machine = place.machine
        stands = {z for z in zones.get(machine.instance_type, ()) if region_of(z) == place.region}
        if attaches_gpus(machine):
            gpus = ACCELERATOR_TYPES.get(machine.accelerator or "", "")
            stands &= set(place.zones) if attached is None else attached.get(gpus, set())
        size = sizes.get(machine.instance_type, place.size)
        yield MachineInRegion(machine, place.region, tuple(sorted(stands)) or place.zones, size)


def region_of(zone: str) -> str:
    """``"us-central1"`` of ``"us-central1-a"``."""
    return zone.rpartition("-")[0]


def last_part(address: str, collection: str) -> str:
    """``"us-central1-a"`` of ``".../zones/us-central1-a"`` for ``"zones"``; a bare name is itself; else empty."""
    head, _, name = address.rpartition("/")
    return name if NAME.fullmatch(name) and (not head or head.rpartition("/")[2] == collection) else ""


def _listed(answers: Iterable[Any], what: str) -> Iterator[tuple[str, Any]]:
    for answer in answers:
        items: Mapping[str, Any] = answer.items
        for scope, listed in items.items():
            zone = last_part(scope, "zones")
            for kind in getattr(listed, what):
                if zone:
                    yield zone, kind


def _has(offer: Any, machine: Machine) -> bool:
    return (offer.accelerator, offer.accelerator_count) == (machine.accelerator, machine.accelerator_count)


def _exact(number: float) -> Decimal:
    return Decimal(repr(number))
