"""Forecasts a schedule's final loss by a fitted law, with an interval from cross-validated errors.

Each curve is predicted by a law that was fitted without it. A new schedule's error will be like these errors, unlike
the law's residuals, because the law was fitted to those curves. The interval is Student's for one further error
(Geisser, Predictive Inference, 1993, section 2.2.1). If the errors are as large as the differences between the
trainings, there is no forecast but a reason for doubt.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from service.search.law import Array, Law, LossCurve, NoLawError, fit_law

FEWEST = 5
"""With fewer curves, the law's errors cannot be estimated."""
FOLDS = 8
"""How many laws are fitted in the cross-validation, in which each curve is left out once."""
PHASES = 20
"""The number of evenly spaced phases of a training at which errors are stored; the last is its end."""
TRUSTED = 1 / 3
"""Larger errors, as a fraction of the final losses' deviation, leave over 1/9 of their variance unexplained."""
LEVEL = 0.9
LONGEST = 4.0
"""The largest factor between a forecast's horizon and the study's."""
MARGIN = 1.26
"""The largest factor, a tenth of a decade, by which a highest rate may lie beyond those that were trained."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """A final loss with its 90% interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why there is no forecast, as a code and a message."""

    code: str
    message: str


@dataclass(frozen=True)
class Forecaster:
    """A law fitted to `count` curves of one horizon. `spread`: the standard deviation of their final losses.

    errors: (curves, PHASES), each loss minus its prediction without its curve; the last column is for the end.
    `drift`: the root mean square error of the ends for a law fitted only to the first halves of the curves; None if
    nothing was reported in them, or no law fits. `lowest`, `highest`: bounds of the trainings' highest rates; `steady`:
    the highest of them in the better half.
    """

    law: Law
    errors: Array
    drift: float | None
    spread: float
    horizon: int
    lowest: float
    highest: float
    steady: float

    @classmethod
    def of(cls, curves: Sequence[LossCurve], horizon: int) -> Forecaster | Doubt:
        """Fit a law to complete curves, which end near the horizon's last step. Deterministic."""
        if len(curves) < FEWEST:
            message = f"{len(curves)} completed trainings have reported this loss; a forecast needs {FEWEST}"
            return Doubt("few_curves", message)
        try:
            return cls._fitted(curves, horizon)
        except NoLawError as error:
            return Doubt("law_misfits", f"no law of the schedule can be fitted to the trainings: {error}")

    @classmethod
    def _fitted(cls, curves: Sequence[LossCurve], horizon: int) -> Forecaster:
        law = fit_law(curves)
        errors = _errors(curves, law, horizon)
        if not np.isfinite(errors).all():
            raise NoLawError("its errors are not finite")
        peaks = [float(curve.rates.max()) for curve in curves]
        ends = np.array([curve.losses[-1] for curve in curves])
        return cls(
            law, errors, _drift(curves, law), float(ends.std(ddof=1)), horizon,
            min(peaks), max(peaks), max(peaks[index] for index in np.argsort(ends)[: (len(ends) + 1) // 2]),
        )  # fmt: skip

    @property
    def count(self) -> int:
        return len(self.errors)

    @property
    def error(self) -> float:
        """Root mean square of the errors at the end."""
        return float(np.sqrt(np.mean(self.errors[:, -1] ** 2)))

    def doubt(self, deviation: float) -> Doubt | None:
        """The doubt about forecasts with this error; None if it is small enough."""
        if deviation <= TRUSTED * self.spread:
            return None
        message = (
            f"the law's error is {deviation:.3g}, and the standard deviation of the trainings' final losses is "
            f"{self.spread:.3g}: the law does not describe this task well enough to forecast"
        )
        return Doubt("law_misfits", message)

    def foresee(self, grid: Array, rates: Array) -> Forecast | Doubt:
        """The final loss of a training with these rates. For the arguments, see `LossCurve`."""
        factor = (grid[-1] + 1) / self.horizon
        if (outside := self._outside(float(rates.max()), factor)) is not None:
            return outside
        octaves = abs(float(np.log2(factor)))
        if self.drift is None and octaves > 0:
            message = (
                "no training has reported in its first half, so other horizons than the study's cannot be forecast"
            )
            return Doubt("horizon_unknown", message)
        deviation = float(np.hypot(self.error, (self.drift or 0.0) * octaves))
        return self.doubt(self.error) or self._interval(self.end(grid, rates), deviation, self.count)

    def follow(self, curve: LossCurve) -> Forecast | Doubt:
        """The final loss of a running training: the law's prediction, corrected by its error so far.

        How much of an error at a phase remains at the end is a regression on the curves' errors.
        """
        phase = _phase(float(curve.steps[-1]), self.horizon)
        if phase < 0:
            return self.foresee(curve.grid, curve.rates)
        if (outside := self._outside(float(curve.rates.max()), 1.0)) is not None:
            return outside
        then, last = self.errors[:, phase], self.errors[:, -1]
        with np.errstate(all="ignore"):  # a result that is not finite becomes a doubt
            left = float(then @ last / (then @ then)) if then.any() else 0.0
            kept = float(np.sqrt(np.sum((last - left * then) ** 2) / (self.count - 1)))
        now = float(curve.losses[-1] - self.law.predict(curve.grid, curve.rates, curve.steps[-1:])[0])
        return self.doubt(kept) or self._interval(self.end(curve.grid, curve.rates) + left * now, kept, self.count - 1)

    def end(self, grid: Array, rates: Array) -> float:
        """The final loss by the law, without a correction."""
        return float(self.law.predict(grid, rates, grid[-1:])[0])

    def _interval(self, value: float, deviation: float, degrees: int) -> Forecast | Doubt:
        wide = float(student.ppf(0.5 + LEVEL / 2, degrees)) * deviation * (1 + 1 / self.count) ** 0.5
        if not math.isfinite(value - wide) or not math.isfinite(value + wide):
            return Doubt("law_misfits", "the law's error is not finite for this schedule")
        return Forecast(value, value - wide, value + wide)

    def _outside(self, peak: float, factor: float) -> Doubt | None:
        if not self.lowest / MARGIN <= peak <= self.highest * MARGIN:
            message = (
                f"the highest rate, {peak:.3g}, is outside the range of the completed trainings, "
                f"{self.lowest:.3g} to {self.highest:.3g}; the law cannot predict divergence"
            )
            return Doubt("rate_outside", message)
        if not 1 / LONGEST <= factor <= LONGEST:
            message = f"the horizon is {factor:.3g} times the study's; allowed are 1/{LONGEST:g} to {LONGEST:g} times"
            return Doubt("horizon_outside", message)
        return None


def _phase(step: float, horizon: int) -> int:
    """The last phase that has ended after a step; -1 before the first has."""
    return min(PHASES, int((step + 1) * PHASES / horizon + 1e-9)) - 1


def _errors(curves: Sequence[LossCurve], law: Law, horizon: int) -> Array:
    found = np.zeros((len(curves), PHASES))
    folds = min(FOLDS, len(curves))
    for fold in range(folds):
        without = fit_law([curve for index, curve in enumerate(curves) if index % folds != fold], law)
        for index in range(fold, len(curves), folds):
            curve = curves[index]
            missed = curve.losses - without.predict(curve.grid, curve.rates, curve.steps)
            ends = (np.arange(PHASES) + 1) * horizon / PHASES - 1
            found[index] = missed[np.maximum(np.searchsorted(curve.steps, ends, side="right") - 1, 0)]
            found[index, -1] = missed[-1]
    return found


def _drift(curves: Sequence[LossCurve], law: Law) -> float | None:
    halves = []
    for curve in curves:
        kept = curve.steps <= curve.grid[-1] / 2
        halves.append(LossCurve(curve.grid, curve.rates, curve.steps[kept], curve.losses[kept]))
    try:
        early = fit_law(halves, law)
    except NoLawError:  # nothing was reported in the first halves, or no law fits
        return None
    missed = [curve.losses[-1] - early.predict(curve.grid, curve.rates, curve.steps[-1:])[0] for curve in curves]
    return float(np.sqrt(np.mean(np.square(missed))))
