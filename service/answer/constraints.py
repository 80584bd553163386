"""Whether trainings keep to a study's constraints, and by how much they break them. Pure functions.

A violation is one number for all constraints, signed as Optuna's: above 0 they are broken, at 0 or below they hold. It
is that of the constraint that is worst off, relative to its bound, so that different units can be compared.
Feasible schedules go before all others, and of the others the least violation goes first: the rule of Deb, An efficient
constraint handling method for genetic algorithms, Computer Methods in Applied Mechanics and Engineering 186 (2000).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from lehr.wire.objectives import Constraint, ConstraintStanding
from service.answer.statistics import mean_of, summarise

MetricMeans = Mapping[str, float | None]
"""Each constrained metric's value; None where it is no finite number."""

UNKNOWN = 1e9
"""The violation where a metric is not known: worse than any that is. None is farther from 0."""


def violation(constraints: Iterable[Constraint], measured: MetricMeans) -> float | None:
    """None without constraints."""
    return max((_excess(one, measured.get(one.metric)) for one in constraints), default=None)


def is_broken(violation: float | None) -> bool:
    return violation is not None and violation > 0


def mean_measured(constraints: Sequence[Constraint], trainings: Sequence[MetricMeans]) -> dict[str, float | None]:
    """The means over trainings. One that does not know a metric leaves its mean unknown."""
    means: dict[str, float | None] = {}
    for metric in dict.fromkeys(one.metric for one in constraints):
        values = [each.get(metric) for each in trainings]
        known = [value for value in values if value is not None]
        means[metric] = mean_of(known) if known and len(known) == len(values) else None
    return means


def steps_until(
    constraints: Sequence[Constraint], reports: Sequence[tuple[int, MetricMeans]]
) -> tuple[int | None, dict[str, float | None]]:
    """How many steps were done at the first report at which all constraints held, None where none did; and what was
    measured at the one that kept to them best.

    reports: (step, metrics) by step, counted from 0.
    """
    names = dict.fromkeys(one.metric for one in constraints)
    steps, nearest, least = None, dict.fromkeys(names), float("inf")
    for step, metrics in reports:
        found = violation(constraints, metrics)
        if found is None:
            continue
        if found < least:
            nearest, least = {name: metrics.get(name) for name in names}, found
        if steps is None and found <= 0:
            steps = step + 1
    return steps, nearest


def standings(constraints: Sequence[Constraint], trainings: Sequence[MetricMeans]) -> list[ConstraintStanding]:
    """How the trainings of one schedule keep to each constraint, by their mean."""
    means = mean_measured(constraints, trainings)
    return [_standing(one, means[one.metric], [each.get(one.metric) for each in trainings]) for one in constraints]


def _standing(constraint: Constraint, mean: float | None, values: Sequence[float | None]) -> ConstraintStanding:
    summary = summarise([value for value in values if value is not None]) if mean is not None else None
    return ConstraintStanding(
        metric=constraint.metric,
        at_least=constraint.at_least,
        at_most=constraint.at_most,
        mean=mean,
        ci95=summary.ci95 if summary else None,
        satisfied=_excess(constraint, mean) <= 0,
        runs=len(values),
        broken=sum(_excess(constraint, value) > 0 for value in values),
    )


def _excess(constraint: Constraint, value: float | None) -> float:
    if value is None:
        return UNKNOWN
    return max(-UNKNOWN, min(UNKNOWN, max(_sides(constraint, value))))


def _sides(constraint: Constraint, value: float) -> Iterator[float]:
    """How far the value lies beyond each bound; negative on the right side."""
    low, high = constraint.at_least, constraint.at_most
    if low is not None:
        yield (low - value) / (abs(low) or 1.0)
    if high is not None:
        yield (value - high) / (abs(high) or 1.0)
