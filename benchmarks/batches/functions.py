"""Synthetic studies whose noise-free loss is known."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from lehr.schedules import Schedule
from lehr.space import Space
from tests.unit.search.landscape import FAMILIES, SPACE, loss

NOISE = 0.05


@dataclass(frozen=True)
class Function:
    """`loss`: 0 is the best there is, or close to it; told with noise of this deviation."""

    space: Space
    loss: Callable[[Schedule], float]
    noise: float


def of_the_tests(seed: int) -> Function:
    """The one of the tests, whatever the seed: six families, the best at 0."""
    return Function(SPACE, loss, NOISE)


def drawn(seed: int) -> Function:
    """One like it for each seed: where each family's best rate is, how far it is behind, how steep the valleys are."""
    generator = random.Random(seed)
    middle = generator.uniform(-2.2, -0.6)
    best = {family: middle + generator.gauss(0, 0.4) for family in FAMILIES}
    behind = {family: abs(generator.gauss(0, 0.35)) for family in FAMILIES}
    least = min(behind.values())
    end, end_weight = generator.uniform(-5.5, -2), 10 ** generator.uniform(-2.3, -1)
    below, above = generator.uniform(1, 3), generator.uniform(3, 8)

    def one(schedule: Schedule) -> float:
        distance = math.log10(schedule.max_lr) - best[schedule.family]
        missed = 0.0 if schedule.family == "constant" else end_weight * (math.log10(schedule.end_lr) - end) ** 2
        return behind[schedule.family] - least + (below if distance < 0 else above) * distance**2 + missed

    return Function(SPACE, one, 10 ** generator.uniform(-2, -1))


FUNCTIONS = {"that of the tests": of_the_tests, "drawn for each seed": drawn}
