"""Memory of one GPU, by accelerator: what programs see of it, which is less than the name says."""

from __future__ import annotations

# MiB as nvidia-smi prints them for boards in data centres, error correction on. A K80 counts as two GPUs.
_MIB = {
    "A10": 23_028,
    "A100": 40_960,
    "A100-80GB": 81_920,
    "A10G": 23_028,
    "B200": 183_359,
    "GH200": 97_871,
    "H100": 81_559,
    "H100-SXM": 81_559,
    "H200": 143_771,
    "H200-SXM": 143_771,
    "K80": 11_441,
    "L4": 23_034,
    "L40": 46_068,
    "L40S": 46_068,
    "P100": 16_280,
    "T4": 15_360,
    "V100": 16_160,
    "V100-32GB": 32_510,
}


def gpu_memory_gib(accelerator: str | None) -> float | None:
    """Memory of one GPU in GiB, by SkyPilot's name of it; None where that is not known, and without an accelerator."""
    found = _MIB.get((accelerator or "").upper())
    return None if found is None else found / 1024
