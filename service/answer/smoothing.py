"""What noisy trials say about each other: a Gaussian process over the curves of their schedules.

Two schedules whose rates are nearly the same give nearly the same result, whatever their families;
what differs beyond that is luck. The posterior mean takes the luck out, as far as the neighbours tell.

Source: Rasmussen and Williams, Gaussian Processes for Machine Learning (2006): the regression,
algorithm 2.1; the hyperparameters' likelihood and its gradient, section 5.4.1; the Matérn kernel
with nu = 5/2, equation 4.17.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky
from scipy.optimize import minimize

from lehr.schedules import Schedule
from lehr.wire.base import LARGEST_VALUE

Array = NDArray[np.float64]

GRID = 101
"""At how many evenly spaced points a schedule's curve is read."""
NEGLIGIBLE = 1e-4
"""A rate below this part of the highest one trains no more than this part of it does."""
PRIOR_MEAN = np.array([*np.log([0.7] * 4), 0.0, math.log(0.3)])
PRIOR_DEVIATION = np.array([1.0, 1.0, 1.0, 1.0, 0.7, 1.0])
"""Of the logarithms of: four length scales in decades, the deviations of the signal and of the noise, both in
units of the values' own deviation."""
STARTS = (0.1, 0.6)
"""Noise deviations that the search for the hyperparameters starts from."""


@dataclass(frozen=True)
class Smoother:
    """A fitted process. `predict` is in the units of the losses that it was fitted to, `joint` in standard ones."""

    inputs: Array
    parameters: Array
    centre: float
    scale: float
    factor: Array
    weights: Array

    @property
    def noise(self) -> float:
        """The deviation of one training's value around its schedule's mean."""
        return float(math.exp(self.parameters[5])) * self.scale

    def joint(self, inputs: Array) -> tuple[Array, Array]:
        """Means (n,) and covariances (n, n) of the noiseless losses at `inputs` (n, 4), `centre` 0 and `scale` 1."""
        cross = _kernel(inputs, self.inputs, self.parameters)
        covariance = _kernel(inputs, inputs, self.parameters) - cross @ cho_solve((self.factor, True), cross.T)
        # A little is added, for rounding may leave a direction without any variance a negative one.
        covariance += 1e-9 * math.exp(2 * self.parameters[4]) * np.eye(len(inputs))
        return cross @ self.weights, covariance

    def predict(self, inputs: Array) -> tuple[Array, Array]:
        """Means and deviations of the noiseless losses at `inputs` (n, 4), each (n,)."""
        cross = _kernel(inputs, self.inputs, self.parameters)
        means = cross @ self.weights
        explained = (cross * cho_solve((self.factor, True), cross.T).T).sum(1)
        variances = np.maximum(math.exp(2 * self.parameters[4]) - explained, 0.0)
        return self.centre + self.scale * means, self.scale * np.sqrt(variances)


def features(schedule: Schedule) -> Array:
    """What a curve is known by, (4,): the decimal logarithms of its mean rate in the first tenth, its highest
    rate, its mean rate, and its mean rate in the last tenth.
    """
    if schedule.adaptive:  # what a metric makes of it is not known: its highest rate and its lowest stand for it
        rates = np.geomspace(schedule.max_lr, max(schedule.end_lr, schedule.max_lr * NEGLIGIBLE), GRID)
    else:
        rates = schedule.lr_array(np.linspace(0.0, 1.0, GRID))
    rates = np.minimum(rates, LARGEST_VALUE)  # a sum of larger ones may overflow
    top = float(rates.max())
    tenth = GRID // 10
    read = np.array([rates[:tenth].mean(), top, rates.mean(), rates[-tenth:].mean()])
    found: Array = np.log10(np.maximum(read, max(top * NEGLIGIBLE, 1e-300)))
    return found


