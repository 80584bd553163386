"""A law with its errors: what a schedule's last loss will be, and how far off that may be.

Each curve is predicted by a law that was fitted without it. These errors are of the kind that a new schedule's
will be, whatever the law misses; the law's own misfit is not, for it has seen the curve. An interval is Student's
for one further error (Geisser, Predictive Inference, 1993, section 2.2.1). Where errors are as large as the
differences between the trainings, the law knows too little, and says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from service.search.law import Array, Law, LossCurve, NoLawError, fit_law

FEWEST = 5
"""Fewer curves than these say nothing of the law's errors."""
FOLDS = 8
"""How many laws are fitted without some of the curves: each curve is left out once."""
PHASES = 20
"""Phases of a training, evenly spaced, at which errors are kept; the last is its end."""
TRUSTED = 1 / 3
"""Errors above this part of the deviation of the last losses leave more than a ninth of their variance unexplained."""
LEVEL = 0.9
LONGEST = 4.0
"""A horizon this many times longer or shorter is the furthest that is looked at."""
MARGIN = 1.26
"""A highest rate this far beyond those that were trained, a tenth of a decade, is looked at still."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """A last loss, and between what it lies in nine of ten cases."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why there is no forecast: `code` for programs, `message` for people."""

    code: str
    message: str


@dataclass(frozen=True)
class Forecaster:
    """A law fitted to `count` curves of one horizon, last losses `spread` apart (a deviation).

    errors: (curves, PHASES), a loss minus what was predicted without its curve; the last column is the end's.
    `drift`: how far off (root mean square) the ends are for laws that know the first half of every curve alone; None
    where nothing was reported in it, or nothing that a law fits.
    `lowest`, `highest`: of the highest rates that were trained; `steady`: the highest of the better half.
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
        """Deterministic. The curves are whole: each ends near the horizon's last step."""
        if len(curves) < FEWEST:
            message = f"{len(curves)} trainings have completed with this loss reported; a forecast needs {FEWEST}"
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
        """Whether a forecast that far off is worth nothing."""
        if deviation <= TRUSTED * self.spread:
            return None
        message = (
            f"the law of the schedule is off by {deviation:.3g} where the trainings' last losses differ by "
            f"{self.spread:.3g}: it does not describe this task well enough to forecast"
        )
        return Doubt("law_misfits", message)

    def foresee(self, grid: Array, rates: Array) -> Forecast | Doubt:
        """The last loss of a training with these rates; `LossCurve` says what the arguments are."""
        factor = (grid[-1] + 1) / self.horizon
        if (outside := self._outside(float(rates.max()), factor)) is not None:
            return outside
        octaves = abs(float(np.log2(factor)))
        if self.drift is None and octaves > 0:
            message = (
                "no training has reported in its first half, so that nothing tells how a longer or shorter one ends"
            )
            return Doubt("horizon_unknown", message)
        deviation = float(np.hypot(self.error, (self.drift or 0.0) * octaves))
        return self.doubt(self.error) or self._interval(self.end(grid, rates), deviation, self.count)

    def follow(self, curve: LossCurve) -> Forecast | Doubt:
        """The last loss of a training that has reported so far: the law, set right by how far off it is by now.

        How much of an error at a phase is left at the end is a regression on the curves' own errors.
        """
        phase = _phase(float(curve.steps[-1]), self.horizon)
        if phase < 0:
            return self.foresee(curve.grid, curve.rates)
        if (outside := self._outside(float(curve.rates.max()), 1.0)) is not None:
            return outside
        then, last = self.errors[:, phase], self.errors[:, -1]
        with np.errstate(all="ignore"):  # what is no number is doubted
            left = float(then @ last / (then @ then)) if then.any() else 0.0
            kept = float(np.sqrt(np.sum((last - left * then) ** 2) / (self.count - 1)))
        now = float(curve.losses[-1] - self.law.predict(curve.grid, curve.rates, curve.steps[-1:])[0])
        return self.doubt(kept) or self._interval(self.end(curve.grid, curve.rates) + left * now, kept, self.count - 1)

    def end(self, grid: Array, rates: Array) -> float:
        """The last loss by the law alone."""
        return float(self.law.predict(grid, rates, grid[-1:])[0])

    def _interval(self, value: float, deviation: float, degrees: int) -> Forecast | Doubt:
        wide = float(student.ppf(0.5 + LEVEL / 2, degrees)) * deviation * (1 + 1 / self.count) ** 0.5
        if not math.isfinite(value - wide) or not math.isfinite(value + wide):
            return Doubt("law_misfits", "how far off the law is there is not known: it has no finite error")
        return Forecast(value, value - wide, value + wide)

    def _outside(self, peak: float, factor: float) -> Doubt | None:
        if not self.lowest / MARGIN <= peak <= self.highest * MARGIN:
            message = (
                f"the highest rate {peak:.3g} lies outside of those of the completed trainings, "
                f"{self.lowest:.3g} to {self.highest:.3g}; the law does not know where a training diverges"
            )
            return Doubt("rate_outside", message)
        if not 1 / LONGEST <= factor <= LONGEST:
            message = f"the horizon is {factor:.3g} times the study's; it may be 1/{LONGEST:g} to {LONGEST:g} times"
            return Doubt("horizon_outside", message)
        return None


def _phase(step: float, horizon: int) -> int:
    """The last phase that is over after a step; -1 before the first one is."""
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
    except NoLawError:  # nothing was reported so early, or nothing that a law fits
        return None
    missed = [curve.losses[-1] - early.predict(curve.grid, curve.rates, curve.steps[-1:])[0] for curve in curves]
    return float(np.sqrt(np.mean(np.square(missed))))
