"""Mixtures of products of truncated normals and choices, as TPE draws from them and weighs points by them.

Optuna's own arithmetic, operation by operation, so that each draw is the same to its last bit. But what depends on
the mixture alone is computed once, and nothing is for cases that have not arisen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray
from scipy.special import erf, log_ndtr

Array = NDArray[np.float64]

LOG_ROOT_OF_TWO_PI = math.log(math.sqrt(2 * math.pi))
LOGISTIC = math.sqrt(3) / math.pi
"""The logistic distribution of this scale is near the normal one: a first guess of its quantiles."""
PRECISION = 1e-8
MOST_STEPS = 100


class Choices:
    """An axis of choices. `weights[kernel, choice]`: probabilities."""

    def __init__(self, weights: Array) -> None:
        self._weights = weights

    @cached_property
    def _log_weights(self) -> Array:
        return np.ascontiguousarray(np.log(self._weights).T)

    @cached_property
    def _cumulative(self) -> Array:
        found = np.cumsum(self._weights, axis=-1)
        found[:, -1] = 1
        return found

    def log_pdf(self, x: Array) -> Array:
        """Of each choice by each kernel: (points, kernels)."""
        return self._log_weights[x.astype(np.int64)]

    def sample(self, kernels: NDArray[np.intp], quantiles: Array) -> Array:
        found: Array = np.sum(self._cumulative[kernels] < quantiles[:, np.newaxis], axis=-1, dtype=np.float64)
        return found


class Normals:
    """An axis of truncated normals. `mu`, `sigma`: one a kernel; `bounds` of all; of logarithms where `is_log`."""

    def __init__(self, mu: Array, sigma: Array, bounds: tuple[float, float], *, is_log: bool) -> None:
        self.mu, self.sigma, self.is_log = mu, sigma, is_log
        self._low, self._high = bounds
        self.a, self.b = (self._low - mu) / sigma, (self._high - mu) / sigma
        self.log_mass = log_gauss_mass(self.a, self.b)
        self._log_sigma = np.log(sigma)

    def log_pdf(self, x: Array) -> Array:
        """At each point by each kernel: (points, kernels)."""
        points = np.log(x) if self.is_log else x
        z = points[:, np.newaxis] - self.mu
        z /= self.sigma
        outside = None
        if points.min() < self._low or points.max() > self._high:  # by its last bit
            outside = (z < self.a) | (z > self.b)
        np.square(z, out=z)
        z *= -0.5
        z -= LOG_ROOT_OF_TWO_PI
        z -= self.log_mass
        z -= self._log_sigma
        if outside is not None:
            z[outside] = -np.inf
        return z


class Mixture:
    """Kernels with weights; within a kernel the axes are independent."""

    def __init__(self, weights: Array, axes: Sequence[Choices | Normals]) -> None:
        self._axes = axes
        self._normals = [axis for axis in axes if isinstance(axis, Normals)]
        self._log_weights = np.log(weights)
        self._cumulative = weights.cumsum()
        self._cumulative /= self._cumulative[-1]

    def sample(self, generator: RandomState, size: int) -> list[Array]:
        """`size` values of each axis."""
        kernels = self._cumulative.searchsorted(generator.random_sample(size), side="right")
        choices = [axis for axis in self._axes if isinstance(axis, Choices)]
        values: dict[Choices | Normals, Array] = {
            axis: axis.sample(kernels, generator.random_sample(size)) for axis in choices
        }
        values |= zip(self._normals, self._sample_normals(generator, kernels), strict=True)
        return [values[axis] for axis in self._axes]

    def _sample_normals(self, generator: RandomState, kernels: NDArray[np.intp]) -> list[Array]:
        if not self._normals:
            return []
        quantiles = generator.random_sample((len(self._normals), kernels.size))
        a, b, log_mass = (
            np.array([getattr(axis, name)[kernels] for axis in self._normals]) for name in ("a", "b", "log_mass")
        )
        drawn = truncated_quantile(quantiles, a, b, log_mass)
        found = [z * axis.sigma[kernels] + axis.mu[kernels] for z, axis in zip(drawn, self._normals, strict=True)]
        return [np.exp(x) if axis.is_log else x for x, axis in zip(found, self._normals, strict=True)]

    def log_pdf(self, columns: Sequence[Array]) -> Array:
        """At points given by their values on each axis."""
        parts = {axis: axis.log_pdf(x) for axis, x in zip(self._axes, columns, strict=True)}
        summands = [part for axis, part in parts.items() if isinstance(axis, Choices)]
        if self._normals:
            summands.append(_sum([parts[axis] for axis in self._normals]))
        total = summands[0]
        for summand in summands[1:]:
            total += summand
        total += self._log_weights
        highest = total.max(axis=1)
        highest[np.isneginf(highest)] = 0
        total -= highest[:, np.newaxis]
        with np.errstate(divide="ignore"):
            found: Array = np.log(np.exp(total, out=total).sum(axis=1)) + highest
        return found


def _sum(parts: Sequence[Array]) -> Array:
    if len(parts) <= 2:
        return parts[0] if len(parts) == 1 else parts[0] + parts[1]
    found: Array = np.stack(parts, axis=-1).sum(axis=-1)  # in the order in which Optuna adds
    return found


def log_gauss_mass(a: Array, b: Array) -> Array:
    """The logarithm of the standard normal's mass between a < b."""
    left, right = b <= 0, a > 0
    if not (left.any() or right.any()):
        return _central_mass(a, b)
    found = np.empty_like(a)
    central = ~(left | right)
    found[central] = _central_mass(a[central], b[central])
    found[left] = _left_mass(a[left], b[left])
    found[right] = _left_mass(-b[right], -a[right])
    return found


