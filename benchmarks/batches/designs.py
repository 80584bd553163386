"""Compares designs for the first 64 trials, all chosen before any has ended: how good the best of them is.

    python -m benchmarks.batches.designs [--seeds 300] [--output benchmarks/batches/designs.md]

lehr alternates between families, each along a Halton sequence with a random shift. The alternatives are other even
spreads with as many trials per family; one sequence for all families, so that their rates interleave; and families in
proportion to their number of coordinates. The functions and the regret are those of `benchmarks/batches/run.py`.
"""

from __future__ import annotations

import argparse
import random
import statistics
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from benchmarks.batches.functions import FUNCTIONS, Function
from benchmarks.setting import setting
from lehr.schedules import Schedule
from lehr.space import Space
from service.search.observations import draw_seed
from service.search.searcher import Searcher
from service.search.sequence import from_unit, spread_point

COUNT = 64

Array = NDArray[np.float64]


def lehr(space: Space, seed: int) -> list[Schedule]:
    """As the server asks."""
    searcher = Searcher(space, "minimize", "tpe", seed, trials_budget=4 * COUNT)
    return [searcher.ask(number).schedule for number in range(COUNT)]


def by_coordinates(space: Space, seed: int) -> list[Schedule]:
    """The families' own Halton sequences, of more the more coordinates."""
    sizes = {family: len(space.coordinates(family)) for family in space.families}
    counts = {family: round(COUNT * size / sum(sizes.values())) for family, size in sizes.items()}
    return [
        space.schedule(family, spread_point(space.coordinates(family), index, seed, family))
        for family, count in counts.items()
        for index in range(count)
    ]


def one_sequence(space: Space, seed: int) -> list[Schedule]:
    """The families in turn take the points of a single sequence."""
    most = max(len(space.coordinates(family)) for family in space.families)
    units = qmc.Halton(most, rng=seed).random(COUNT)
    return [_schedule(space, space.families[at % len(space.families)], row) for at, row in enumerate(units)]


def in_each(draw: Callable[[int, int, int], Array]) -> Callable[[Space, int], list[Schedule]]:
    """As many for each family as lehr asks, by `draw` (coordinates, count, seed)."""

    def design(space: Space, seed: int) -> list[Schedule]:
        shares = [len(range(at, COUNT, len(space.families))) for at in range(len(space.families))]
        return [
            _schedule(space, family, row)
            for family, count in zip(space.families, shares, strict=True)
            for row in draw(len(space.coordinates(family)), count, draw_seed("design", seed, family))
        ]

    return design


DESIGNS: dict[str, Callable[[Space, int], list[Schedule]]] = {
    "lehr: Halton in each family": lehr,
    "Sobol, scrambled, in each family": in_each(lambda size, count, seed: qmc.Sobol(size, rng=seed).random(count)),
    "Latin hypercube in each family": in_each(
        lambda size, count, seed: qmc.LatinHypercube(size, rng=seed, optimization="random-cd").random(count)
    ),
    "random in each family": in_each(lambda size, count, seed: np.random.default_rng(seed).random((count, size))),
    "one Halton sequence for all": one_sequence,
    "Halton, families by their coordinates": by_coordinates,
}


def main() -> None:
    arguments = _arguments()
    warnings.filterwarnings("ignore", message="The balance properties of Sobol")
    lines = [
        "# The first 64, all at once",
        "",
        f"{setting('scipy')}. Mean regret over {arguments.seeds} "
        f"seeds, with its standard error. By `python -m benchmarks.batches.designs --seeds {arguments.seeds}`.",
        "",
        "| design | " + " | ".join(f"function {name}" for name in FUNCTIONS) + " |",
        "|---|" + "---:|" * len(FUNCTIONS),
    ]
    for name, design in DESIGNS.items():
        runs = [
            [regret(function(seed), design, seed) for seed in range(arguments.seeds)] for function in FUNCTIONS.values()
        ]
        cells = (f"{statistics.fmean(run):.3f} ± {statistics.stdev(run) / len(run) ** 0.5:.3f}" for run in runs)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    print("\n".join(lines))
    if arguments.output:
        arguments.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


def regret(function: Function, design: Callable[[Space, int], list[Schedule]], seed: int) -> float:
    noise = random.Random(seed)
    truths = [function.loss(schedule) for schedule in design(function.space, seed)]
    return min((truth + noise.gauss(0, function.noise), truth) for truth in truths)[1]


def _schedule(space: Space, family: str, row: Array) -> Schedule:
    units = [min(float(unit), 1 - 1e-9) for unit in row]
    coordinates = space.coordinates(family)
    point = {one.name: from_unit(one, unit) for one, unit in zip(coordinates, units, strict=False)}
    return space.schedule(family, point)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=300)
    parser.add_argument("--output", type=Path, default=None)
    return parser.parse_args()


if __name__ == "__main__":
    main()
