"""How trials that were stopped at different phases stand to each other."""

from __future__ import annotations

import math
from collections.abc import Sequence


def rank_across_rungs(passed: Sequence[Sequence[float]]) -> list[int]:
    """Each trial's place, 0 for the best, from its losses at the rungs that it has passed.

    `passed[i]`: the losses of trial i at the rungs, first rung first, less is better, infinite
    where it diverged; one that has passed none comes last. All are ordered by the first rung; then,
    rung by rung, those that passed it too are ordered anew among the places that they hold. So
    trials are compared at the latest phase that both have seen, one that was stopped keeps the place
    that it was stopped at, and no scale is needed: losses of 1e18 stand beside those of 0.1.
    """
    order = sorted(range(len(passed)), key=lambda trial: (passed[trial][0] if passed[trial] else math.inf, trial))
    for rung in range(1, max(map(len, passed), default=0)):
        places = [place for place, trial in enumerate(order) if len(passed[trial]) > rung]
        again = sorted((order[place] for place in places), key=lambda trial: (passed[trial][rung], trial))
        for place, trial in zip(places, again, strict=True):
            order[place] = trial
    found = [0] * len(passed)
    for place, trial in enumerate(order):
        found[trial] = place
    return found


def rank_scores(places: Sequence[int]) -> list[float]:
    """What a surrogate is fitted to: −ln of the part of all trials that stand as high, or higher.

    It spreads the best and crowds the rest: the best of 100 stands as far above the tenth as the
    tenth above the worst.
    """
    return [-math.log((place + 0.5) / len(places)) for place in places]
