"""Ranks families by the best of an equal number of their trials."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lehr.wire.answers import EqualBudget, LeaderboardEntry
from lehr.wire.objectives import Confirmation
from lehr.wire.studies import BestTrial, Direction
from lehr.wire.trials import TrialState
from service.answer.document import evaluations
from service.answer.finalists import SearchTrial, best_first
from service.search.observations import as_loss

COUNTED: tuple[TrialState, ...] = ("COMPLETED", "PRUNED", "DIVERGED")
"""The states that count for the family. A FAILED trial says something about the training code, not the family."""
TAIL = 0.025
"""The probability beyond each end of an interval."""


@dataclass(frozen=True, slots=True)
class FamilyTrials:
    """A family's search trials that ended and count."""

    family: str
    trials: tuple[SearchTrial, ...]


def leaderboard(
    trials: Sequence[SearchTrial],
    families: Sequence[str],
    direction: Direction,
    standing: Mapping[int, Confirmation | None],
    *,
    answer: int | None = None,
) -> list[LeaderboardEntry]:
    """The families: that of the `answer` first, then the others by rank, and those without a counted trial last.

    A search spends its trials unevenly, and the best of thirty trials is better than the best of five whatever the
    family. So families are ranked by the expected best of an equal number of their trials: the number that the searched
    family with the fewest trials has. `families`: those searched. Families that users enqueued are added, and ranked if
    they have as many trials. They do not lower the number, because a single trial would leave nothing to compare.
    `standing`: by number, the trials that represent their families (the first one each), even if others had better
    values in the search, with their results on fresh seeds.
    """
    names = dict.fromkeys((*families, *(trial.schedule.family for trial in trials)))
    groups = [
        FamilyTrials(name, tuple(trial for trial in trials if trial.schedule.family == name and trial.state in COUNTED))
        for name in names
    ]
    tried = [group for group in groups if group.trials]
    searched = [group for group in tried if group.family in families]
    count = min((len(group.trials) for group in searched or tried), default=0)
    completed = [trial.value for trial in trials if trial.state == "COMPLETED" and trial.value is not None]
    worst = max((as_loss(value, direction) for value in completed), default=math.inf)
    entries = [_entry(group, direction, count, worst, standing) for group in groups]

    def rank(entry: LeaderboardEntry) -> tuple[bool, float, float, str]:
        is_behind = answer is None or entry.best is None or entry.best.trial != answer
        mean = as_loss(entry.equal_budget.mean if entry.equal_budget else None, direction)
        return is_behind, mean, as_loss(entry.best.value if entry.best else None, direction), entry.family

    return [entry.model_copy(update={"rank": place}) for place, entry in enumerate(sorted(entries, key=rank), 1)]


def best_of(losses: Sequence[float], count: int) -> tuple[float, float, float]:
    """The lowest of `count` <= N of the N `losses`: its expectation, and its 2.5% and 97.5% quantiles.

    With losses sorted and i from 1, the expectation is the sum of l_i C(N - i, count - 1) / C(N, count): the mean over
    all subsets, which is unbiased for independent draws. The quantiles are for draws with replacement,
    P(lowest > l_i) = ((N - i) / N)^count, because the subset of all N has no spread.
    Sources: Tang, Lee, Xin, Liu, Yu and Lin, Showing Your Work Doesn't Always Work (ACL 2020), section 3, for the
    expectation; Dodge, Gururangan, Card, Schwartz and Smith, Show Your Work (EMNLP 2019), section 3.1, for
    the quantiles.
    """
    ordered = sorted(losses)
    total = len(ordered)
    shares = [math.comb(total - 1 - index, count - 1) / math.comb(total, count) for index in range(total)]
    # Halved, because rounded shares of the largest doubles may overflow when summed.
    mean = 2 * math.fsum(share * (loss / 2) for share, loss in zip(shares, ordered, strict=True))
    below = [1 - ((total - 1 - index) / total) ** count for index in range(total)]
    low = next(loss for loss, part in zip(ordered, below, strict=True) if part >= TAIL)
    high = next(loss for loss, part in zip(ordered, below, strict=True) if part >= 1 - TAIL)
    return min(max(mean, ordered[0]), ordered[-1]), low, high


def _entry(
    group: FamilyTrials,
    direction: Direction,
    count: int,
    worst: float,
    standing: Mapping[int, Confirmation | None],
) -> LeaderboardEntry:
    by_number = {trial.number: trial for trial in group.trials}
    representative = next((by_number[number] for number in standing if number in by_number), None)
    best = representative or next(iter(best_first(group.trials, direction)), None)
    return LeaderboardEntry(
        rank=0,
        family=group.family,
        trials=len(group.trials),
        diverged=sum(trial.state == "DIVERGED" for trial in group.trials),
        infeasible=sum(trial.broken > 0 for trial in group.trials),
        best=_best(best),
        equal_budget=_equal_budget(group, direction, count, worst) if best and len(group.trials) >= count else None,
        confirmation=standing.get(best.number) if best else None,
    )


def _best(trial: SearchTrial | None) -> BestTrial | None:
    if trial is None or trial.value is None:
        return None
    return BestTrial(trial=trial.number, value=trial.value, schedule=trial.schedule, evaluations=evaluations(trial))


def _counts(trial: SearchTrial) -> bool:
    return trial.state == "COMPLETED" and not trial.broken


def _equal_budget(group: FamilyTrials, direction: Direction, count: int, worst: float) -> EqualBudget:
    """A trial that DIVERGED, was PRUNED or broke the constraints counts as the worst value of the study."""
    losses = [min(as_loss(trial.value if _counts(trial) else None, direction), worst) for trial in group.trials]
    mean, low, high = best_of(losses, count)
    if direction == "minimize":
        return EqualBudget(trials=count, mean=mean, interval95=(low, high))
    return EqualBudget(trials=count, mean=-mean, interval95=(-high, -low))