def fit(inputs: Array, losses: Sequence[float] | Array) -> Smoother | None:
    """The process that explains `losses` (n,) at `inputs` (n, 4) best, by its posterior; n >= 2.

    None where a loss is beyond LARGEST_VALUE, as old databases may hold some, and where no process can be fitted.
    """
    values = np.asarray(losses, dtype=np.float64)
    if not (np.abs(values) <= LARGEST_VALUE).all():
        return None
    # Squares of very small losses would be 0. A power of two changes no digit.
    unit = math.ldexp(1.0, math.frexp(float(np.abs(values).max()))[1])
    centre, scale = float((values / unit).mean()), float((values / unit).std()) or 1.0
    targets = (values / unit - centre) / scale
    try:
        found = [_climb(inputs, targets, noise) for noise in STARTS]
        parameters = min(found, key=lambda each: each[0])[1]
        factor = cholesky(_covariance(inputs, parameters), lower=True)
        weights = cho_solve((factor, True), targets)
    except (np.linalg.LinAlgError, ValueError):  # of a matrix that is not positive definite, or not finite
        return None
    return Smoother(inputs, parameters, centre * unit, scale * unit, factor, weights)


def _climb(inputs: Array, targets: Array, noise: float) -> tuple[float, Array]:
    start = PRIOR_MEAN.copy()
    start[5] = math.log(noise)
    bounds = [
        (mean - 3 * deviation, mean + 3 * deviation)
        for mean, deviation in zip(PRIOR_MEAN, PRIOR_DEVIATION, strict=True)
    ]
    found = minimize(
        _objective, start, args=(inputs, targets), jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 60}
    )
    return float(found.fun), np.asarray(found.x)


def _objective(parameters: Array, inputs: Array, targets: Array) -> tuple[float, Array]:
    """Minus the logarithm of the hyperparameters' posterior density, and its gradient."""
    signal = _kernel(inputs, inputs, parameters)
    covariance = signal + math.exp(2 * parameters[5]) * np.eye(len(targets))
    factor = cholesky(covariance + 1e-10 * np.eye(len(targets)), lower=True)
    weights = cho_solve((factor, True), targets)
    inverse = cho_solve((factor, True), np.eye(len(targets)))
    outer = inverse - np.outer(weights, weights)
    distance = (parameters - PRIOR_MEAN) / PRIOR_DEVIATION
    value = 0.5 * targets @ weights + np.log(np.diag(factor)).sum() + 0.5 * distance @ distance
    gradient = np.empty(6)
    root = math.sqrt(5.0) * _distances(inputs, inputs, parameters)
    slope = math.exp(2 * parameters[4]) * 5.0 / 3.0 * (1 + root) * np.exp(-root)
    for axis in range(4):
        apart = (inputs[:, None, axis] - inputs[None, :, axis]) / math.exp(parameters[axis])
        gradient[axis] = 0.5 * np.sum(outer * slope * apart**2)
    gradient[4] = np.sum(outer * signal)
    gradient[5] = np.trace(outer) * math.exp(2 * parameters[5])
    return float(value), gradient + distance / PRIOR_DEVIATION


def _covariance(inputs: Array, parameters: Array) -> Array:
    return _kernel(inputs, inputs, parameters) + (math.exp(2 * parameters[5]) + 1e-10) * np.eye(len(inputs))


def _kernel(left: Array, right: Array, parameters: Array) -> Array:
    """Matérn, nu = 5/2: s² (1 + √5 r + 5 r² / 3) exp(-√5 r)."""
    root = math.sqrt(5.0) * _distances(left, right, parameters)
    kernel: Array = math.exp(2 * parameters[4]) * (1 + root + root**2 / 3) * np.exp(-root)
    return kernel


def _distances(left: Array, right: Array, parameters: Array) -> Array:
    scales = np.exp(parameters[:4])
    apart = (left[:, None, :] - right[None, :, :]) / scales
    distances: Array = np.sqrt((apart**2).sum(-1))
    return distances
