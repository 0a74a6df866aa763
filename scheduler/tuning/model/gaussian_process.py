"""Gaussian processes, as small as a sweep needs them: tens to hundreds of trials, a handful of columns.

Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006: the lengths of a kernel are the most likely ones
(chapter 5).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_solve
from scipy.linalg.lapack import dpotrf, dtrtri, dtrtrs
from scipy.optimize import minimize
from scipy.special import log_ndtr, ndtr

from spotwise.cost_models.arrays import Array

from .kernels import JITTER, Kernel

_SQRT5, _LOG_ROOT = math.sqrt(5.0), 0.5 * math.log(2.0 * math.pi)
_FAR = 1e3  # standard deviations, from where on the tail of a normal is a power
_STEPS = 30  # of the search for the most likely lengths
# What is believed of them beforehand, as mean and standard deviation of the logarithm.
LENGTH, _NOISE, _AMPLITUDE = (math.log(0.5), 0.8), (-3.0, 1.5), (0.0, 0.5)


class Posterior(NamedTuple):
    """What is predicted at new points: mean and standard deviation, each of shape (points,)."""

    mean: Array
    sd: Array


def most_likely_kernel(
    points: Sequence[Array], values: Sequence[Array], length: tuple[float, float] = LENGTH
) -> Kernel:
    """The kernel under which several functions are most likely, each seen at points of its own; they share it.

    Args:
        length: what is believed of its lengths beforehand, as mean and standard deviation of the logarithm.
    """
    columns = points[0].shape[1]
    apart = [[(p[:, None, d] - p[None, :, d]) ** 2 for d in range(columns)] for p in points]
    centre = np.array([length[0]] * columns + [_NOISE[0], _AMPLITUDE[0]])
    spread = np.array([length[1]] * columns + [_NOISE[1], _AMPLITUDE[1]])

    def loss(at: Array) -> tuple[float, Array]:
        off = (at - centre) / spread
        total, slope = 0.5 * float(off @ off), off / spread
        for squared, y in zip(apart, values, strict=True):
            one, its_slope = _misfit(squared, y, at)
            total, slope = total + one, slope + its_slope
        return total, slope

    bounds = [(-3.0, 3.0)] * columns + [(-7.0, 1.0), (-1.5, 1.5)]
    found = minimize(loss, centre, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": _STEPS}).x
    return Kernel(np.exp(-found[:columns]), float(np.exp(found[columns + 1])), float(np.exp(found[columns])))


def _misfit(squared: Sequence[Array], y: Array, at: Array) -> tuple[float, Array]:
    """Negative log likelihood of one function, and its slope; ``at``: log lengths, log noise, log amplitude."""
    columns = len(squared)
    inverse, noise, amplitude = np.exp(-2.0 * at[:columns]), np.exp(at[columns]), np.exp(at[columns + 1])
    r = _SQRT5 * np.sqrt(sum((i * d for i, d in zip(inverse, squared, strict=True)), np.zeros((len(y), len(y)))))
    decay = amplitude * np.exp(-r)
    kernel = (1.0 + r + r * r / 3.0) * decay
    lower = np.linalg.cholesky(kernel + (noise + JITTER) * np.eye(len(y)))
    inverted = cho_solve((lower, True), np.eye(len(y)))
    weights = inverted @ y
    outer = 0.5 * (inverted - np.outer(weights, weights))
    by_distance = outer * decay * (1.0 + r) * (5.0 / 3.0)
    slope = [float((by_distance * d).sum() * i) for i, d in zip(inverse, squared, strict=True)]
    slope += [float(noise * np.trace(outer)), float((outer * kernel).sum())]
    return float(0.5 * y @ weights + np.log(np.diag(lower)).sum()), np.array(slope)


def log_evidence(covariance: Array, residuals: Array) -> Array:
    """Log density of each column of what was seen, but for a constant; minus infinity where the covariance is none.

    Args:
        residuals: shape (n, columns).
    """
    upper, fault = dpotrf(covariance)  # LAPACK itself: SciPy's functions around it take longer than it does
    if fault:
        return np.full(residuals.shape[1], -math.inf)
    whitened = dtrtrs(upper, residuals, trans=1)[0]
    return np.asarray(-0.5 * (whitened * whitened).sum(axis=0) - np.log(np.diag(upper)).sum())


class Observations:
    """What was seen at some points, by which others are predicted."""

    def __init__(self, covariance: Array, residual: Array) -> None:
        """``covariance``: (n, n), with noise. ``residual``: (n,), values less what they were expected to be."""
        # The inverse of the triangle, since its product with many points takes a third of the time of solving for them.
        self._inverse = dtrtri(np.linalg.cholesky(covariance).T)[0].T
        self._whitened = self._inverse @ residual

    @cached_property
    def weights(self) -> Array:
        """The inverse of the covariance times the residual, shape (n,)."""
        return np.asarray(self._inverse.T @ self._whitened)

    @cached_property
    def inverted(self) -> Array:
        """The inverse of the covariance, shape (n, n)."""
        return np.asarray(self._inverse.T @ self._inverse)

    @property
    def left_out(self) -> Array:
        """What was seen less what all the others predict there, shape (n,) (Rasmussen and Williams, 5.4.2)."""
        return np.asarray(self.weights / (self._inverse * self._inverse).sum(axis=0))

    def posterior(self, cross: Array, variance: Array | float) -> Posterior:
        """At new points. ``cross``: (n, new); ``variance``: of the new points before anything was seen."""
        half = self._inverse @ cross
        return Posterior(half.T @ self._whitened, np.sqrt(np.maximum(variance - (half * half).sum(axis=0), 1e-9)))


def expected_improvement(seen: Posterior, best: float) -> Array:
    """How far below ``best`` each point is expected to come (Jones et al., J. Global Optimization 13, 1998)."""
    return np.asarray(seen.sd * _improvement((best - seen.mean) / seen.sd))


def log_improvement(ahead: Array) -> Array:
    """Logarithm of what a standard normal is expected to exceed -``ahead`` by: finite where that itself is 0.

    Ament et al., Unexpected improvements to expected improvement for Bayesian optimization, NeurIPS 2023.
    """
    near, far = np.maximum(ahead, -1.0), np.clip(ahead, -_FAR, -1.0)
    ratio = np.exp(log_ndtr(far) + 0.5 * far * far + _LOG_ROOT)  # of the distribution function to the density
    tail = np.where(ahead > -_FAR, np.log1p(far * ratio), -2.0 * np.log(np.maximum(-ahead, 1.0)))
    return np.where(ahead > -1.0, np.log(_improvement(near)), tail - 0.5 * ahead * ahead - _LOG_ROOT)


def _improvement(ahead: Array) -> Array:
    return np.asarray(ahead * ndtr(ahead) + np.exp(-0.5 * ahead * ahead - _LOG_ROOT))
