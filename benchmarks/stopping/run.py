"""Measures how much stopping a converged search saves, and how often it stops too early.

    python benchmarks/honesty/bank.py --bank DIR
    python benchmarks/stopping/run.py --bank DIR [--studies 60] [--trials 100] [--output benchmarks/stopping/results.md]

The bank has 480 schedules of six families, each trained with 80 seeds, so that the true value of a schedule and the
noise of one training are known. The server's own search (TPE) runs each study; each proposal is replaced by the nearest
schedule of the family in the bank, with a random seed. After each trial the server's own rule says whether the search
has converged, for several bounds. Regret is of the answer's true mean loss, where the answer is the schedule with the
best estimate. A stop is too early if the whole budget would have found an answer better by more than the noise of one
training.
"""

from __future__ import annotations

import argparse
import random
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.honesty.bank import SPACE, Bank, load
from benchmarks.setting import setting
from lehr.schedules import Schedule
from service.answer.convergence import FEWEST, SMALL, Convergence, convergence
from service.answer.finalists import SearchTrial
from service.answer.landscape import Landscape
from service.search.observations import Observation
from service.search.rates import rate_features
from service.search.searcher import Searcher

BOUNDS = (0.5, 0.4, 0.3, 0.25, SMALL)
FAMILY_APART = 100.0


class Table:
    """The bank as a function that can be searched."""

    def __init__(self, bank: Bank) -> None:
        self.schedules: list[Schedule] = [SPACE.schedule(entry.family, entry.point) for entry in bank.entries]
        self.values: NDArray[np.float64] = bank.values["loss"]
        self.truth = np.where(np.isnan(self.values).any(1), np.inf, np.nanmean(self.values, axis=1))
        self._places = np.stack([rate_features(schedule) for schedule in self.schedules])
        self._families = np.array([entry.family for entry in bank.entries])

    @cached_property
    def noise(self) -> float:
        """The deviation of one training of the twenty best schedules."""
        return float(self.values[np.argsort(self.truth)[:20]].std(axis=1, ddof=1).mean())

    def nearest(self, schedule: Schedule) -> int:
        apart = ((self._places - rate_features(schedule)) ** 2).sum(1) + FAMILY_APART * (
            self._families != schedule.family
        )
        return int(np.argmin(apart))


@dataclass(frozen=True)
class Look:
    """What was believed after so many trials, and the true regret of the answer then."""

    trials: int
    belief: Convergence
    regret: float


def main() -> None:
    arguments = _arguments()
    table = Table(load(arguments.bank, arguments.problem))
    studies = [searched(table, seed, arguments.trials) for seed in range(arguments.studies)]
    lines = report(table, studies, arguments)
    print("\n".join(lines))
    if arguments.output:
        arguments.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


def searched(table: Table, seed: int, trials: int) -> list[Look]:
    drawn = random.Random(seed)
    searcher = Searcher(SPACE, "minimize", "tpe", seed, trials_budget=trials)
    tried: list[SearchTrial] = []
    looks = []
    for number in range(trials):
        asked = searcher.ask(number)
        index = table.nearest(asked.schedule)
        value = float(table.values[index, drawn.randrange(table.values.shape[1])])
        diverged = bool(np.isnan(value))
        found = SearchTrial(number, table.schedules[index], "DIVERGED" if diverged else "COMPLETED", value)
        tried.append(SearchTrial(number, found.schedule, found.state, None) if diverged else found)
        told = Observation(number, asked.schedule.family, asked.point, found.state, None if diverged else value)
        searcher.tell(told)
        if number + 1 >= FEWEST and (number + 1) % 2 == 0:
            looks += _look(table, tried)
    return looks


def _look(table: Table, tried: list[SearchTrial]) -> list[Look]:
    losses = [float("inf") if trial.value is None else trial.value for trial in tried]
    belief = convergence([trial.schedule for trial in tried], losses, SPACE)
    if belief is None:
        return []
    answer = Landscape.of(tried, "minimize").finalists(1)[0]
    regret = float(table.truth[table.nearest(answer.schedule)] - table.truth.min())
    return [Look(len(tried), belief, regret)]


def report(table: Table, studies: list[list[Look]], arguments: argparse.Namespace) -> list[str]:
    last = [looks[-1] for looks in studies]
    lines = [
        "# Stopping when a search has converged",
        "",
        f"{setting('numpy', 'scipy')}. By `python benchmarks/honesty/bank.py --bank DIR` and then "
        f"`python benchmarks/stopping/run.py --bank DIR --studies {arguments.studies} --trials {arguments.trials}`.",
        "",
        f"{len(studies)} searches of {arguments.trials} trials on {arguments.problem}, {len(table.schedules)} "
        f"schedules. One training's noise is {table.noise:.4f}, the best true loss {table.truth.min():.4f}. The rule: "
        "expected improvement below `bound` times the noise that the search believes in; the server's bound is "
        f"{SMALL:g}.",
        "",
        "| bound | searches stopped | trials on average | regret at the stop | regret of the whole budget | "
        "too early | regret within the bound believed |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for bound in BOUNDS:
        ends = [_stop(looks, bound) for looks in studies]
        stopped = [end is not looks[-1] for end, looks in zip(ends, studies, strict=True)]
        early = [end.regret > whole.regret + table.noise for end, whole in zip(ends, last, strict=True)]
        within = [end.regret <= end.belief.regret_bound for end in ends]
        lines.append(
            f"| {bound:g} | {np.mean(stopped):.0%} | {np.mean([end.trials for end in ends]):.0f} | "
            f"{np.mean([end.regret for end in ends]):.4f} | {np.mean([end.regret for end in last]):.4f} | "
            f"{np.mean(early):.1%} | {np.mean(within):.0%} |"
        )
    believed = np.mean([end.belief.noise for end in last])
    bounds = np.mean([end.belief.regret_bound for end in last])
    lines += [
        "",
        f"At the end of the budget the noise believed is {believed:.4f}, and the bound on the regret {bounds:.4f}.",
    ]
    return lines


def _stop(looks: list[Look], bound: float) -> Look:
    """The first look that would have stopped the search, else the last."""
    converged = (look for look in looks if look.belief.expected_improvement <= bound * look.belief.noise)
    return next(converged, looks[-1])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--bank", type=Path, required=True, help="made by benchmarks/honesty/bank.py")
    parser.add_argument("--problem", default="digits", choices=("digits", "fashion"))
    parser.add_argument("--studies", type=int, default=60)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--output", type=Path, help="write the table there, too")
    return parser.parse_args()


if __name__ == "__main__":
    main()
