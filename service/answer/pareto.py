"""Which trials are worth choosing from when both the value and the cost count. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lehr.wire.front import Aim, FrontTrial
from lehr.wire.objectives import Direction
from service.search.observations import as_loss


def pareto_front(
    reached: Iterable[FrontTrial], direction: Direction, aims: Sequence[Aim] = ("steps",)
) -> list[FrontTrial]:
    """Those that no other trial beats: no worse in the value and in all aims, and better in one. The soonest first.

    Of equals in everything the lowest number stays. An unknown sensitivity is worst of all.
    """

    def losses(trial: FrontTrial) -> tuple[float, ...]:
        costs = {"steps": float(trial.steps), "rate_sensitivity": as_loss(trial.rate_sensitivity, "minimize")}
        return (*(costs[aim] for aim in aims), as_loss(trial.value, direction))

    front: list[tuple[tuple[float, ...], FrontTrial]] = []
    for trial in sorted(reached, key=lambda one: (*losses(one), one.trial)):
        # What comes later in this order beats nothing that came before, so that only the front is looked at.
        own = losses(trial)
        if not any(all(other <= mine for other, mine in zip(others, own, strict=True)) for others, _ in front):
            front.append((own, trial))
    return sorted((trial for _, trial in front), key=lambda one: (one.steps, as_loss(one.value, direction), one.trial))
