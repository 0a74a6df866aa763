"""Kernels over the columns of a cube.

Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, chapter 4: Matern 5/2 with a length a column.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spotwise.cost_models.arrays import Array

JITTER = 1e-6
_BLOCK = 8_000  # correlations that are worked out together: so few stay near the processor


@dataclass(frozen=True, slots=True)
class Kernel:
    """``amplitude`` and ``noise`` are variances; ``per_length`` is one over the length of each column."""

    per_length: Array
    amplitude: float
    noise: float

    def between(self, a: Array, b: Array) -> Array:
        """Covariances, shape (len(a), len(b)), without noise."""
        return self.amplitude * matern(a * self.per_length, b * self.per_length)

    def with_slope(self, a: Array, b: Array) -> tuple[Array, Array]:
        """The same, and its slope where ``a`` moves, shape (len(a), len(b), columns)."""
        apart = (a[:, None] - b) * self.per_length
        r = np.sqrt(5.0 * (apart * apart).sum(axis=2))
        decay = self.amplitude * np.exp(-r)
        slope = (-5.0 / 3.0 * (1.0 + r) * decay)[:, :, None] * apart * self.per_length
        return (1.0 + r + r * r / 3.0) * decay, slope


def matern(a: Array, b: Array) -> Array:
    """Correlations of points whose columns are in units of their lengths, shape (len(a), len(b))."""
    out, ahead = np.empty((len(a), len(b))), -2.0 * b.T
    of_a, of_b = (a * a).sum(axis=1)[:, None], (b * b).sum(axis=1)
    step = max(1, _BLOCK // max(1, len(b)))
    for at in (slice(start, start + step) for start in range(0, len(a), step)):
        r = np.matmul(a[at], ahead, out=out[at])  # in place, block by block: new memory takes longer than the sums
        r += of_a[at]
        r += of_b
        np.maximum(r, 0.0, out=r)
        r *= 5.0
        polynomial = r / 3.0
        np.sqrt(r, out=r)
        polynomial += r
        polynomial += 1.0
        np.negative(r, out=r)
        np.exp(r, out=r)
        r *= polynomial
    return out
