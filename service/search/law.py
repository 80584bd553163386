"""A scaling law for schedules: predicts a training's loss from its learning rates.

    L(t) = floor + reach · S(t)^(-decay) + heat · T(t)
    S(t) = ∫₀ᵗ η,    T(t) = Σ_k Δη_k · x_k / (1 + x_k),    x_k = ((S(t) − S_k) / η_k^GAMMA) / patience

S, the area under the rate, measures the training's progress. T, the temperature, follows the rate
with a delay: each change Δη_k, including the first one from 0, takes effect as area accumulates after
it, at the resulting rate η_k. A hot training is above its floor and improves as it is annealed.

Sources: Tissue et al., Scaling law with learning rate annealing, arXiv 2408.11029, in which
relaxation depends on steps; Luo et al., A multi-power law, arXiv 2503.12811, in which relaxation
depends on area, as here, but with a free power instead of 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, nnls

from lehr.wire.base import LARGEST_VALUE

Array = NDArray[np.float64]

GAMMA = 0.7
"""How much more slowly, per area, a change takes effect at a high rate. Chosen on the curves of
`benchmarks/forecast`, where values from 0.5 to 1 are equally good."""

MAX_POINTS = 160
"""Maximum number of losses of a curve in a fit; a longer curve is sampled evenly."""

MAX_CHANGES = 400
"""Maximum number of rate changes of a curve; more are merged, evenly spread."""

DECAYS = tuple(float(value) for value in np.linspace(0.2, 0.9, 6))
PATIENCES = tuple(float(value) for value in np.geomspace(0.01, 3.0, 6))
"""Initial values for the fit of the two non-linear constants; patience is a fraction of the fitted curves' area."""

UNFIT = 1e150
"""The misfit of constants that allow no fit: worse than any other."""


class NoLawError(ValueError):
    """No law of the schedule can be fitted to these curves."""


@dataclass(frozen=True, slots=True)
class LossCurve:
    """The curve of a training. `rates`: (grid,) at `grid` steps; `losses`: (points,) at `steps`, less is better.

    The rates are assumed to be linear between the grid's steps, which increase and start at the first
    step of training; `steps` increase and are within the grid.
    """

    grid: Array
    rates: Array
    steps: Array
    losses: Array


@dataclass(frozen=True, slots=True)
class Law:
    """Fitted constants. `reference` (rate) and `span` (area) make `decay` and `patience` dimensionless."""

    floor: float
    reach: float
    decay: float
    heat: float
    patience: float
    reference: float
    span: float

    def predict(self, grid: Array, rates: Array, steps: Array) -> Array:
        """The losses at `steps` of a training with these rates; `LossCurve` describes the arguments.

        Far from the rates that the law was fitted to, they may be infinite or NaN.
        """
        with np.errstate(all="ignore"):
            features = _features(_course(grid, rates, steps), self.decay, self.patience, self)
            predicted: Array = features @ np.array([self.floor, self.reach, self.heat])
        return predicted


@dataclass(frozen=True, slots=True)
class _Course:
    """A schedule in the law's terms. areas: (points,), at the steps; the rest: (changes,), from each change on."""

    areas: Array
    starts: Array
    led_to: Array
    changes: Array


def fit_law(curves: Sequence[LossCurve], near: Law | None = None) -> Law:
    """The law nearest to the curves, all with equal weight.

    The three linear constants follow from the other two, whose search starts from a coarse grid
    or, in a quarter of the time, from the constants of the law `near`. `reach` and `heat` are never
    negative. Deterministic; about 0.1 s for three long curves. Raises NoLawError if there are no losses, and if
    losses, rates or fitted constants exceed LARGEST_VALUE.
    """
    thinned = [_thinned(curve) for curve in curves if len(curve.losses)]
    if not thinned:
        raise NoLawError("a law needs at least one loss")
    if not all(_is_bounded(numbers) for curve in thinned for numbers in (curve.losses, curve.rates)):
        raise NoLawError(f"a law needs losses and rates that are finite and within {LARGEST_VALUE:g}")
    with np.errstate(all="ignore"):  # the result is checked below
        law = _fitted(thinned, near)
    if not _is_bounded(np.array(astuple(law))):
        raise NoLawError("the constants of the law that is nearest to the losses are too large, or not finite")
    return law


