"""Measures whether cooldowns should share one stable run: what branching saves, and what it loses.

    python -m benchmarks.fidelity.branches --bank DIR [--output benchmarks/fidelity/branches.md]

A grid of warm-up-stable-decay schedules (12 peaks; cooldowns over five fractions of the horizon in three shapes), each
trained with 40 seeds on the digits and on a part of Fashion-MNIST, if it is there. A cooldown that branches from a
checkpoint of another run with the same seed equals the whole training with that seed (checked here first, on the
workers' own code): so a table of whole trainings contains every branch. Searches that spend the same steps are then
drawn from it in four ways:

    whole     each training has a different peak, cooldown and seed
    branches  a peak's stable run is trained once with one seed, and all 15 cooldowns branch from it
    three     the same with three cooldowns, drawn anew for each peak
    then      half of the steps on whole trainings with the default cooldown; then cooldowns that branch from the
              existing stable run of the best of them

Their answer is the schedule with the least loss seen; its regret is that of its mean over all seeds, in units of one
training's noise.
"""

from __future__ import annotations

import argparse
import copy
import random
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr

from benchmarks.honesty.bank import FASHION
from benchmarks.honesty.training import Problem, digits, fashion, train
from benchmarks.setting import setting
from lehr.schedules import Schedule
from lehr.schedules.families.wsd import Wsd
from workers.tasks.digits.params import DigitsParams
from workers.tasks.digits.task import Digits
from workers.training.run import Run

PEAKS = tuple(float(peak) for peak in np.geomspace(0.005, 1.0, 12))
PARTS = (0.1, 0.2, 0.3, 0.4, 0.5)
SHAPES = ("linear", "cosine", "sqrt")
COOLDOWNS = tuple((part, shape) for part in PARTS for shape in SHAPES)
DEFAULT = COOLDOWNS.index((0.2, "linear"))
WARMUP = 0.05
SEEDS = 40
BUDGETS = (5, 10, 20, 40)
SEARCHES = 2000
CHECKED_SEED = 5

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Table:
    """`losses`: (peaks, cooldowns, seeds), infinite where a training diverged."""

    name: str
    losses: Array

    @property
    def truth(self) -> Array:
        means: Array = self.losses.mean(axis=2)
        return means

    @property
    def noise(self) -> float:
        """The deviation of one training, over the ten best schedules."""
        flat = self.losses.reshape(-1, self.losses.shape[2])
        return float(flat[np.argsort(flat.mean(axis=1))[:10]].std(axis=1, ddof=1).mean())


Seen = list[tuple[float, int, int]]
"""What a search has seen: loss, peak, cooldown."""


def main() -> None:
    arguments = _arguments()
    torch.set_num_threads(1)
    apart = branch_error()
    problems = [digits(), *([fashion(FASHION)] if FASHION.exists() else [])]
    lines = report([table(problem, arguments.bank) for problem in problems], apart)
    print("\n".join(lines))
    if arguments.output:
        arguments.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


def schedule(peak: float, cooldown: tuple[float, str]) -> Schedule:
    part, shape = cooldown
    return Wsd(
        start_lr=peak / 25,
        peak_lr=peak,
        end_lr=peak / 1000,
        warmup_fraction=WARMUP,
        cooldown_fraction=part,
        cooldown=shape,  # type: ignore[arg-type]
    )


def branch_error() -> float:
    """The largest difference of the last loss between a branch and the whole training that it stands for."""
    task = Digits(DigitsParams(epochs=10, batch_size=64, hidden=32))
    device = torch.device("cpu")
    trunk = Run(task, schedule(0.1, (0.1, "linear")), CHECKED_SEED, device)
    while trunk.step < 0.5 * trunk.horizon_steps:
        trunk.advance()
    errors = []
    for cooldown in COOLDOWNS:
        whole = Run(task, schedule(0.1, cooldown), CHECKED_SEED, device)
        branch = Run(task, schedule(0.1, cooldown), CHECKED_SEED, device)
        branch.restore(copy.deepcopy(trunk.state()))
        errors.append(abs(_last_loss(whole) - _last_loss(branch)))
    return max(errors)


def _last_loss(run: Run) -> float:
    loss = float("nan")
    while not run.finished:
        if (report := run.advance()) is not None:
            loss = float(report.metrics["val_loss"] or float("inf"))
    return loss


