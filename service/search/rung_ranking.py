"""Ranks trials that were stopped at different phases."""

from __future__ import annotations

import math
from collections.abc import Sequence


def rank_across_rungs(passed: Sequence[Sequence[float]]) -> list[int]:
    """Each trial's rank, 0 for the best, from its losses at the rungs that it has passed.

    `passed[i]`: the losses of trial i at the rungs, first rung first, less is better, infinite
    if it diverged; trials without a rung come last. All trials are sorted by the first rung; then, rung
    by rung, those that also passed it are sorted again among the ranks that they occupy. So trials are
    compared at the latest phase that both have reached, a stopped trial keeps the rank at which it was
    stopped, and losses need no scaling, even if they range from 0.1 to 1e18.
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
    """Scores to fit a surrogate to: −ln of the fraction of trials that rank as high or higher.

    They spread the best trials and crowd the rest: the best of 100 is about as far above the tenth as
    the tenth is above the worst.
    """
    return [-math.log((place + 0.5) / len(places)) for place in places]
