"""A race judged at a few rungs: stops running trials that have fallen too far behind at the same phase.

A rung is a phase, a fraction of the horizon. At each rung a trial continues if few enough trials are
ahead of it, relative to the number that have arrived so far. Only trials that have annealed hardly further
count as ahead: at the same step, a schedule with an already low rate is ahead of one that is still hot,
and may still end behind it.
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
"""Heats that differ by at most this fraction are equal."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of a race. `rungs`: the phases at which trials are judged, as increasing fractions of the horizon.

    `shares`: for each rung, the fraction of arrived trials that may be ahead of a trial that continues.
    `leaders`: this many may be ahead in any case. `least`: how many must have arrived before a trial is judged.
    `slack`: a rival counts as ahead even if its heat is lower than the trial's by this fraction.
    """

    rungs: tuple[float, ...]
    shares: tuple[float, ...]
    leaders: int
    least: int
    slack: float = ROUNDING


@dataclass(frozen=True, slots=True)
class Runner:
    """A trial in the race.

    `passed`: its losses at the rungs that it has passed, first rung first, less is better.
    `heats`: the rate at each rung, relative to the schedule's highest; 1 if the rate is unknown.
    `climbing`: the number of rungs during its warm-up or climb. `has_ended`: whether it will pass
    no further rung; at a rung that it did not reach, it counts as behind.
    """

    number: int
    passed: Sequence[float]
    heats: Sequence[float]
    climbing: int = 0
    has_ended: bool = False


def falls_behind(runner: Runner, rivals: Sequence[Runner], rules: Rules) -> bool:
    """Whether too many of its rivals are ahead of the trial at the last rung that it has passed.

    Rivals that are climbing at the rung don't count there, and a trial is not judged while it is climbing.
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
    """Compares a trial with those of all families that have annealed hardly further."""

    compares_families = True
    rules: ClassVar[Rules]
    rules_for_guesses: ClassVar[Rules]
    """For trials whose schedule no sampler chose."""

    def is_behind(
        self, trial: Curve, rivals: Sequence[Curve], *, horizon_steps: int, direction: Direction, guessed: bool
    ) -> bool:
        """Whether the trial falls behind at a rung that it passed with its last report."""
        rules = self.rules_for_guesses if guessed else self.rules
        before = sum(_phase(step, horizon_steps) >= rung for step, _ in trial.reports[-2:-1] for rung in rules.rungs)
        own = _runner(rules, trial, horizon_steps, direction)
        if len(own.passed) <= before:
            return False
        return falls_behind(own, [_runner(rules, one, horizon_steps, direction) for one in rivals], rules)


def _runner(rules: Rules, curve: Curve, horizon_steps: int, direction: Direction) -> Runner:
    """A trial in the race, with its first report at or after each rung."""
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
    """The completed fraction of the horizon after a step."""
    return (step + 1) / horizon_steps
