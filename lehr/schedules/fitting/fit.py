"""Identifies the schedule behind a list of rates: the best fit of each family, the likeliest family first."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from lehr.errors import Fault, InvalidValueError
from lehr.schedules.base import Schedule
from lehr.schedules.documents import unknown_family
from lehr.schedules.fitting.nearest import nearest, score
from lehr.schedules.fitting.observed import Observed
from lehr.schedules.registry import FAMILIES
from lehr.schedules.sampling import MAX_CURVE_POINTS, spaced_steps

FITTED_POINTS = 97
"""Number of rates that a family is fitted to."""
CHECKED_POINTS = 2000
"""Number of rates that the errors are computed over."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A schedule that may have produced the given rates, and its errors.

    The errors are the largest and the root-mean-square difference, relative to the highest given rate.
    `parameters` is the number of fitted parameters.
    """

    schedule: Schedule
    max_error: float
    rms_error: float
    parameters: int

    def score(self, points: int) -> float:
        """The Bayesian information criterion, up to a constant: lower is likelier."""
        return score(self.rms_error**2, self.parameters, points)


def fit(rates: Iterable[float], families: Sequence[str] | None = None) -> tuple[Candidate, ...]:
    """The schedules nearest to the rates at all steps of a training, one for each family, the likeliest first.

    `rates`: 2 or more, at evenly spaced steps that include the first and the last of the training; finite, not
    negative, and not all 0. `families`: those to try, by default all from which a search could draw.
    A family with fewer parameters ranks first if additional parameters explain no more than noise would.
    Raises InvalidValueError for other rates and unknown families.

    >>> from lehr.schedules import Cosine
    >>> best = fit(Cosine(start_lr=0.5, end_lr=0.1).curve(200).lr)[0]
    >>> best.schedule == Cosine(start_lr=0.5, end_lr=0.1), best.max_error < 1e-9
    (True, True)
    """
    known = _known_rates(rates)
    names = list(_known_families(families))
    observed = Observed.of(known, FITTED_POINTS)
    found = (nearest(FAMILIES[name], observed) for name in names)
    candidates = [_candidate(*each, known) for each in found if each is not None]
    points = min(len(known), FITTED_POINTS)
    return tuple(sorted(candidates, key=lambda candidate: candidate.score(points)))


def _candidate(schedule: Schedule, parameters: int, rates: Sequence[float]) -> Candidate:
    highest = max(rates)
    steps = spaced_steps(len(rates), CHECKED_POINTS)
    errors = [abs(schedule.lr(step, len(rates)) - rates[step]) / highest for step in steps]
    return Candidate(schedule, max(errors), math.sqrt(sum(each * each for each in errors) / len(errors)), parameters)


def _known_rates(rates: Iterable[float]) -> list[float]:
    known: list[float] = []
    for index, rate in enumerate(rates):
        fault = _rate_fault(index, rate)
        if fault:
            raise InvalidValueError(fault)
        known.append(float(rate))
    bound = f"2 to {MAX_CURVE_POINTS} rates"
    if not 2 <= len(known) <= MAX_CURVE_POINTS:
        raise InvalidValueError(Fault("rates", "show no shape", bound, len(known), "Give the rate of every step."))
    if max(known) == 0:
        raise InvalidValueError(Fault("rates", "are all 0", "one above 0", 0.0, "Give the rates of a training."))
    return known


def _rate_fault(index: int, rate: object) -> Fault | None:
    if isinstance(rate, bool) or not hasattr(rate, "__float__"):
        return Fault(f"rates[{index}]", "is not a number", "a number >= 0", rate, "Give a number.")
    value = float(rate)
    if not math.isfinite(value):
        return Fault(f"rates[{index}]", "is not finite", "a number >= 0", value, "Leave it out, with all after it.")
    return Fault(f"rates[{index}]", "is negative", ">= 0", value, "Give rates >= 0.") if value < 0 else None


def _known_families(families: Sequence[str] | None) -> Iterator[str]:
    fitted = [name for name, family in FAMILIES.items() if family.drawable and not family.adaptive]
    for index, name in enumerate(families or fitted):
        if name not in fitted:
            raise InvalidValueError(unknown_family(f"families[{index}]", name))
        yield name
