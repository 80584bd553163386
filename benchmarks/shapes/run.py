"""Compares which samplers and which axes suit schedules, on real trainings of twelve families.

    python benchmarks/shapes/run.py BANK.jsonl [--seeds 16] [--output benchmarks/shapes/results.md]

`benchmarks/pruning/bank.py` makes BANK. A search is the server's own Searcher over the bank's space. Each proposed
schedule is replaced by the nearest one of its family that the search has not had yet, and the search learns that one's
point, so that it knows what was trained. Regret: of the best final loss so far, 0 for the bank's best, 1 for its
median. The axes are compared by how well a Gaussian process over them ranks schedules that it was not fitted to.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from benchmarks.pruning.bank import FAMILIES, read_bank, space
from benchmarks.setting import setting
from lehr.schedules import schedule_from_dict
from service.search.gaussian_process import fit
from service.search.observations import Observation
from service.search.rates import rate_features
from service.search.rung_ranking import rank_scores
from service.search.samplers.surrogate import PRIOR
from service.search.searcher import Searcher
from service.search.sequence import to_unit

Array = NDArray[np.float64]

SAMPLERS = ("random", "qmc", "tpe", "cmaes", "surrogate")
ASKED_AT_ONCE = (1, 8, 64)
READ_AT = (10, 20, 40, 60)
FITTED_TO = (20, 40, 80)
SPLITS = 12
WORST = 1e6
PHASES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
"""Where the rates are read, in parts of the horizon."""
DECADES = 3
"""The width of a usual search, and so of an axis: the prior's lengths are in decades."""


def main() -> None:
    arguments = _arguments()
    bank = read_bank(arguments.bank)
    losses = np.array([WORST if one["diverged"] else one["reports"][-1]["val_loss"] for one in bank])
    lines = [_header(len(bank), arguments.seeds), *_axes_table(bank, losses), ""]
    lines += [f"| search | at once | {' | '.join(map(str, READ_AT))} |", "|---|---:|" + "---:|" * len(READ_AT)]
    for sampler in SAMPLERS:
        for at_once in ASKED_AT_ONCE if sampler in ("tpe", "surrogate") else (1,):
            runs = [regrets(sampler, bank, losses, seed, at_once) for seed in range(arguments.seeds)]
            cells = (f"{statistics.fmean(run[at] for run in runs):.3f}" for at in range(len(READ_AT)))
            lines.append(f"| {sampler} | {at_once} | {' | '.join(cells)} |")
    print("\n".join(lines))
    if arguments.output:
        arguments.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


def regrets(sampler: str, bank: list[dict[str, Any]], losses: Array, seed: int, at_once: int) -> list[float]:
    """The regret after so many trainings; `at_once` are asked before any of them is told."""
    searcher, searched = Searcher(space(), "minimize", sampler, seed, trials_budget=max(READ_AT)), space()
    points = {family: _family_points(searched, bank, family) for family in FAMILIES}
    found: list[float] = []
    scale, free = np.median(losses) - losses.min(), np.ones(len(bank), dtype=bool)
    while len(found) < max(READ_AT):
        batch = [(number, searcher.ask(number)) for number in range(len(found), len(found) + at_once)]
        for number, asked in batch:
            family = asked.schedule.family
            rows, known = points[family]
            rows_free = free[rows]
            if not rows_free.any():
                rows_free[:] = True
            wanted = np.array(
                [
                    to_unit(one, asked.point[one.name])
                    if one.kind != "choice"
                    else one.choices.index(asked.point[one.name])
                    for one in searched.coordinates(family)
                ]
            )
            row = rows[int(np.argmin(np.where(rows_free, ((known - wanted) ** 2).sum(axis=1), np.inf)))]
            free[row] = False
            searcher.tell(_observation(number, bank[row]))
            found.append(float((losses[row] - losses.min()) / scale))
    return [min(found[:count]) for count in READ_AT]


def _family_points(searched: Any, bank: list[dict[str, Any]], family: str) -> tuple[Array, Array]:
    rows = [at for at, one in enumerate(bank) if one["family"] == family]
    axes = searched.coordinates(family)
    known = [
        [
            to_unit(one, bank[at]["point"][one.name])
            if one.kind != "choice"
            else one.choices.index(bank[at]["point"][one.name])
            for one in axes
        ]
        for at in rows
    ]
    return np.array(rows), np.array(known, dtype=float)


