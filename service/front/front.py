"""Which trials are worth choosing from when both the value and the cost count. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lehr.wire.front import FrontTrial
from lehr.wire.studies import Direction
from service.answer.finalists import loss


def steps_to(target: float, reports: Sequence[tuple[int, float | None]], direction: Direction) -> int | None:
    """How many steps were done at the first report that is as good as the target; None where none is.

    reports: (step, metric) by step, counted from 0; a metric that was not finite is None and reaches nothing.
    """
    goal = loss(target, direction)
    return next((step + 1 for step, value in reports if value is not None and loss(value, direction) <= goal), None)


def pareto_front(reached: Iterable[FrontTrial], direction: Direction) -> list[FrontTrial]:
    """Those that no other trial beats: sooner and no worse, or better and no later. The soonest first.

    Of equals in both aims the lowest number stays.
    """
    front: list[FrontTrial] = []
    for trial in sorted(reached, key=lambda one: (one.steps, loss(one.value, direction), one.trial)):
        if not front or loss(trial.value, direction) < loss(front[-1].value, direction):
            front.append(trial)
    return front
