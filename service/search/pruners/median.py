"""The pruner `median`: stops a trial that is worse than the median of its family."""

from __future__ import annotations

from collections.abc import Sequence

from lehr.wire.studies import Direction
from service.search import optuna_study
from service.search.observations import as_loss
from service.search.pruners.base import MIN_FINISHED, Curve, CurvePruner, climb_steps, enough_finished


class MedianPruner(CurvePruner):
    """Compares the best report so far with the median of the family's completed trials at the same step."""

    def is_behind(
        self, trial: Curve, rivals: Sequence[Curve], *, horizon_steps: int, direction: Direction, guessed: bool
    ) -> bool:
        if not enough_finished(rivals):
            return False
        completed = [
            optuna_study.reported(one.number, _losses_after_climb(one, horizon_steps, direction), completed=True)
            for one in rivals
            if one.state == "COMPLETED"
        ]
        own = optuna_study.reported(trial.number, _losses_after_climb(trial, horizon_steps, direction))
        return optuna_study.median_prunes(own, completed, MIN_FINISHED)


def _losses_after_climb(curve: Curve, horizon_steps: int, direction: Direction) -> dict[int, float]:
    climb = climb_steps(curve.schedule, horizon_steps)
    return {step: as_loss(value, direction) for step, value in curve.reports if step > climb}
