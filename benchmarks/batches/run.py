"""Measures what requesting many trials at a time costs a search: its regret, at equal numbers of trials.

    python -m benchmarks.batches.run --cache FILE.jsonl [--seeds 48] [--output benchmarks/batches/results.md]

A cohort leases many trials at once, so the search chooses them without knowing each other's results. lehr's searcher
(`tpe`, which counts pending trials as bad: the constant liar) proposes a batch, learns all its values, and proposes the
next. The alternatives, with 64 at a time: TPE that ignores running trials; every second draw of a batch from
`surrogate`, and all of them (it assumes that running trials end as predicted); and two that learn nothing, an even
spread and random draws. The functions are synthetic, of six families: that of the tests (the best at 0, noise 0.05),
and a similar one drawn for each seed. Regret: the true loss of the trial with the best reported value. FILE caches the
measurements.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.batches.functions import FUNCTIONS, Function
from benchmarks.setting import setting
from service.search.observations import Observation, Point
from service.search.samplers.base import SearchView
from service.search.samplers.surrogate import SurrogateSampler
from service.search.samplers.tpe import TpeSampler
from service.search.searcher import Searcher

BUDGETS = (64, 128, 256)
HALVES = "tpe and surrogate in turns"
UNTOLD = "tpe, not told what runs"
ARMS = (
    ("tpe", 1),
    ("tpe", 8),
    ("tpe", 64),
    (UNTOLD, 64),
    (HALVES, 64),
    ("surrogate", 64),
    ("qmc", 64),
    ("random", 64),
)

Runs = dict[str, list[list[float]]]


class _Untold(TpeSampler):
    def draw(self, view: SearchView) -> tuple[str, Point]:
        return super().draw(replace(view, pending=()))


class _InTurns(TpeSampler):
    """Where other trials run, each second draw is the surrogate's."""

    def draw(self, view: SearchView) -> tuple[str, Point]:
        if not view.pending or view.number % 2 == 0:
            return super().draw(view)
        other = self.__dict__.setdefault("other", SurrogateSampler(self._space, self._direction, self._seed, 0))
        found: tuple[str, Point] = other.draw(view)
        return found


OTHERS: dict[str, type[TpeSampler]] = {UNTOLD: _Untold, HALVES: _InTurns}


def main() -> None:
    arguments = _arguments()
    known: Runs = {}
    if arguments.cache.exists():
        known = dict(map(json.loads, arguments.cache.read_text(encoding="utf-8").splitlines()))
    with arguments.cache.open("a", encoding="utf-8") as file:
        for name, function in FUNCTIONS.items():
            for sampler, batch in ARMS:
                key = f"{name}, {sampler}, {batch}"
                if key not in known and arguments.only in name:
                    known[key] = [regrets(function(seed), sampler, batch, seed) for seed in range(arguments.seeds)]
                    file.write(json.dumps([key, known[key]]) + "\n")
                    file.flush()
    lines = report(known, arguments.seeds)
    print("\n".join(lines))
    if arguments.output:
        arguments.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


def regrets(function: Function, sampler: str, batch: int, seed: int) -> list[float]:
    """One search's regret at each budget."""
    searcher = _searcher(function, sampler, seed)
    noise = random.Random(seed)
    ended: list[tuple[float, float]] = []
    found = []
    while len(ended) < BUDGETS[-1]:
        asked = [(number, searcher.ask(number)) for number in range(len(ended), len(ended) + batch)]
        for number, suggestion in asked:
            truth = function.loss(suggestion.schedule)
            value = truth + noise.gauss(0, function.noise)
            ended.append((value, truth))
            searcher.tell(Observation(number, suggestion.schedule.family, suggestion.point, "COMPLETED", value))
            if len(ended) in BUDGETS:
                found.append(min(ended)[1])
    return found


def _searcher(function: Function, sampler: str, seed: int) -> Searcher:
    budget = BUDGETS[-1]
    if sampler not in OTHERS:
        return Searcher(function.space, "minimize", sampler, seed, trials_budget=budget)
    searcher = Searcher(function.space, "minimize", "tpe", seed, trials_budget=budget)
    searcher._sampler = OTHERS[sampler](function.space, "minimize", seed, budget)
    return searcher


def report(known: Runs, seeds: int) -> list[str]:
    lines = [
        "# Asking for many at a time",
        "",
        f"{setting('optuna')}.",
        "",
        f"`python -m benchmarks.batches.run --cache FILE.jsonl --seeds {seeds} --output benchmarks/batches/results.md`",
        "",
        f"Mean regret over {seeds} seeds, with its standard error; in brackets, how far it is from `tpe` one at a "
        "time, by pairs of the same seed.",
    ]
    for name in FUNCTIONS:
        if any(f"{name}, {sampler}, {batch}" not in known for sampler, batch in ARMS):
            continue
        lines += ["", f"Function: {name}.", ""]
        lines.append("| search | at a time | " + " | ".join(f"{each} trials" for each in BUDGETS) + " |")
        lines.append("|---|---:|" + "---:|" * len(BUDGETS))
        alone = known[f"{name}, tpe, 1"]
        for sampler, batch in ARMS:
            rows = known[f"{name}, {sampler}, {batch}"]
            cells = [_cell(rows, alone, at) for at in range(len(BUDGETS))]
            lines.append(f"| {sampler} | {batch} | {' | '.join(cells)} |")
    return lines


def _cell(rows: Sequence[Sequence[float]], alone: Sequence[Sequence[float]], at: int) -> str:
    found = _mean([row[at] for row in rows])
    apart = _mean([row[at] - other[at] for row, other in zip(rows, alone, strict=True)], "+")
    return found if rows is alone else f"{found} ({apart})"


def _mean(values: Sequence[float], sign: str = "") -> str:
    error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return f"{statistics.fmean(values):{sign}.3f} ± {error:.3f}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True, help="regrets by function, sampler and batch")
    parser.add_argument("--seeds", type=int, default=48)
    parser.add_argument("--only", default="", help="functions whose name contains this")
    parser.add_argument("--output", type=Path, default=None)
    return parser.parse_args()


if __name__ == "__main__":
    main()
