"""The pruner `hyperband`: successive halving within each family, in several brackets.

Source: Li et al., Hyperband, JMLR 18 (2018), algorithm 1. Trials are dealt to the brackets by their number, in the
algorithm's proportions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from lehr.wire.studies import Direction
from service.search import optuna_study
from service.search.observations import as_loss, draw_seed
from service.search.pruners.base import Curve, CurvePruner, Reports, climb_steps, enough_finished

HALVING_FACTOR = 3
"""Hyperband's eta: each rung keeps the best third."""
FIRST_RUNG_FRACTION = 1 / 27
"""Hyperband's earliest rung, as a fraction of the horizon: four brackets at eta 3."""


class HyperbandPruner(CurvePruner):
    """Each bracket has a later first rung and fewer trials; at a rung, the best third of the bracket continues."""

    def is_behind(
        self, trial: Curve, rivals: Sequence[Curve], *, horizon_steps: int, direction: Direction, guessed: bool
    ) -> bool:
        if not enough_finished(rivals):
            return False
        bracket = hyperband_bracket(trial.number)
        first_rung = max(1, round(horizon_steps * FIRST_RUNG_FRACTION)) * HALVING_FACTOR**bracket
        competing = [
            optuna_study.reported(
                one.number, dict(one.reports), _rung_values(one, one.reports, first_rung, horizon_steps, direction)
            )
            for one in rivals
            if hyperband_bracket(one.number) == bracket
        ]
        earlier = _rung_values(trial, trial.reports[:-1], first_rung, horizon_steps, direction)
        last = {step: as_loss(value, direction) for step, value in trial.reports[-1:]}
        own = optuna_study.reported(trial.number, last, earlier)
        return optuna_study.halving_prunes(own, competing, first_rung, HALVING_FACTOR)


def hyperband_bracket(number: int) -> int:
    """The bracket of a trial. The first rung of bracket b is `HALVING_FACTOR`^b times later than that of bracket 0."""
    brackets = _bracket_count()
    weights = [
        math.ceil(brackets * HALVING_FACTOR ** (brackets - 1 - bracket) / (brackets - bracket))
        for bracket in range(brackets)
    ]
    remaining = draw_seed("bracket", number) % sum(weights)
    for bracket, weight in enumerate(weights):
        if remaining < weight:
            return bracket
        remaining -= weight
    raise AssertionError("the weights sum up to more than what remains")


def _bracket_count() -> int:
    return round(math.log(1 / FIRST_RUNG_FRACTION, HALVING_FACTOR)) + 1


def _rung_values(
    curve: Curve, reports: Reports, first_rung: int, horizon_steps: int, direction: Direction
) -> list[float]:
    """A trial's value at each rung that it has passed: its first report at or after the rung.

    A rung during the climb gets the worst possible value: the first report after the climb is later
    than the other trials' reports and would make them look bad.
    """
    climb = climb_steps(curve.schedule, horizon_steps)
    values: list[float] = []
    rung = first_rung
    for step, value in reports:
        while step >= rung:
            values.append(as_loss(value, direction) if rung > climb else math.inf)
            rung *= HALVING_FACTOR
    return values
