"""Computes the Pareto front of trials by value and cost. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lehr.wire.front import Aim, FrontTrial
from lehr.wire.objectives import Direction
from service.search.observations import as_loss


def pareto_front(
    reached: Iterable[FrontTrial], direction: Direction, aims: Sequence[Aim] = ("steps",)
) -> list[FrontTrial]:
    """The trials that no other trial dominates in value and aims, by steps.

    Of trials that are equal in all of them, the lowest number stays. An unknown sensitivity counts as the worst.
    """

    def losses(trial: FrontTrial) -> tuple[float, ...]:
        costs = {"steps": float(trial.steps), "rate_sensitivity": as_loss(trial.rate_sensitivity, "minimize")}
        return (*(costs[aim] for aim in aims), as_loss(trial.value, direction))

    front: list[tuple[tuple[float, ...], FrontTrial]] = []
    for trial in sorted(reached, key=lambda trial: (*losses(trial), trial.trial)):
        # In this order, no trial dominates an earlier one, so it is compared only with the front so far.
        own = losses(trial)
        if not any(all(other <= mine for other, mine in zip(others, own, strict=True)) for others, _ in front):
            front.append((own, trial))
    trials = [trial for _, trial in front]
    return sorted(trials, key=lambda trial: (trial.steps, as_loss(trial.value, direction), trial.trial))
