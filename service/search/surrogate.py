"""A Gaussian process over points and how well they stand, and the candidate that promises most.

Small on purpose: at most `CAPACITY` observations, so that a proposal costs milliseconds however
long the search is, and nothing but numpy and scipy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize
from scipy.special import ndtr

Array = NDArray[np.float64]

CAPACITY = 128
"""Observations kept: the better half of it the best there are, the rest drawn from all others."""
FITTED = 100
"""Observations that the length scales are fitted to."""
FIT_GROWTH = 1.4
"""The scales are fitted again when there are so many times as many observations."""
FIT_STEPS = 15
LENGTH, LENGTH_SPREAD = float(np.log(0.7)), 1.0
NOISE, NOISE_SPREAD = float(np.log(0.1)), 1.0
"""Log-normal priors: of each axis' length scale, in units of its range, and of the noise's variance."""
JITTER = 1e-6


@dataclass(frozen=True, slots=True)
class Surrogate:
    """A Matérn-5/2 process with a length scale for each axis, around 0. Its answers are exact.

    logs: (axes + 2,): of the length scales, of the signal's variance, of the noise's.
    """

    points: Array
    logs: Array
    triangle: Array
    weights: Array

    def predict(self, points: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of the merit, without noise: (points,) each."""
        cross = _kernel(points, self.points, self.logs)
        left = solve_triangular(self.triangle, cross.T, lower=True, check_finite=False)
        variance = np.exp(self.logs[-2]) - (left * left).sum(axis=0)
        return cross @ self.weights, np.sqrt(np.maximum(variance, 1e-9))


def propose(points: Array, merits: Array, candidates: Array, logs: Array | None, generator: np.random.Generator) -> int:
    """The candidate of highest expected improvement over the best mean at the points known.

    points: (known, axes); merits: (known,), more is better; candidates: (count, axes); all axes in
    [0, 1]. `logs`: length scales to use, from `fit_scales`; None fits them.
    """
    kept = thinned(merits, generator)
    points, merits = points[kept], merits[kept]
    merits = (merits - merits.mean()) / max(float(merits.std()), 1e-12)
    surrogate = condition(points, merits, fit_scales(points, merits) if logs is None else logs)
    incumbent = float(surrogate.predict(points)[0].max())
    mean, deviation = surrogate.predict(candidates)
    return int(np.argmax(expected_improvement(mean, deviation, incumbent)))


def expected_improvement(mean: Array, deviation: Array, incumbent: float) -> Array:
    """By how much a normal quantity exceeds the incumbent on average, losses counted as 0."""
    ahead = (mean - incumbent) / deviation
    density = np.exp(-ahead * ahead / 2) / np.sqrt(2 * np.pi)
    improvement: Array = deviation * (ahead * ndtr(ahead) + density)
    return improvement


def thinned(merits: Array, generator: np.random.Generator) -> NDArray[np.int64]:
    """Which observations are kept: the best half of the capacity, and as many drawn from the rest."""
    order = np.argsort(-merits, kind="stable")
    if len(order) <= CAPACITY:
        return order
    best = CAPACITY // 2
    return np.concatenate([order[:best], generator.choice(order[best:], CAPACITY - best, replace=False)])


def condition(points: Array, merits: Array, logs: Array) -> Surrogate:
    """The process given its observations; `merits` with mean 0 and deviation 1.

    Raises ValueError for what is not finite.
    """
    _require_finite(points, merits, logs)
    kernel = _kernel(points, points, logs) + (np.exp(logs[-1]) + JITTER) * np.eye(len(points))
    triangle = cholesky(kernel, lower=True, check_finite=False)
    return Surrogate(points, logs, triangle, cho_solve((triangle, True), merits, check_finite=False))


def fit_scales(points: Array, merits: Array, start: Array | None = None) -> Array:
    """The logarithms of length scales, signal and noise of highest posterior density, from `start` on.

    Raises ValueError for what is not finite.
    """
    _require_finite(points, merits)
    axes = points.shape[1]
    chosen = slice(None) if len(points) <= FITTED else slice(0, len(points), -(-len(points) // FITTED))
    first = np.concatenate([np.full(axes, LENGTH), [0.0, NOISE]]) if start is None else start
    found = minimize(
        _misfit,
        first,
        args=(points[chosen], merits[chosen]),
        jac=True,
        method="L-BFGS-B",
        bounds=[(-3.0, 3.0)] * (axes + 1) + [(-6.0, 1.0)],
        options={"maxiter": FIT_STEPS},
    )
    logs: Array = found.x
    return logs


def _require_finite(*arrays: Array) -> None:
    """LAPACK is called without a check of its own, many times for one fit."""
    if not all(np.isfinite(array).all() for array in arrays):
        raise ValueError("a surrogate needs finite points, merits and scales")


def _kernel(one: Array, other: Array, logs: Array) -> Array:
    """Matérn-5/2 between two sets of points: (one, other)."""
    distance = np.sqrt(5 * _squares(one, other, logs))
    kernel: Array = np.exp(logs[-2]) * (1 + distance + distance * distance / 3) * np.exp(-distance)
    return kernel


def _squares(one: Array, other: Array, logs: Array) -> Array:
    scale = np.exp(logs[:-2])
    one, other = one / scale, other / scale
    squares: Array = (one * one).sum(axis=1)[:, None] + (other * other).sum(axis=1)[None, :] - 2 * one @ other.T
    return np.maximum(squares, 0.0)


def _misfit(logs: Array, points: Array, merits: Array) -> tuple[float, Array]:
    """The negative logarithm of the posterior density, and its gradient.

    Source: Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), eq. 5.8 and 5.9.
    """
    count, axes = points.shape
    distance = np.sqrt(5 * _squares(points, points, logs))
    slope = np.exp(logs[-2]) * 5 / 3 * (1 + distance) * np.exp(-distance)
    signal = np.exp(logs[-2]) * (1 + distance + distance * distance / 3) * np.exp(-distance)
    triangle = cholesky(signal + (np.exp(logs[-1]) + JITTER) * np.eye(count), lower=True, check_finite=False)
    inverse = cho_solve((triangle, True), np.eye(count), check_finite=False)
    weights = inverse @ merits
    outer = np.outer(weights, weights) - inverse
    scaled = points / np.exp(logs[:-2])
    pull = outer * slope
    total = pull.sum(axis=1)
    gradient = np.empty(axes + 2)
    for axis in range(axes):
        column = scaled[:, axis]
        gradient[axis] = column @ pull @ column - total @ (column * column)
    gradient[-2] = -(outer * signal).sum() / 2
    gradient[-1] = -np.exp(logs[-1]) * np.trace(outer) / 2
    middle = np.concatenate([np.full(axes, LENGTH), [0.0, NOISE]])
    spread = np.concatenate([np.full(axes, LENGTH_SPREAD), [1.0, NOISE_SPREAD]])
    away = (logs - middle) / spread
    density = merits @ weights / 2 + np.log(np.diag(triangle)).sum() + away @ away / 2
    return float(density), gradient + away / spread
