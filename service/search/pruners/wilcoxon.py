"""The pruner `wilcoxon`: when a trial that is evaluated several times is not worth evaluating further.

Its values so far are paired with those of the best trial on the same folds and seeds. What the folds have in
common cancels out of the differences, so a few of them may tell.
"""

from __future__ import annotations

import math

from scipy.stats import wilcoxon

from service.search.pruners.base import EvaluationPruner, Losses

P_THRESHOLD = 0.1
STARTUP_EVALUATIONS = 2
"""Fewer pairs than these are never judged. No four pairs fall below `P_THRESHOLD` unless all four are worse."""


class WilcoxonPruner(EvaluationPruner):
    """Compares a trial with the best one, evaluation by evaluation."""

    fewest_useful = 6
    """It never stops a trial before its fourth evaluation."""

    def is_hopeless(self, losses: Losses, best: Losses) -> bool:
        return is_hopeless(losses, best)


def is_hopeless(losses: Losses, best: Losses) -> bool:
    """Whether a trial is worse than the `best` one by the one-sided Wilcoxon signed-rank test on their common indices.

    Pairs without a difference count half for either side ("zsplit"). Never True for a trial that is no worse in the
    mean: the best one may owe its mean to the evaluations that are still to come.
    Source: Wilcoxon, Individual comparisons by ranking methods, Biometrics Bulletin 1 (1945); the rule is that of
    Optuna's WilcoxonPruner.
    """
    common = sorted(losses.keys() & best.keys())
    if len(common) < STARTUP_EVALUATIONS or _half_mean(losses) <= _half_mean(best):
        return False
    differences = [losses[index] / 2 - best[index] / 2 for index in common]
    return bool(wilcoxon(differences, alternative="greater", zero_method="zsplit").pvalue < P_THRESHOLD)


def _half_mean(losses: Losses) -> float:
    """Of halves, and each a part already: the sum of large losses is no double."""
    return math.fsum(loss / 2 / len(losses) for loss in losses.values())
