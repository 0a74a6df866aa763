"""Kernels over the columns of a cube. Pure numpy: a plan uses them without SciPy.

Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, chapter 4: Matern 5/2 with a length a column.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

JITTER = 1e-6
_SQRT5 = math.sqrt(5.0)


@dataclass(frozen=True, slots=True)
class Kernel:
    """``amplitude`` and ``noise`` are variances; ``per_length`` is one over the length of each column."""

    per_length: Array
    amplitude: float
    noise: float

    def between(self, a: Array, b: Array) -> Array:
        """Covariances, shape (len(a), len(b)), without noise."""
        return self.amplitude * matern(a * self.per_length, b * self.per_length)


def matern(a: Array, b: Array) -> Array:
    """Correlations of points whose columns are in units of their lengths, shape (len(a), len(b))."""
    squared = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1)[None, :] - 2.0 * a @ b.T
    r = _SQRT5 * np.sqrt(np.maximum(squared, 0.0))
    return np.asarray((1.0 + r + r * r / 3.0) * np.exp(-r))
