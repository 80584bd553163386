"""A synthetic study: six families with different best rates, as on real data."""

from __future__ import annotations

import math
from collections.abc import Callable

from lehr.schedules import Schedule
from lehr.space import Range, Space
from service.search.observations import Observation
from service.search.searcher import Searcher

FAMILIES = ("constant", "step", "exponential", "linear", "cosine", "one_cycle")
SPACE = Space.of(families=FAMILIES)
WARMED_SPACE = Space.of(families=FAMILIES, warmup_fraction=Range(0.0, 0.2))

# log10 of the best highest rate, and how far the family stays behind the best one
_BEST = {
    "constant": (-2.0, 1.3), "step": (-1.3, 0.6), "exponential": (-1.1, 0.9),
    "linear": (-1.0, 0.05), "cosine": (-0.9, 0.0), "one_cycle": (-0.5, 0.08),
}  # fmt: skip


def loss(schedule: Schedule) -> float:
    """0 at cosine from 10^-0.9 to 10^-4; a rate too high costs more than one too low."""
    best, behind = _BEST[schedule.family]
    distance = math.log10(schedule.max_lr) - best
    end = 0.0 if schedule.family == "constant" else 0.05 * (math.log10(schedule.end_lr) + 4) ** 2
    return behind + (2 if distance < 0 else 6) * distance**2 + end


def run_search(searcher: Searcher, trials: int, judge: Callable[[Schedule], float | None] = loss) -> list[Observation]:
    """Ask and tell one after the other; `judge` answers None for a run that diverged."""
    told = []
    for number in range(trials):
        suggestion = searcher.ask(number)
        value = judge(suggestion.schedule)
        state = "DIVERGED" if value is None else "COMPLETED"
        told.append(Observation(number, suggestion.schedule.family, suggestion.point, state, value))
        searcher.tell(told[-1])
    return told