def table(problem: Problem, folder: Path) -> Table:
    """Trained peak by peak, and kept: stopped at any time, it goes on where it was."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for at, peak in enumerate(PEAKS):
        path = folder / f"{problem.name}-{at}.npy"
        if not path.exists():
            schedules = [schedule(peak, cooldown) for cooldown in COOLDOWNS]
            partial = path.with_suffix(".part.npy")
            np.save(partial, train(problem, schedules, list(range(SEEDS)))["loss"])
            partial.rename(path)
        rows.append(np.load(path))
    losses = np.stack(rows)
    return Table(problem.name, np.where(np.isnan(losses), np.inf, losses))


def whole(table: Table, steps: float, drawn: random.Random) -> Seen:
    return [_one(table, drawn.randrange(len(PEAKS)), drawn.randrange(len(COOLDOWNS)), drawn) for _ in range(int(steps))]


def branches(table: Table, steps: float, drawn: random.Random, count: int = len(COOLDOWNS)) -> Seen:
    """Stable runs of random peaks with `count` cooldowns each; of the last one, what the steps suffice for."""
    seen: Seen = []
    while steps >= 1:
        peak, seed = drawn.randrange(len(PEAKS)), drawn.randrange(SEEDS)
        cooldowns = drawn.sample(range(len(COOLDOWNS)), count)
        steps -= 1 - min(COOLDOWNS[cooldown][0] for cooldown in cooldowns)
        for cooldown in cooldowns:
            if steps >= COOLDOWNS[cooldown][0]:
                steps -= COOLDOWNS[cooldown][0]
                seen.append((float(table.losses[peak, cooldown, seed]), peak, cooldown))
    return seen


def three(table: Table, steps: float, drawn: random.Random) -> Seen:
    return branches(table, steps, drawn, 3)


def then(table: Table, steps: float, drawn: random.Random) -> Seen:
    first = int(np.ceil(steps / 2))
    seeds = [drawn.randrange(SEEDS) for _ in range(first)]
    peaks = [drawn.randrange(len(PEAKS)) for _ in range(first)]
    seen: Seen = [(float(table.losses[p, DEFAULT, s]), p, DEFAULT) for p, s in zip(peaks, seeds, strict=True)]
    _, peak, seed = min((loss, peak, seed) for (loss, peak, _), seed in zip(seen, seeds, strict=True))
    steps -= first
    for cooldown in drawn.sample(range(len(COOLDOWNS)), len(COOLDOWNS)):
        # A checkpoint at the default cooldown's start serves the shorter ones; an earlier one the longer.
        if steps >= COOLDOWNS[cooldown][0] and cooldown != DEFAULT:
            steps -= COOLDOWNS[cooldown][0]
            seen.append((float(table.losses[peak, cooldown, seed]), peak, cooldown))
    return seen + whole(table, steps, drawn)


WAYS: dict[str, Callable[[Table, float, random.Random], Seen]] = {
    "whole": whole,
    "branches": branches,
    "three": three,
    "then": then,
}


def regret(table: Table, way: str, budget: int) -> float:
    """The mean over searches, in units of one training's noise; a diverging answer counts as the worst finite one."""
    truth = np.where(np.isfinite(table.truth), table.truth, table.truth[np.isfinite(table.truth)].max())
    lost = []
    for seed in range(SEARCHES):
        _, peak, cooldown = min(WAYS[way](table, budget, random.Random(f"{way}:{seed}")))
        lost.append(float(truth[peak, cooldown] - truth.min()))
    return statistics.mean(lost) / table.noise


def ranking(table: Table, *, shared: bool) -> float:
    """Spearman's of one training of each cooldown with the truth, at the three best peaks: one seed for all, or not."""
    drawn = np.random.default_rng(0)
    best = np.argsort(np.sort(table.truth, axis=1)[:, 0])[:3]
    found = []
    for peak in best:
        for _ in range(300):
            seeds = np.full(len(COOLDOWNS), drawn.integers(SEEDS)) if shared else drawn.integers(SEEDS, size=15)
            seen = table.losses[peak, np.arange(len(COOLDOWNS)), seeds]
            found.append(spearmanr(seen, table.truth[peak]).statistic)
    return float(np.mean(found))


def report(tables: list[Table], apart: float) -> list[str]:
    lines = [
        "# Cooldowns that share a stable run",
        "",
        f"{setting('torch', 'numpy')}. By `python -m benchmarks.fidelity.branches --bank DIR`.",
        "",
        f"{len(PEAKS)} peaks, {len(COOLDOWNS)} cooldowns, {SEEDS} seeds. A branch and the whole training that it "
        f"stands for end at losses {apart:.1g} apart. All {len(COOLDOWNS)} cooldowns of a peak cost "
        f"{_share():.1f} trainings as branches. Regret in units of one training's noise, {SEARCHES} searches each.",
        "",
        "| data | ways | " + " | ".join(f"after {budget} trainings' steps" for budget in BUDGETS) + " |",
        "|---|---|" + "---:|" * len(BUDGETS),
    ]
    for one in tables:
        for way in WAYS:
            values = " | ".join(f"{regret(one, way, budget):.2f}" for budget in BUDGETS)
            lines.append(f"| {one.name} | {way} | {values} |")
    return [*lines, "", *(line for one in tables for line in _about(one))]


def _share() -> float:
    return 1 - min(PARTS) + sum(part for part, _ in COOLDOWNS)


def _about(table: Table) -> list[str]:
    peak, cooldown = np.unravel_index(int(np.argmin(table.truth)), table.truth.shape)
    row, column = table.truth[peak] / table.noise, table.truth[:, cooldown] / table.noise
    apart = column[np.isfinite(column)].max() - column.min()
    by_part = ", ".join(
        f"{part:g}: {PEAKS[int(np.argmin(table.truth[:, at * len(SHAPES)]))]:.3f}" for at, part in enumerate(PARTS)
    )
    return [
        f"- {table.name}: one training's noise is {table.noise:.4f}. At the best peak, the true losses of the "
        f"{len(COOLDOWNS)} cooldowns differ by {row.max() - row.min():.1f} of it, the default being "
        f"{row[DEFAULT] - row.min():.1f} from the best; with the best cooldown, those of the peaks by {apart:.0f}. "
        f"One training of each cooldown of a peak ranks them with Spearman's {ranking(table, shared=True):.2f} on one "
        f"stable run, {ranking(table, shared=False):.2f} on runs of their own. The best peak by the part that cools "
        f"down (linear): {by_part}."
    ]


def _one(table: Table, peak: int, cooldown: int, drawn: random.Random) -> tuple[float, int, int]:
    return float(table.losses[peak, cooldown, drawn.randrange(SEEDS)]), peak, cooldown


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--bank", type=Path, required=True, help="folder of the trained losses, made if it is not there"
    )
    parser.add_argument("--output", type=Path, default=None)
    return parser.parse_args()


if __name__ == "__main__":
    main()