def _central_mass(a: Array, b: Array) -> Array:
    found: Array = np.log1p(-_normal(a) - _normal(-b))
    return found


def _left_mass(a: Array, b: Array) -> Array:
    high, low = log_ndtr(b), log_ndtr(a)
    found: Array = high + np.log1p(-np.exp(low - high))
    return found


def _normal(x: Array) -> Array:
    found: Array = 0.5 + 0.5 * erf(x / 2**0.5)
    return found


def truncated_quantile(q: Array, a: Array, b: Array, log_mass: Array) -> Array:
    """Where the standard normal between `a` and `b`, of this mass, has the quantile `q` in (0, 1)."""
    found = np.empty_like(q)
    left = a < 0
    if left.all():
        return normal_quantile(np.logaddexp(log_ndtr(a), np.log(q) + log_mass))
    right = ~left
    if left.any():
        found[left] = normal_quantile(np.logaddexp(log_ndtr(a[left]), np.log(q[left]) + log_mass[left]))
    found[right] = -normal_quantile(np.logaddexp(log_ndtr(-b[right]), np.log1p(-q[right]) + log_mass[right]))
    return found


def normal_quantile(y: Array) -> Array:
    """The x with log_ndtr(x) = y, by Newton's method on all at once until each of them is there."""
    near_one = y > -1e-2
    z = y.copy()
    z[near_one] = np.log(-np.expm1(y[near_one]))
    x = np.empty_like(y)
    small = z < -5
    x[small] = -np.sqrt(-2.0 * (z[small] + LOG_ROOT_OF_TWO_PI))
    moderate = ~small
    x[moderate] = -LOGISTIC * np.log(np.expm1(-z[moderate]))
    for _ in range(MOST_STEPS):
        log_cdf = log_ndtr(x)
        log_pdf = -0.5 * np.square(x) - LOG_ROOT_OF_TWO_PI
        step = (log_cdf - z) * np.exp(log_cdf - log_pdf)
        x -= step
        if (np.abs(step) < PRECISION * np.abs(x)).all():
            break
    x[near_one] *= -1
    return x
