"""Computes how much trainings violate a study's constraints. Pure functions.

A violation is one number for all constraints, with Optuna's sign: above 0 one is broken, at 0 or below all hold. It is
the largest excess over a bound, relative to the bound, so that different units can be compared. Feasible schedules rank
before all others, which rank by violation: the rule of Deb, An efficient constraint handling method for genetic
algorithms, Computer Methods in Applied Mechanics and Engineering 186 (2000).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from lehr.wire.objectives import Constraint, ConstraintStanding
from service.answer.statistics import mean_of, summarise

MetricMeans = Mapping[str, float | None]
"""The value of each constrained metric; None if it is missing or not finite."""

UNKNOWN = 1e9
"""The violation if a metric is unknown. It is the largest: known violations are clipped to it."""


def violation(constraints: Iterable[Constraint], measured: MetricMeans) -> float | None:
    """The violation of the constraints; None without constraints."""
    return max((_excess(constraint, measured.get(constraint.metric)) for constraint in constraints), default=None)


def is_broken(violation: float | None) -> bool:
    return violation is not None and violation > 0


def mean_measured(constraints: Sequence[Constraint], trainings: Sequence[MetricMeans]) -> dict[str, float | None]:
    """The mean of each constrained metric over the trainings; None if any training lacks the metric."""
    means: dict[str, float | None] = {}
    for metric in dict.fromkeys(constraint.metric for constraint in constraints):
        values = [training.get(metric) for training in trainings]
        known = [value for value in values if value is not None]
        means[metric] = mean_of(known) if known and len(known) == len(values) else None
    return means


def steps_until(
    constraints: Sequence[Constraint], reports: Sequence[tuple[int, MetricMeans]]
) -> tuple[int | None, dict[str, float | None]]:
    """The number of steps up to the first report at which all constraints held, None if they never did; and the
    metrics of the report with the least violation.

    reports: (step, metrics) by step, counted from 0.
    """
    names = dict.fromkeys(constraint.metric for constraint in constraints)
    steps, nearest, least = None, dict.fromkeys(names), float("inf")
    for step, metrics in reports:
        excess = violation(constraints, metrics)
        if excess is None:
            continue
        if excess < least:
            nearest, least = {name: metrics.get(name) for name in names}, excess
        if steps is None and excess <= 0:
            steps = step + 1
    return steps, nearest


def standings(constraints: Sequence[Constraint], trainings: Sequence[MetricMeans]) -> list[ConstraintStanding]:
    """Whether one schedule keeps each constraint, by the mean of its trainings."""
    means = mean_measured(constraints, trainings)
    values = {metric: [training.get(metric) for training in trainings] for metric in means}
    return [_standing(constraint, means[constraint.metric], values[constraint.metric]) for constraint in constraints]


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
    """How far the value lies beyond each bound; negative if the bound holds."""
    low, high = constraint.at_least, constraint.at_most
    if low is not None:
        yield (low - value) / (abs(low) or 1.0)
    if high is not None:
        yield (value - high) / (abs(high) or 1.0)
