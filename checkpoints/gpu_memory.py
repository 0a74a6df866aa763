"""How much GPU memory a training needs, as PyTorch counts it; PyTorch is asked only where it is in use."""

from __future__ import annotations

import sys


def peak_gpu_memory_gib() -> float | None:
    """The most that tensors of this process held at a time, on the GPU that held most; None where none was in use.

    Memory that PyTorch's allocator keeps in reserve does not count: on a smaller GPU it would keep less.
    """
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available() or not torch.cuda.is_initialized():
        return None
    peaks = [torch.cuda.max_memory_allocated(device) for device in range(torch.cuda.device_count())]
    return max(peaks, default=0) / 2**30 or None
