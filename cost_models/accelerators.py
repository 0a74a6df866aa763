"""The accelerators that SkyPilot knows by name: memory as it is sold, and who makes them.

What programs see of the memory is less: `gpu_memory`. SkyPilot chooses ``80GB+`` by the memory as it is sold.
"""

from __future__ import annotations

_NVIDIA, _AMD, _INTEL = "nvidia", "amd", "intel"

# GB of one board, from the makers' data sheets. A K80 counts as two GPUs.
_BOARDS: dict[str, dict[str, int]] = {
    _NVIDIA: {
        "A10": 24, "A10G": 24, "A16": 16, "A30": 24, "A40": 48, "A100": 40, "A100-SXM": 40, "A100-80GB": 80,
        "A100-80GB-SXM": 80, "B100": 192, "B200": 192, "B300": 288, "GB200": 192, "GB300": 288, "GH200": 96, "H100": 80,
        "H100-MEGA": 80, "H100-NVL": 94, "H100-SXM": 80, "H200": 141, "H200-NVL": 141, "H200-SXM": 141, "K80": 12,
        "L4": 24, "L40": 48, "L40S": 48, "M4000": 8, "M60": 8, "P4": 8, "P40": 24, "P100": 16, "P4000": 8, "P5000": 16,
        "P6000": 24, "A4000": 16, "A4500": 20, "A5000": 24, "A6000": 48, "RTX2080TI": 11, "RTX3060": 12, "RTX3070": 8,
        "RTX3080": 10, "RTX3090": 24, "RTX4000": 8, "RTX4000-ADA": 20, "RTX4060": 8, "RTX4070": 12, "RTX4080": 16,
        "RTX4090": 24, "RTX5000": 16, "RTX5000-ADA": 32, "RTX5070": 12, "RTX5080": 16, "RTX5090": 32, "RTX6000": 24,
        "RTX6000-ADA": 48, "RTXA4000": 16, "RTXA4500": 20, "RTXA5000": 24, "RTXA6000": 48, "RTXPRO6000": 96, "T4": 16,
        "T4G": 16, "V100": 16, "V100-32GB": 32,
    },
    _AMD: {"MI25": 16, "MI50": 16, "MI100": 32, "MI210": 64, "MI250": 128, "MI300X": 192, "MI325X": 256, "MI355X": 288},
    _INTEL: {"GAUDI HL-205": 32, "GAUDI2": 96, "GAUDI3": 128},
}  # fmt: skip

# Known by name; no memory of one device is stated for them.
_OTHERS = ("Inferentia", "Inferentia2", "Trainium", "Trainium2")
_TPU = "TPU-"  # and a version and a number of cores: tpu-v5litepod-8

_MEMORY_GB = {name: memory for boards in _BOARDS.values() for name, memory in boards.items()}
_MAKER = {name: maker for maker, boards in _BOARDS.items() for name in boards}

NAMES = (*_MEMORY_GB, *_OTHERS)
MAKERS = tuple(_BOARDS)


def is_known(name: str) -> bool:
    """Whether SkyPilot knows an accelerator of this name, in whatever case it is written."""
    upper = name.upper()
    return upper in _MEMORY_GB or upper.startswith(_TPU) or upper in (other.upper() for other in _OTHERS)


def nominal_memory_gb(name: str) -> int | None:
    """Memory of one board in GB, as it is sold; None where that is not known."""
    return _MEMORY_GB.get(name.upper())


def maker(name: str) -> str | None:
    """Who makes it: one of `MAKERS`; None where that is not known."""
    return _MAKER.get(name.upper())
