"""The pruner `wilcoxon`: stops a trial with several evaluations that is not worth evaluating further.

It pairs the trial's values so far with those of the best trial on the same folds and seeds. Differences between folds
cancel out in the pairs, so a few pairs may be enough.
"""

from __future__ import annotations

import math

from scipy.stats import wilcoxon

from service.search.pruners.base import EvaluationPruner, Losses

P_THRESHOLD = 0.1
STARTUP_EVALUATIONS = 2
"""With fewer pairs, a trial is not judged. Four pairs fall below `P_THRESHOLD` only if all four are worse."""


class WilcoxonPruner(EvaluationPruner):
    """Compares a trial with the best one, evaluation by evaluation."""

    fewest_useful = 6
    """It never stops a trial before its fourth evaluation."""

    def is_hopeless(self, losses: Losses, best: Losses) -> bool:
        return is_hopeless(losses, best)


def is_hopeless(losses: Losses, best: Losses) -> bool:
    """Whether a trial is worse than the `best` one by the one-sided Wilcoxon signed-rank test on their common indices.

    Pairs without a difference count half for each side ("zsplit"). Never True for a trial whose mean is no worse:
    the best trial may owe its own mean to the evaluations that this trial has not had yet.
    Source: Wilcoxon, Individual comparisons by ranking methods, Biometrics Bulletin 1 (1945); the rule is that of
    Optuna's WilcoxonPruner.
    """
    common = sorted(losses.keys() & best.keys())
    if len(common) < STARTUP_EVALUATIONS or _half_mean(losses) <= _half_mean(best):
        return False
    differences = [losses[index] / 2 - best[index] / 2 for index in common]
    return bool(wilcoxon(differences, alternative="greater", zero_method="zsplit").pvalue < P_THRESHOLD)


def _half_mean(losses: Losses) -> float:
    """Half of the mean, summed over already scaled halves, because the sum of large losses may overflow."""
    return math.fsum(loss / 2 / len(losses) for loss in losses.values())
