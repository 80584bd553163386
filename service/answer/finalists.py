"""Who is confirmed: the best schedules of the search, and the baseline they must beat."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lehr.schedules import Schedule
from lehr.wire.studies import Direction
from lehr.wire.trials import TrialState

SEED_LIMIT = 2**31
"""Seeds are below this: what every framework takes as a seed."""


@dataclass(frozen=True, slots=True)
class SearchTrial:
    """A search trial as the answer sees it. `value` None unless COMPLETED."""

    number: int
    schedule: Schedule
    state: TrialState
    value: float | None


def best_first(trials: Iterable[SearchTrial], direction: Direction) -> list[SearchTrial]:
    """The COMPLETED trials, best value first, lower number first among equals."""
    completed = [trial for trial in trials if trial.state == "COMPLETED" and trial.value is not None]
    return sorted(completed, key=lambda trial: (loss(trial.value, direction), trial.number))


def best_baseline(trials: Iterable[SearchTrial], direction: Direction) -> SearchTrial | None:
    """The best COMPLETED constant rate: constant from the first step on, so without warm-up."""
    return next((trial for trial in best_first(trials, direction) if is_baseline(trial.schedule)), None)


def is_baseline(schedule: Schedule) -> bool:
    return schedule.family == "constant" and schedule.warmup_fraction == 0


def finalists(trials: Sequence[SearchTrial], direction: Direction, top: int) -> list[SearchTrial]:
    """The `top` best distinct schedules, then the baseline unless it is among them.

    Of trials with equal schedules the best one stands for all. Empty when nothing COMPLETED.
    """
    chosen: list[SearchTrial] = []
    for trial in best_first(trials, direction):
        if len(chosen) == top:
            break
        if all(trial.schedule != other.schedule for other in chosen):
            chosen.append(trial)
    baseline = best_baseline(trials, direction)
    if baseline is not None and all(baseline.schedule != trial.schedule for trial in chosen):
        chosen.append(baseline)
    return chosen


def confirm_seeds(search_seed: int, count: int) -> tuple[int, ...]:
    """`count` distinct seeds in [0, 2^31), none of them the search's own, the same at every call.

    A winner was chosen for its luck with the search's seed; only other seeds can confirm it.
    """
    seeds: dict[int, None] = {}
    index = 0
    while len(seeds) < count:
        digest = hashlib.sha256(f"confirm:{search_seed}:{index}".encode()).digest()
        seed = int.from_bytes(digest[:8], "big") % SEED_LIMIT
        if seed != search_seed:
            seeds[seed] = None
        index += 1
    return tuple(seeds)


def loss(value: float | None, direction: Direction) -> float:
    """The value turned so that less is better; None is worst of all."""
    if value is None:
        return float("inf")
    return value if direction == "minimize" else -value
