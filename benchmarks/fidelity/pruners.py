"""Measures whether pruning finds better schedules for the same steps, to choose the default pruner.

    python benchmarks/pruning/bank.py BANK.jsonl
    python -m benchmarks.fidelity.pruners BANK.jsonl [--studies 24] [--output benchmarks/fidelity/pruners.md]

The server's own search (TPE) over twelve families. Each proposed schedule is replaced by the nearest one of the family
in the bank, whose real curve is reported epoch by epoch to the server's own pruner; the search learns the replacement.
Regret is the last loss of the best completed training minus the bank's best, as a fraction of the distance from there
to the bank's median: after the same steps, and after the same trials.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.pruning.bank import FAMILIES, read_bank, space
from benchmarks.setting import setting
from lehr.schedules import Schedule, schedule_from_dict
from service.search.observations import Observation
from service.search.rates import rate_features
from service.search.searcher import Searcher

PRUNERS = ("none", "phases", "median", "hyperband")
BUDGETS = (10, 20, 40)
"""In whole trainings' worth of steps, and in trials."""
WORST = 1e6


@dataclass(frozen=True)
class Training:
    """One real curve. `reports`: (step, loss) of each epoch; an infinite loss is left out, and ends it as DIVERGED."""

    family: str
    point: dict[str, Any]
    schedule: Schedule
    reports: tuple[tuple[int, float], ...]
    diverged: bool

    @property
    def final(self) -> float:
        return WORST if self.diverged else self.reports[-1][1]


class Table:
    """The bank as a function that can be searched."""

    def __init__(self, bank: Sequence[dict[str, Any]]) -> None:
        self.trainings = [_training(one) for one in bank]
        self.horizon = int(bank[0]["horizon_steps"])
        finals = np.array([one.final for one in self.trainings])
        self.best, self.median = float(finals.min()), float(np.median(finals))
        self._places = np.stack([rate_features(one.schedule) for one in self.trainings])
        self._families = np.array([one.family for one in self.trainings])

    def nearest(self, schedule: Schedule) -> Training:
        members = np.flatnonzero(self._families == schedule.family)
        apart = ((self._places[members] - rate_features(schedule)) ** 2).sum(1)
        return self.trainings[int(members[np.argmin(apart)])]

    def regret(self, loss: float) -> float:
        return min(1.0, (loss - self.best) / (self.median - self.best))


@dataclass(frozen=True)
class Course:
    """A search: after each trial the steps spent and the regret of the answer."""

    steps: list[int]
    regrets: list[float]

    def after_steps(self, steps: int) -> float:
        done = [regret for spent, regret in zip(self.steps, self.regrets, strict=True) if spent <= steps]
        return done[-1] if done else 1.0


def main() -> None:
    arguments = _arguments()
    table = Table(read_bank(arguments.bank))
    courses = {
        pruner: [searched(table, pruner, seed) for seed in range(arguments.studies)] for pruner in arguments.pruners
    }
    lines = report(table, courses)
    print("\n".join(lines))
    if arguments.output:
        arguments.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


def searched(table: Table, pruner: str, seed: int) -> Course:
    """Until the largest budget is spent, in steps and in trials."""
    searcher = Searcher(space(), "minimize", "tpe", seed, trials_budget=max(BUDGETS), pruner=pruner)
    spent, best, number = 0, WORST, 0
    course = Course([], [])
    while number < max(BUDGETS) or spent < max(BUDGETS) * table.horizon:
        training = table.nearest(searcher.ask(number).schedule)
        told = _trained(searcher, number, training, table.horizon)
        searcher.tell(told)
        spent += table.horizon if told.state == "COMPLETED" else (told.reports[-1][0] + 1 if told.reports else 0)
        best = min(best, training.final) if told.state == "COMPLETED" else best
        course.steps.append(spent)
        course.regrets.append(table.regret(best))
        number += 1
    return course


def _trained(searcher: Searcher, number: int, training: Training, horizon: int) -> Observation:
    for count in range(1, len(training.reports)):
        reports = training.reports[:count]
        if searcher.should_prune(number, training.schedule, horizon, reports):
            return Observation(number, training.family, training.point, "PRUNED", None, reports)
    if training.diverged:
        return Observation(number, training.family, training.point, "DIVERGED", None, training.reports)
    return Observation(number, training.family, training.point, "COMPLETED", training.final, training.reports)


def report(table: Table, courses: dict[str, list[Course]]) -> list[str]:
    studies = len(courses["none"])
    lines = [
        "# Searching with a pruner",
        "",
        f"{setting('numpy', 'optuna')}. By `python benchmarks/pruning/bank.py BANK` and then "
        f"`python -m benchmarks.fidelity.pruners BANK --studies {studies}`.",
        "",
        f"{studies} searches each, of {len(table.trainings)} real trainings of {len(FAMILIES)} families. Regret: 0 the "
        "best of these, 1 the middle one. In brackets: how much lower than without a pruner, paired by seed, and the "
        "half width of its 95% interval.",
        "",
        "| pruner | "
        + " | ".join(f"after {budget} trainings' steps" for budget in BUDGETS)
        + f" | after {max(BUDGETS)} trials | steps of these |",
        "|---|" + "---:|" * (len(BUDGETS) + 2),
    ]
    last = max(BUDGETS) - 1
    for pruner, found in courses.items():
        columns = [[one.after_steps(budget * table.horizon) for one in found] for budget in BUDGETS]
        columns.append([one.regrets[last] for one in found])
        plain = [[one.after_steps(budget * table.horizon) for one in courses["none"]] for budget in BUDGETS]
        plain.append([one.regrets[last] for one in courses["none"]])
        cells = [_cell(own, none, pruner == "none") for own, none in zip(columns, plain, strict=True)]
        steps = statistics.mean(one.steps[last] for one in found) / table.horizon / max(BUDGETS)
        lines.append(f"| {pruner} | {' | '.join(cells)} | {steps:.0%} |")
    return lines


def _cell(own: list[float], none: list[float], is_plain: bool) -> str:
    mean = statistics.mean(own)
    if is_plain:
        return f"{mean:.3f}"
    gains = [before - after for before, after in zip(none, own, strict=True)]
    half = 1.96 * statistics.stdev(gains) / len(gains) ** 0.5
    return f"{mean:.3f} ({statistics.mean(gains):+.3f} ± {half:.3f})"


def _training(one: dict[str, Any]) -> Training:
    reports = tuple((int(r["step"]), float(r["val_loss"])) for r in one["reports"] if r["val_loss"] is not None)
    return Training(one["family"], one["point"], schedule_from_dict(one["schedule"]), reports, bool(one["diverged"]))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bank", type=Path)
    parser.add_argument("--studies", type=int, default=24)
    parser.add_argument("--pruners", nargs="+", default=list(PRUNERS), help="`none` must be among them")
    parser.add_argument("--output", type=Path, default=None)
    return parser.parse_args()


if __name__ == "__main__":
    main()
