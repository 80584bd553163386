"""A Gaussian process over schedules: predicts their losses from noisy trainings of other schedules.

    symbol   shape      meaning
    ------   --------   -----------------------------------------------------------------------------------------
    X        (n, d)     inputs of the n observed trainings, on d axes
    y        (n,)       their results, standardised: mean 0 and deviation 1
    Z        (m, d)     inputs to predict at
    θ        (d + 2,)   hyperparameters: ln ℓ₁ … ln ℓ_d, ln s², ln σ²
    ℓ        (d,)       length scale of each axis
    s², σ²   scalars    variance of the signal, and of the noise of one training
    r        (n, m)     distance: r² = Σ_k ((x_k − z_k) / ℓ_k)²
    k(r)     (n, m)     Matérn kernel, ν = 5/2: s² (1 + √5 r + 5 r² / 3) exp(−√5 r)
    L        (n, n)     lower triangle with L Lᵀ = k(X, X) + σ² I
    α        (n,)       (k(X, X) + σ² I)⁻¹ y

Source: Rasmussen and Williams, Gaussian Processes for Machine Learning (2006): prediction, algorithm 2.1; the
hyperparameters' likelihood and its gradient, equations 5.8 and 5.9; the kernel, equation 4.17.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize
from scipy.spatial.distance import cdist
from scipy.special import ndtr

from lehr.wire.base import LARGEST_VALUE

Array = NDArray[np.float64]

LEAST_VARIANCE = 1e-9
"""Minimum standardised variance of a prediction. Rounding may make it negative, and expected improvement divides by
its square root."""


@dataclass(frozen=True, slots=True)
class Prior:
    """Normal distributions (mean, deviation) of the entries of θ, and the effort of a fit.

    `starts`: initial values of ln σ² for the optimizer, which takes at most `steps` steps from each.
    """

    log_length: tuple[float, float]
    log_signal: tuple[float, float]
    log_noise: tuple[float, float]
    starts: tuple[float, ...]
    steps: int

    def moments(self, axes: int) -> tuple[Array, Array]:
        """Means and deviations of θ, each of shape (axes + 2,)."""
        means, deviations = zip(*[self.log_length] * axes, self.log_signal, self.log_noise, strict=True)
        return np.array(means), np.array(deviations)


@dataclass(frozen=True, slots=True)
class GaussianProcess:
    """The process, conditioned on observations. `of` raises ValueError if they are not finite."""

    X: Array
    y: Array
    theta: Array
    centre: float
    scale: float
    L: Array
    alpha: Array

    @classmethod
    def of(cls, X: Array, values: Array, theta: Array) -> GaussianProcess:
        y, centre, scale = _standardise(values)
        return cls._conditioned(X, y, theta, centre, scale)

    @classmethod
    def _conditioned(cls, X: Array, y: Array, theta: Array, centre: float, scale: float) -> GaussianProcess:
        L = cholesky(_kernel(X, X, theta) + math.exp(theta[-1]) * np.eye(len(X)), lower=True)
        return cls(X, y, theta, centre, scale, L, cho_solve((L, True), y))

    @property
    def noise(self) -> float:
        """The standard deviation of a training's value around its schedule's mean."""
        return math.exp(self.theta[-1] / 2) * self.scale

    def predict(self, Z: Array) -> tuple[Array, Array]:
        """Means and deviations of the noiseless values at `Z`, in the units of the observations: (m,) each."""
        cross = _kernel(Z, self.X, self.theta)
        explained = (solve_triangular(self.L, cross.T, lower=True) ** 2).sum(axis=0)
        variances = np.maximum(math.exp(self.theta[-2]) - explained, LEAST_VARIANCE)
        return self.centre + self.scale * (cross @ self.alpha), self.scale * np.sqrt(variances)

    def joint(self, Z: Array) -> tuple[Array, Array]:
        """Means (m,) and covariances (m, m) of the noiseless values at `Z`, standardised like `y`."""
        cross = _kernel(Z, self.X, self.theta)
        covariance = _kernel(Z, Z, self.theta) - cross @ cho_solve((self.L, True), cross.T)
        # The added variance keeps rounding from making the variance of a direction negative.
        covariance += LEAST_VARIANCE * math.exp(self.theta[-2]) * np.eye(len(Z))
        return cross @ self.alpha, covariance

    def with_believed(self, Z: Array) -> GaussianProcess:
        """The process as if trainings at `Z` had resulted in exactly its predictions.

        Source: the kriging believer of Ginsbourger, Le Riche and Carraro, Kriging is well-suited to parallelize
        optimization (2010).
        """
        y = np.concatenate([self.y, _kernel(Z, self.X, self.theta) @ self.alpha])
        return self._conditioned(np.vstack([self.X, Z]), y, self.theta, self.centre, self.scale)


def fit(X: Array, values: Array, prior: Prior) -> GaussianProcess | None:
    """The process whose hyperparameters have the highest posterior density given the values; n >= 2.

    None if a value exceeds LARGEST_VALUE, as in some old databases, or if no process can be fitted.
    """
    if not (np.abs(values) <= LARGEST_VALUE).all():
        return None
    try:
        return GaussianProcess.of(X, values, fit_theta(X, values, prior))
    except (np.linalg.LinAlgError, ValueError):  # the matrix is not positive definite, or not finite
        return None


def fit_theta(X: Array, values: Array, prior: Prior) -> Array:
    """The θ with the highest posterior density within three deviations of the prior's mean.

    Raises ValueError for values that are not finite.
    """
    y, _, _ = _standardise(values)
    means, deviations = prior.moments(X.shape[1])
    bounds = list(zip(means - 3 * deviations, means + 3 * deviations, strict=True))
    climbs = [
        minimize(
            _loss,
            [*means[:-1], start],
            args=(X, y, means, deviations),
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options={"maxiter": prior.steps},
        )
        for start in prior.starts
    ]
    return np.asarray(min(climbs, key=lambda climb: float(climb.fun)).x)


def expected_improvement(gains: Array, deviations: Array) -> Array:
    """The mean of max(G, 0), where the gain G on the incumbent is normal with these means and deviations.

    Source: Jones, Schonlau and Welch, J. Global Optim. 13 (1998), equation 15.
    """
    scaled = gains / deviations
    density = np.exp(-(scaled**2) / 2) / math.sqrt(2 * math.pi)
    improvement: Array = gains * ndtr(scaled) + deviations * density
    return improvement


def loss_cap(losses: Array, factor: float) -> float:
    """The best loss plus `factor` times its distance to the median; the worst finite loss if that is 0 or infinite.

    A process should learn that bad trials are bad, but not how bad: that would flatten the rest.
    """
    best, middle = float(losses.min()), float(median(losses.tolist()))
    if best < middle < math.inf:
        return best + factor * (middle - best)
    return float(losses[np.isfinite(losses)].max())


def _loss(theta: Array, X: Array, y: Array, means: Array, deviations: Array) -> tuple[float, Array]:
    """Minus the logarithm of the posterior density of θ, up to a constant, and its gradient."""
    signal_variance, noise_variance = np.exp(theta[-2:])
    identity = np.eye(len(X))
    root = _root(X, X, theta)
    signal = signal_variance * (1 + root + root**2 / 3) * np.exp(-root)
    L = cholesky(signal + noise_variance * identity, lower=True)
    alpha = cho_solve((L, True), y)
    pull = cho_solve((L, True), identity) - np.outer(alpha, alpha)
    slope = pull * (5 / 3 * signal_variance * (1 + root) * np.exp(-root))  # times r_k² for the axis k
    scaled = X / np.exp(theta[:-2])
    away = (theta - means) / deviations
    gradient = np.empty(len(theta))
    gradient[:-2] = (slope.sum(axis=1) @ scaled**2) - ((slope @ scaled) * scaled).sum(axis=0)
    gradient[-2] = (pull * signal).sum() / 2
    gradient[-1] = np.trace(pull) * noise_variance / 2
    density = y @ alpha / 2 + np.log(np.diag(L)).sum() + away @ away / 2
    return float(density), gradient + away / deviations


def _kernel(X: Array, Z: Array, theta: Array) -> Array:
    root = _root(X, Z, theta)
    kernel: Array = math.exp(theta[-2]) * (1 + root + root**2 / 3) * np.exp(-root)
    return kernel


def _root(X: Array, Z: Array, theta: Array) -> Array:
    """√5 r"""
    lengths = np.exp(theta[:-2])
    root: Array = math.sqrt(5) * cdist(X / lengths, Z / lengths)
    return root


def _standardise(values: Array) -> tuple[Array, float, float]:
    """y, and the centre and the scale that it was standardised by."""
    # Squares of very small values would be 0. A power of two changes no digit.
    unit = math.ldexp(1.0, math.frexp(float(np.abs(values).max()))[1])
    centre, scale = float((values / unit).mean()), float((values / unit).std()) or 1.0
    return (values / unit - centre) / scale, centre * unit, scale * unit
