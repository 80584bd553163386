"""Compares range tests with the truth: whether the bounds contain the best rate, how narrow they are, and how stable.

    python -m benchmarks.range_test.run --bank FILE [--data-dir DIR] [--output FILE]

The bank is completed first if needed (see bank.py). fastai's and Lightning's own code reads the same sweeps, smoothed
as each of them does it; both must be installed.
"""

from __future__ import annotations

import argparse
import itertools
import math
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median

import torch

from benchmarks.range_test.bank import (
    CHECKED_ON,
    CHOSEN_ON,
    SETTINGS,
    SHAPES,
    STEPS,
    SWEEP_HIGH,
    SWEEP_LOW,
    SWEEP_SEEDS,
    Recorded,
    fill,
    load,
    places,
)
from benchmarks.range_test.peers import PEERS, suggestions
from benchmarks.setting import setting
from lehr.wire.ranges import RangeResult, RangeSpec
from service.ranges.loss_by_rate import Sweep
from service.ranges.range_test import range_test

PER_TEST = 3
SWEPT_DECADES = math.log10(SWEEP_HIGH / SWEEP_LOW)
SLACK = 1e-6
"""The grid's rates are written with three digits in the bounds."""


@dataclass(frozen=True)
class Combination:
    """A range test of a setting on some seeds, and what the grid says. `truth`: the best rate by shape. `blind`: what
    the training loss alone finds.
    """

    setting: str
    seeds: tuple[int, ...]
    found: RangeResult
    blind: RangeResult
    truth: dict[str, float]
    peers: dict[str, float | None]

    def holds(self, shape: str, *, blind: bool = False) -> bool:
        bounds = bounds_of(self.blind if blind else self.found)
        return bounds.low * (1 - SLACK) <= self.truth[shape] <= bounds.high * (1 + SLACK)

    @property
    def decades(self) -> float:
        bounds = bounds_of(self.found)
        return math.log10(bounds.high / bounds.low)


def bounds_of(result: RangeResult) -> RangeSpec:
    """The bounds of a test that found some, as every one here does."""
    assert result.bounds is not None
    return result.bounds


def combinations(bank: list[Recorded]) -> list[Combination]:
    sweeps = {(one.setting, one.seed): one for one in bank if one.shape == "sweep"}
    truth = {name: {shape: best_rate(bank, name, shape) for shape in SHAPES} for name in SETTINGS}
    tests = [SWEEP_SEEDS[start : start + PER_TEST] for start in range(0, len(SWEEP_SEEDS), PER_TEST)]
    made = []
    for name, seeds in itertools.product(SETTINGS, tests):
        swept = [sweeps[name, seed] for seed in seeds]
        sweeps_of_test = [_sweep(one) for one in swept]
        blind = range_test([replace(one, held_out=()) for one in sweeps_of_test])
        peers = suggestions(swept[0].rates, swept[0].losses)
        made.append(Combination(name, seeds, range_test(sweeps_of_test), blind, truth[name], peers))
    return made


def best_rate(bank: list[Recorded], setting: str, shape: str) -> float:
    """The rate with the least mean validation loss over the seeds; one that diverged on any seed is none."""
    values: defaultdict[float, list[float]] = defaultdict(list)
    for one in bank:
        if (one.setting, one.shape) == (setting, shape):
            values[one.rate].append(math.inf if one.value is None else one.value)
    return min(values, key=lambda rate: fmean(values[rate]))


def _sweep(one: Recorded) -> Sweep:
    return Sweep(one.seed, tuple(one.rates), tuple(one.losses), one.losses[-1] is None, tuple(one.held_out))


def report(made: list[Combination], trained: int) -> str:
    count = len(made)
    lines = [
        "# Range tests",
        "",
        f"{setting('torch', 'fastai', 'lightning')}.",
        "`python -m benchmarks.range_test.run --bank FILE --data-dir DIR --output benchmarks/range_test/results.md`",
        "",
        f"{len(SETTINGS)} tasks with their optimizers, {count // len(SETTINGS)} range tests each on other seeds "
        f"({PER_TEST} sweeps of {STEPS} steps from {SWEEP_LOW:g} to {SWEEP_HIGH:g}): {count} combinations. The truth "
        f"is the rate with the least mean validation loss on a grid of quarter decades ({trained} whole trainings), "
        "for a constant rate and for the peak of a cosine.",
        "",
        *_sums(made),
        "",
        "How far suggestions lie from the best rate, in decades, over the same combinations. fastai and Lightning",
        "suggest a rate from one sweep. lehr suggests none: its line is the middle of the bounds.",
        "",
        "| suggestion | constant: median, worst | cosine: median, worst | none given |",
        "| --- | --- | --- | --- |",
        *_distances(made),
        "",
        "| setting | best constant | best cosine | bounds, test by test | constant held | cosine held |",
        "| --- | --- | --- | --- | --- | --- |",
        *(_setting_line(name, [one for one in made if one.setting == name]) for name in SETTINGS),
        "",
        NOTES,
    ]
    return "\n".join(lines)


