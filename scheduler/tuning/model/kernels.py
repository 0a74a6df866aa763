"""Kernels over the columns of a cube.

Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, chapter 4: Matern 5/2 with a length a column.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from spotwise.cost_models.arrays import Array

JITTER = 1e-6  # variance added to each diagonal so that a Cholesky factor exists; values vary by about 1. Not tuned
_BLOCK_ENTRIES = 8_000  # of a matrix that are computed together, to stay in the processor's cache. Not tuned


class LogNormalPrior(NamedTuple):
    """What is believed of a positive hyperparameter beforehand: mean and standard deviation of its logarithm."""

    mean: float
    sd: float


@dataclass(frozen=True, slots=True)
class Kernel:
    """A Matern 5/2 kernel over encoded configurations (``UnitCube.columns``)."""

    inverse_lengths: Array  # (columns,): one over the length of each, in 1 / widths of the range
    amplitude: float  # variance of the function, in squared units of the values
    noise: float  # variance of the noise, in the same

    def between(self, a: Array, b: Array) -> Array:
        """Covariances without noise, shape (len(a), len(b)). ``a``, ``b``: shape (points, columns)."""
        return self.amplitude * matern(a * self.inverse_lengths, b * self.inverse_lengths)

    def between_and_gradient(self, a: Array, b: Array) -> tuple[Array, Array]:
        """The same, and its gradient with respect to ``a``, shape (len(a), len(b), columns)."""
        offsets = (a[:, None] - b) * self.inverse_lengths
        r = np.sqrt(5.0 * (offsets * offsets).sum(axis=2))
        decay = self.amplitude * np.exp(-r)
        gradient = (-5.0 / 3.0 * (1.0 + r) * decay)[:, :, None] * offsets * self.inverse_lengths
        return (1.0 + r + r * r / 3.0) * decay, gradient


def matern(a: Array, b: Array) -> Array:
    """Matern 5/2 correlations, shape (len(a), len(b)).

    Args:
        a, b: points whose columns are divided by the kernel's lengths, shape (points, columns).
    """
    out, ahead = np.empty((len(a), len(b))), -2.0 * b.T
    of_a, of_b = (a * a).sum(axis=1)[:, None], (b * b).sum(axis=1)
    step = max(1, _BLOCK_ENTRIES // max(1, len(b)))
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
