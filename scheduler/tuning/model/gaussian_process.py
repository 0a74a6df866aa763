"""Gaussian processes, as small as a sweep needs them: tens to hundreds of trials, a handful of columns.

Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006: prediction in chapter 2, the choice of a kernel's
lengths, noise and amplitude (maximum a posteriori) in chapter 5.
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

from .kernels import JITTER, Kernel, LogNormalPrior

_SQRT5, _LOG_SQRT_2PI = math.sqrt(5.0), 0.5 * math.log(2.0 * math.pi)
_POWER_TAIL_FROM = 1e3  # standard deviations: further out the tail is computed by its leading power
_MAX_ITERATIONS = 30  # of L-BFGS-B, for a kernel's hyperparameters. Not tuned
_MIN_VARIANCE = 1e-9  # squared units of the values: rounding may make a predicted variance negative


# Of the length of each column, in widths of its range: shorter or longer ones help on one recorded family and hurt on
# the others (docs/tuning.md). Of the variances of noise and function, in squared scores: less noise beforehand made no
# difference on LCBench (docs/tuning.md); otherwise not tuned.
LOG_LENGTH_PRIOR = LogNormalPrior(math.log(0.5), 0.8)
LOG_NOISE_PRIOR = LogNormalPrior(-3.0, 1.5)
LOG_AMPLITUDE_PRIOR = LogNormalPrior(0.0, 0.5)


class Posterior(NamedTuple):
    """What is predicted at new points: mean and standard deviation, each of shape (points,)."""

    mean: Array
    sd: Array


def most_likely_kernel(
    points: Sequence[Array], values: Sequence[Array], log_length: LogNormalPrior = LOG_LENGTH_PRIOR
) -> Kernel:
    """The maximum a posteriori kernel of several functions, each observed at points of its own; they share it.

    Rasmussen and Williams 2006, section 5.4.1; the search is L-BFGS-B with exact gradients.

    Args:
        points: of each function, shape (points, columns).
        values: of each function, shape (points,), centred.
        log_length: the prior of the lengths.

    Raises:
        numpy.linalg.LinAlgError: a covariance is not positive definite, as where a value is not finite.
    """
    columns = points[0].shape[1]
    squared = [[(p[:, None, d] - p[None, :, d]) ** 2 for d in range(columns)] for p in points]
    centre, spread = np.array([log_length] * columns + [LOG_NOISE_PRIOR, LOG_AMPLITUDE_PRIOR]).T

    def loss(at: Array) -> tuple[float, Array]:
        off = (at - centre) / spread
        total, gradient = 0.5 * float(off @ off), off / spread
        for of_one, y in zip(squared, values, strict=True):
            one, its_gradient = _negative_log_likelihood(of_one, y, at)
            total, gradient = total + one, gradient + its_gradient
        return total, gradient

    bounds = [(-3.0, 3.0)] * columns + [(-7.0, 1.0), (-1.5, 1.5)]
    found = minimize(loss, centre, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": _MAX_ITERATIONS}).x
    return Kernel(np.exp(-found[:columns]), float(np.exp(found[columns + 1])), float(np.exp(found[columns])))


def _negative_log_likelihood(of_one: Sequence[Array], y: Array, at: Array) -> tuple[float, Array]:
    """Negative log likelihood of one function, but for a constant, and its gradient.

    Args:
        of_one: squared distances of its points in each column, each of shape (n, n).
        y: its values, shape (n,).
        at: log lengths, log noise, log amplitude, shape (columns + 2,).
    """
    columns = len(of_one)
    inverse, noise, amplitude = np.exp(-2.0 * at[:columns]), np.exp(at[columns]), np.exp(at[columns + 1])
    r = _SQRT5 * np.sqrt(sum((i * d for i, d in zip(inverse, of_one, strict=True)), np.zeros((len(y), len(y)))))
    decay = amplitude * np.exp(-r)
    kernel = (1.0 + r + r * r / 3.0) * decay
    lower = np.linalg.cholesky(kernel + (noise + JITTER) * np.eye(len(y)))
    inverted = cho_solve((lower, True), np.eye(len(y)))
    weights = inverted @ y
    outer = 0.5 * (inverted - np.outer(weights, weights))
    by_distance = outer * decay * (1.0 + r) * (5.0 / 3.0)
    gradient = [float((by_distance * d).sum() * i) for i, d in zip(inverse, of_one, strict=True)]
    gradient += [float(noise * np.trace(outer)), float((outer * kernel).sum())]
    return float(0.5 * y @ weights + np.log(np.diag(lower)).sum()), np.array(gradient)


def log_evidence(covariance: Array, residuals: Array) -> Array:
    """Log marginal likelihood of each column of residuals, but for a constant, shape (columns,).

    Rasmussen and Williams 2006, equation 2.30. Minus infinity where the covariance is not positive definite.

    Args:
        covariance: with noise, shape (n, n).
        residuals: values less their prior means, shape (n, columns).
    """
    upper, fault = dpotrf(covariance)  # LAPACK itself: SciPy's functions around it take longer than it does
    if fault:
        return np.full(residuals.shape[1], -math.inf)
    whitened = dtrtrs(upper, residuals, trans=1)[0]
    return np.asarray(-0.5 * (whitened * whitened).sum(axis=0) - np.log(np.diag(upper)).sum())


class ConditionedGP:
    """A Gaussian process given its values at n points (Rasmussen and Williams 2006, section 2.2)."""

    def __init__(self, covariance: Array, residual: Array) -> None:
        """Args:
            covariance: of the values, with noise, shape (n, n).
            residual: values less their prior means, shape (n,).

        Raises:
            numpy.linalg.LinAlgError: the covariance is not positive definite.
        """
        # The inverse of the triangle, since its product with many points takes a third of the time of solving for them.
        self._inverse_factor = dtrtri(np.linalg.cholesky(covariance).T)[0].T
        self._whitened = self._inverse_factor @ residual

    @cached_property
    def weights(self) -> Array:
        """The inverse of the covariance times the residual, shape (n,)."""
        return np.asarray(self._inverse_factor.T @ self._whitened)

    @cached_property
    def inverse(self) -> Array:
        """The inverse of the covariance, shape (n, n)."""
        return np.asarray(self._inverse_factor.T @ self._inverse_factor)

    @property
    def leave_one_out_residuals(self) -> Array:
        """Each value less what all the others predict there, shape (n,) (Rasmussen and Williams 2006, 5.4.2)."""
        return np.asarray(self.weights / (self._inverse_factor * self._inverse_factor).sum(axis=0))

    def posterior(self, cross: Array, variance: Array | float) -> Posterior:
        """At new points, less their prior means.

        Args:
            cross: covariances of the n values with the new points, shape (n, new).
            variance: prior variances of the new points, shape (new,), or one for all.
        """
        half = self._inverse_factor @ cross
        left = np.maximum(variance - (half * half).sum(axis=0), _MIN_VARIANCE)
        return Posterior(half.T @ self._whitened, np.sqrt(left))


def expected_improvement(seen: Posterior, best: float) -> Array:
    """Expected improvement below ``best`` of each point, shape (points,), in the unit of the values.

    Jones et al., Efficient global optimization of expensive black-box functions, J. Global Optimization 13, 1998.
    """
    return np.asarray(seen.sd * _unit_improvement((best - seen.mean) / seen.sd))


def log_improvement(z: Array) -> Array:
    """Logarithm of the expected improvement of a unit normal, shape as ``z``: finite where the improvement is 0.

    Ament et al., Unexpected improvements to expected improvement for Bayesian optimization, NeurIPS 2023.

    Args:
        z: by how many standard deviations the best lies above each point's mean.
    """
    near, far = np.maximum(z, -1.0), np.clip(z, -_POWER_TAIL_FROM, -1.0)
    ratio = np.exp(log_ndtr(far) + 0.5 * far * far + _LOG_SQRT_2PI)  # of the distribution function to the density
    tail = np.where(z > -_POWER_TAIL_FROM, np.log1p(far * ratio), -2.0 * np.log(np.maximum(-z, 1.0)))
    return np.where(z > -1.0, np.log(_unit_improvement(near)), tail - 0.5 * z * z - _LOG_SQRT_2PI)


def _unit_improvement(z: Array) -> Array:
    return np.asarray(z * ndtr(z) + np.exp(-0.5 * z * z - _LOG_SQRT_2PI))