NOTES = """What is behind the figures:

- The rule (from 1.27 decades below the rate with the least held-out loss to 0.47 above it) was chosen on the first 15
  settings: their shares are optimistic. The other eight were named, and their truth trained, after the anchor and the
  width had been chosen. When most of that truth was there the window was moved up by 0.02 decades, for
  some best rates lay on a bound exactly and were lost to its rounding; from 1.29 below to 0.45 above those are missed.
- What a sweep's training loss shows does not tell where the best constant rate is: by it, breast cancer and digits look
  the same, and their best constants lie a decade and a half apart. Held-out examples know of overfitting.
- The old rule, which still serves scripts that tell no `val_loss` in a sweep, hangs on the middle between the
  steepest and the diverging rate. It was chosen on the same 15 settings for the peaks of cosines, and misses the goal
  for constants.
- Every range test is 4 times narrower than the 7 decades: the width is fixed.
- The truth is uncertain: three seeds, five on the tables, rates a quarter of a decade apart.
- Lightning's rule takes the gradient by the rate itself, not by its logarithm: a sweep that begins at 1e-6 is unkind
  to it.
- Bounds are where a search begins. Where its best trial lies on one, the study's warnings say so."""


def _sums(made: list[Combination]) -> list[str]:
    widths = [one.decades for one in made]
    moves = [move for name in SETTINGS for move in _moves([one for one in made if one.setting == name])]
    parts = [
        ("", made),
        (": settings that chose the rule", [one for one in made if one.setting in CHOSEN_ON]),
        (": settings that did not", [one for one in made if one.setting in CHECKED_ON]),
    ]
    return [
        "| | measured | goal |",
        "| --- | --- | --- |",
        *(
            f"| bounds hold the best rate, {shape}{of} | {_share([one.holds(shape) for one in among])} | 95% |"
            for of, among in parts
            for shape in SHAPES
        ),
        *(
            f"| by the training loss alone, {shape} | {_share([one.holds(shape, blind=True) for one in made])} | |"
            for shape in SHAPES
        ),
        f"| narrower than {SWEPT_DECADES:g} decades | {SWEPT_DECADES / max(widths):.1f} to "
        f"{SWEPT_DECADES / min(widths):.1f} times | 4 |",
        f"| a bound moves from seeds to other seeds | {median(moves):.2f} decades (median), {max(moves):.2f} at most "
        "| 0.5 |",
    ]


def _share(held: list[bool]) -> str:
    return f"{sum(held)} of {len(held)} ({sum(held) / len(held):.0%})"


def _moves(tests: list[Combination]) -> list[float]:
    """How far each bound is from the same one of another test of the setting, in decades."""
    return [
        abs(math.log10(getattr(one.found.bounds, side) / getattr(other.found.bounds, side)))
        for one, other in itertools.combinations(tests, 2)
        for side in ("low", "high")
    ]


def _distances(made: list[Combination]) -> list[str]:
    lines = []
    for name in ("lehr, middle of the bounds", *PEERS):
        given = {id(one): _suggested(one, name) for one in made}
        cells = []
        for shape in SHAPES:
            far = [abs(math.log10(rate / one.truth[shape])) for one in made if (rate := given[id(one)]) is not None]
            cells.append(f"{median(far):.2f}, {max(far):.2f}")
        lines.append(f"| {name} | {' | '.join(cells)} | {sum(rate is None for rate in given.values())} |")
    return lines


def _suggested(one: Combination, name: str) -> float | None:
    if name in PEERS:
        return one.peers[name]
    bounds = bounds_of(one.found)
    return math.sqrt(bounds.low * bounds.high)


def _setting_line(name: str, tests: list[Combination]) -> str:
    truth = tests[0].truth
    bounds = ", ".join(f"{bounds_of(one.found).low:.2g} to {bounds_of(one.found).high:.2g}" for one in tests)
    held = " | ".join(f"{sum(one.holds(shape) for one in tests)} of {len(tests)}" for shape in SHAPES)
    return f"| {name} | {truth['constant']:.2g} | {truth['cosine']:.2g} | {bounds} | {held} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bank", type=Path, required=True)
    parser.add_argument("--data-dir", type=Path, default=Path("/usr/share/datasets"))
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    fill(given.bank, given.data_dir)
    wanted = set(places())
    bank = [one for one in load(given.bank) if one.place in wanted]
    text = report(combinations(bank), sum(one.shape != "sweep" for one in bank))
    print(text)
    if given.output is not None:
        given.output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
