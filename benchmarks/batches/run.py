"""What asking for many trials at a time costs a search: its regret, at equal trials.

    python benchmarks/batches/run.py [--seeds 12] [--output benchmarks/batches/results.md]

A cohort leases many trials at once, so the search chooses them without knowing how the others end. lehr's searcher
(`tpe`, whose pending trials count as bad: the constant liar) is asked for so many at a time, told all their values, and
asked again. The function is the synthetic one of the tests: six families, the best at 0; a value is told with noise of
0.05. Regret: the true loss of the trial whose told value is best.
"""

from __future__ import annotations

import argparse
import datetime
import platform
import random
import statistics
from importlib.metadata import version
from pathlib import Path

from lehr.schedules import Schedule
from service.search.observations import Observation
from service.search.searcher import Searcher
from tests.unit.search.landscape import SPACE, loss

BATCHES = (1, 8, 64)
BUDGETS = (64, 128, 256)
NOISE = 0.05


def main() -> None:
    arguments = _arguments()
    arms = [("tpe", batch) for batch in BATCHES] + [("random", 1)]
    lines = [_header(arguments.seeds), "", "| search | at a time | " + " | ".join(f"{each} trials" for each in BUDGETS)]
    lines[-1] += " |"
    lines.append("|---|---:|" + "---:|" * len(BUDGETS))
    for sampler, batch in arms:
        runs = [regrets(sampler, batch, seed) for seed in range(arguments.seeds)]
        lines.append(f"| {sampler} | {batch} | " + " | ".join(_cell(found) for found in zip(*runs, strict=True)) + " |")
        print(lines[-1], flush=True)
    if arguments.output:
        Path(arguments.output).write_text("\n".join(lines) + "\n", encoding="utf-8")


def regrets(sampler: str, batch: int, seed: int) -> list[float]:
    """One search's regret at each budget."""
    searcher = Searcher(SPACE, "minimize", sampler, seed, trials_budget=BUDGETS[-1])
    noise = random.Random(seed)
    ended: list[tuple[float, float]] = []
    found = []
    while len(ended) < BUDGETS[-1]:
        asked = [(number, searcher.ask(number)) for number in range(len(ended), len(ended) + batch)]
        for number, suggestion in asked:
            value, truth = _value(suggestion.schedule, noise)
            ended.append((value, truth))
            searcher.tell(Observation(number, suggestion.schedule.family, suggestion.point, "COMPLETED", value))
            if len(ended) in BUDGETS:
                found.append(min(ended)[1])
    return found


def _value(schedule: Schedule, noise: random.Random) -> tuple[float, float]:
    """As told, and as it is."""
    truth = loss(schedule)
    return truth + noise.gauss(0, NOISE), truth


def _cell(found: tuple[float, ...]) -> str:
    error = statistics.stdev(found) / len(found) ** 0.5 if len(found) > 1 else 0.0
    return f"{statistics.fmean(found):.3f} ± {error:.3f}"


def _header(seeds: int) -> str:
    today = datetime.datetime.now(datetime.UTC).date()
    return (
        f"# Asking for many at a time\n\n{today}, 2-core {platform.machine()}, CPU only, optuna {version('optuna')}. "
        f"Mean regret over {seeds} seeds, with its standard error.\n\n"
        f"`python benchmarks/batches/run.py --seeds {seeds} --output benchmarks/batches/results.md`"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--output", default=None)
    return parser.parse_args()


if __name__ == "__main__":
    main()