def _observation(number: int, trained: dict[str, Any]) -> Observation:
    state: Any = "DIVERGED" if trained["diverged"] else "COMPLETED"
    value = None if trained["diverged"] else trained["reports"][-1]["val_loss"]
    return Observation(number, trained["family"], trained["point"], state, value)


def _axes_table(bank: list[dict[str, Any]], losses: Array) -> list[str]:
    values = np.array(rank_scores(np.argsort(np.argsort(losses)).tolist()))
    axes: dict[str, Callable[[dict[str, Any]], Array]] = {
        "family and its own parameters": _coordinates,
        "rate over highest at the phases": lambda one: _parts(one, 1.0),
        "its root": lambda one: _parts(one, 0.5),
        "the root, the mean and the last rate": _root_mean_last,
        "highest, mean, first and last tenth (used)": lambda one: rate_features(schedule_from_dict(one["schedule"])),
    }
    lines = [f"| axes | {' | '.join(f'{count} known' for count in FITTED_TO)} |", "|---|" + "---:|" * len(FITTED_TO)]
    for name, point in axes.items():
        points = np.array([point(one) for one in bank])
        lines.append(f"| {name} | {' | '.join(f'{_rank(points, values, count):.3f}' for count in FITTED_TO)} |")
    return lines


def _rank(points: Array, values: Array, count: int) -> float:
    found = []
    for split in range(SPLITS):
        order = np.random.default_rng(split).permutation(len(values))
        known, others = order[:count], order[count:]
        process = fit(points[known], values[known], PRIOR)
        assert process is not None
        found.append(float(spearmanr(process.predict(points[others])[0], values[others])[0]))
    return statistics.fmean(found)


def _parts(one: dict[str, Any], power: float) -> Array:
    schedule = schedule_from_dict(one["schedule"])
    parts = [(schedule.lr_at(phase) / schedule.max_lr) ** power for phase in PHASES]
    return np.array([np.log10(schedule.max_lr), *(DECADES * part for part in parts)])


def _root_mean_last(one: dict[str, Any]) -> Array:
    schedule, points = schedule_from_dict(one["schedule"]), _parts(one, 0.5)
    parts = [schedule.lr_at(phase) for phase in PHASES]
    return np.array([points[0], np.log10(np.trapezoid(parts, PHASES)), np.log10(parts[-1]), *points[1:]])


def _coordinates(one: dict[str, Any]) -> Array:
    """The highest rate, every own parameter of any family (the middle where a family lacks it), and the family."""
    searched = space()
    every = {axis.name: axis for family in FAMILIES for axis in searched.coordinates(family)}
    point = [np.log10(schedule_from_dict(one["schedule"]).max_lr) / DECADES]
    for name in sorted(every.keys() - {"start_lr", "peak_lr"}):
        axis, value = every[name], one["point"].get(name)
        if value is None:
            point.append(0.5)
        elif axis.kind == "choice":
            point.append(axis.choices.index(value) / max(1, len(axis.choices) - 1))
        else:
            point.append(to_unit(axis, value))
    return DECADES * np.array([*point, *(0.7 * (one["family"] == family) for family in FAMILIES)])


def _header(count: int, seeds: int) -> str:
    return (
        f"# Samplers and axes for schedules\n\n{setting('optuna', 'scipy')}. "
        "By `python benchmarks/pruning/bank.py BANK` and then "
        f"`python benchmarks/shapes/run.py BANK`.\n\n{count} trainings of {len(FAMILIES)} families (digits, MLP). "
        f"First: rank correlation of predicted and true final losses, mean over {SPLITS} splits. Then: regret after "
        f"so many trainings, mean over {seeds} seeds; nothing is pruned.\n"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("bank", type=Path)
    parser.add_argument("--seeds", type=int, default=16)
    parser.add_argument("--output", type=Path, help="write the tables there, too")
    return parser.parse_args()


if __name__ == "__main__":
    main()
