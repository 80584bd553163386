"""Which running trial has fallen too far behind: a race judged at few phases, each at equal phase.

A rung is a phase: a part of the horizon. At each a trial goes on that has few enough ahead of it,
by the number of all that came so far. Ahead counts only who has annealed hardly further: at an
equal step, a schedule that has come down already is ahead of one that is still hot, and may yet end
behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

ROUNDING = 1e-9
"""Heats that differ by no more than this part are the same."""


@dataclass(frozen=True, slots=True)
class Rules:
    """`rungs`: the phases at which trials are judged, as parts of the horizon, rising.

    `shares`: which part of all comers may be ahead of a trial that goes on, at each rung.
    `leaders`: so many may be ahead anyway. `least`: how many must have come before anybody is judged.
    `slack`: by this part of its heat a rival may have come down further and still counts as ahead.
    """

    rungs: tuple[float, ...]
    shares: tuple[float, ...]
    leaders: int
    least: int
    slack: float = ROUNDING


PHASES = Rules(rungs=(0.05, 0.2, 0.55), shares=(0.3, 0.25, 0.09), leaders=4, least=6, slack=0.1)
"""More than half of the steps saved on real curves of twelve families; chosen on those of `benchmarks/pruning`. Without
leaders the second of ten was stopped at 0.55, where luck decides between good ones; without slack a constant rate was
never behind a cosine, though that has come down by 2% at the first rung."""
RACE = Rules(rungs=(0.1, 0.4), shares=(0.16, 0.04), leaders=2, least=1)
"""For searches of hundreds of trials; chosen on the tables of `benchmarks/search`, and too harsh for real curves.
Judging as soon as 0.02 of the horizon was tried there too, and loses: what is slow to start may end well. Without
leaders the best of a few dozen is stopped for being second or third at 0.4, and nothing trains it again."""
KIND_RACE = Rules(rungs=RACE.rungs, shares=(1.0, 0.04), leaders=RACE.leaders, least=1)
"""The same for trials that were guessed: what did well elsewhere starts late more often."""


@dataclass(frozen=True, slots=True)
class Runner:
    """A trial in the race.

    `passed`: its losses at the rungs that it has passed, the first rung first, less is better.
    `heats`: the rate at each rung, as a part of the schedule's highest; 1 where there is no rate.
    `climbing`: how many of the first rungs lie inside its warm-up or climb. `has_ended`: it passes
    no further rung; stopped before one, it counts there as behind.
    """

    number: int
    passed: Sequence[float]
    heats: Sequence[float]
    climbing: int = 0
    has_ended: bool = False


def falls_behind(runner: Runner, rivals: Sequence[Runner], rules: Rules) -> bool:
    """Whether too many of its rivals are ahead of the trial at the last rung that it has passed.

    Rivals that climb at the rung don't count there, nor is a trial judged while it climbs itself.
    """
    rung = len(runner.passed) - 1
    if rung < runner.climbing:
        return False
    heat = runner.heats[rung] * (1 - rules.slack)
    there = [rival for rival in rivals if len(rival.passed) > rung >= rival.climbing and rival is not runner]
    comers = len(there) + sum(rival.has_ended and len(rival.passed) <= rung for rival in rivals)
    if comers < rules.least:
        return False
    ahead = sum(rival.heats[rung] >= heat and rival.passed[rung] < runner.passed[rung] for rival in there)
    return ahead > max(rules.leaders, rules.shares[rung] * comers)
