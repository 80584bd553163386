"""The trials that an answer is made of: their order, which are baselines, and seeds that none of them has seen."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
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


def is_baseline(schedule: Schedule) -> bool:
    """Whether it is constant from the first step on, so without warm-up."""
    return schedule.family == "constant" and schedule.warmup_fraction == 0


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
