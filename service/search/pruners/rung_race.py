"""A race judged at a few rungs: which running trial has fallen too far behind, at equal phase.

A rung is a phase: a part of the horizon. At each a trial goes on that has few enough ahead of it,
by the number of all that came so far. Ahead counts only who has annealed hardly further: at an
equal step, a schedule that has come down already is ahead of one that is still hot, and may yet end
behind it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from lehr.wire.studies import Direction
from service.search.observations import PENDING, as_loss
from service.search.pruners.base import Curve, CurvePruner

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


class RungRacePruner(CurvePruner):
    """Compares across families, with the trials that have annealed hardly further."""

    compares_families = True
    rules: ClassVar[Rules]
    rules_for_guesses: ClassVar[Rules]
    """For trials that no sampler chose."""

    def is_behind(
        self, trial: Curve, rivals: Sequence[Curve], *, horizon_steps: int, direction: Direction, guessed: bool
    ) -> bool:
        """Whether it falls behind at a rung that its last report is the first to pass."""
        rules = self.rules_for_guesses if guessed else self.rules
        before = sum(_phase(step, horizon_steps) >= rung for step, _ in trial.reports[-2:-1] for rung in rules.rungs)
        own = _runner(rules, trial, horizon_steps, direction)
        if len(own.passed) <= before:
            return False
        return falls_behind(own, [_runner(rules, one, horizon_steps, direction) for one in rivals], rules)


def _runner(rules: Rules, curve: Curve, horizon_steps: int, direction: Direction) -> Runner:
    """A trial in the race: its first report at each rung or behind it."""
    schedule, passed = curve.schedule, []
    for rung in rules.rungs:
        found = next((value for step, value in curve.reports if _phase(step, horizon_steps) >= rung), None)
        if found is None:
            break
        passed.append(as_loss(found, direction))
    if curve.state == "DIVERGED":
        passed += [math.inf] * (len(rules.rungs) - len(passed))
    top = schedule.max_lr
    heats = [schedule.lr_at(rung) / top if top > 0 and not schedule.adaptive else 1.0 for rung in rules.rungs]
    climbing = sum(rung < schedule.rise_fraction for rung in rules.rungs)
    return Runner(curve.number, passed, heats, climbing, has_ended=curve.state not in PENDING)


def _phase(step: int, horizon_steps: int) -> float:
    """The part of the horizon that is done after a step."""
    return (step + 1) / horizon_steps