def _fitted(thinned: Sequence[LossCurve], near: Law | None) -> Law:
    courses = [_course(curve.grid, curve.rates, curve.steps) for curve in thinned]
    scale = Law(
        0.0, 0.0, 0.0, 0.0, 1.0, max(float(c.rates.max()) for c in thinned), max(float(c.areas[-1]) for c in courses)
    )
    losses = np.concatenate([curve.losses for curve in thinned])
    weights = np.concatenate([np.full(len(curve.losses), len(curve.losses) ** -0.5) for curve in thinned])

    def solved(decay: float, patience: float) -> tuple[Array, float]:
        features = np.concatenate([_features(course, decay, patience, scale) for course in courses])
        return _linear_constants(features, losses, weights)

    def misfit(place: Array) -> float:
        decay, patience = np.exp(np.clip(place, np.log([0.05, 1e-4]), np.log([3.0, 100.0])))
        return solved(decay, patience)[1]

    if near is not None:
        start, evaluations = np.log([near.decay, near.patience]), 25
    else:
        places = [np.log([decay, patience]) for decay in DECAYS for patience in PATIENCES]
        start, evaluations = min(places, key=misfit), 80
    options = {"maxfev": evaluations, "xatol": 1e-3}
    best = minimize(misfit, start, method="Nelder-Mead", options=options)
    decay, patience = np.exp(np.clip(best.x, np.log([0.05, 1e-4]), np.log([3.0, 100.0])))
    (floor, reach, heat), _ = solved(decay, patience)
    return Law(floor, reach, float(decay), heat, float(patience), scale.reference, scale.span)


def _linear_constants(features: Array, losses: Array, weights: Array) -> tuple[Array, float]:
    """Floor, reach and heat by weighted least squares, the last two at least 0; and the residual."""
    # The floor may be negative, so its column appears with both signs.
    columns = np.column_stack([features[:, 0], -features[:, 0], features[:, 1:]]) * weights[:, None]
    if not _is_bounded(columns):  # numbers whose squares overflow would crash the process inside nnls
        return np.full(3, np.nan), UNFIT
    try:
        found, residual = nnls(columns, losses * weights)
    except RuntimeError:  # it did not converge
        return np.full(3, np.nan), UNFIT
    return np.array([found[0] - found[1], found[2], found[3]]), float(residual)


def _is_bounded(numbers: Array) -> bool:
    """Whether all numbers are finite, and small enough for finite squares."""
    return bool((np.abs(numbers) <= LARGEST_VALUE).all())


def _features(course: _Course, decay: float, patience: float, scale: Law) -> Array:
    """(points, 3): the factors of floor, reach and heat."""
    progress = np.maximum(course.areas / scale.span, 1e-9) ** -decay
    slowness = (course.led_to / scale.reference) ** -GAMMA / (patience * scale.span)
    passed = np.maximum(course.areas[:, None] - course.starts[None, :], 0.0) * slowness[None, :]
    temperature = (passed / (1 + passed)) @ course.changes / scale.reference
    return np.column_stack([np.ones_like(progress), progress, temperature])


def _course(grid: Array, rates: Array, steps: Array) -> _Course:
    pieces = np.diff(grid) * (rates[1:] + rates[:-1]) / 2
    area = np.concatenate([[0.0], np.cumsum(pieces)])
    areas = np.interp(steps, grid, area)
    changes = np.diff(rates, prepend=0.0)
    starts = np.concatenate([[0.0], area[:-1]])
    moved = np.flatnonzero(changes)
    if len(moved) > MAX_CHANGES:
        kept = moved[np.linspace(0, len(moved) - 1, MAX_CHANGES).round().astype(int)]
        changes = np.diff(np.concatenate([[0.0], rates[kept]]))
        return _Course(areas, starts[kept], _positive(rates[kept]), changes)
    return _Course(areas, starts[moved], _positive(rates[moved]), changes[moved])


def _positive(rates: Array) -> Array:
    """Raises rates to at least a millionth of the highest. At a rate of 0 the last change would never take effect."""
    return np.maximum(rates, max(float(rates.max(initial=0.0)), 1e-300) * 1e-6)


def _thinned(curve: LossCurve) -> LossCurve:
    if len(curve.losses) <= MAX_POINTS:
        return curve
    kept = np.linspace(0, len(curve.losses) - 1, MAX_POINTS).round().astype(int)
    return LossCurve(curve.grid, curve.rates, curve.steps[kept], curve.losses[kept])
