"""Renders the page of `horizons`: the true losses by plan, and their differences from plain TPE."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from benchmarks.setting import setting

BUDGETS = (10, 20, 40)
"""Whole trainings' worth of steps."""

Known = Mapping[str, list[list[float]]]


def page(known: Known, problems: Sequence[tuple[str, int]], plans: Sequence[str], seeds: int) -> list[str]:
    """`problems`: name and horizon in steps. The first plan is what the others are compared with."""
    lines = [
        "# Searching over shorter horizons",
        "",
        f"{setting('torch', 'optuna')}. By "
        f"`python -m benchmarks.fidelity.horizons --cache FILE.jsonl --seeds {seeds}`.",
        "",
        "True validation loss (cross-entropy, mean over ten fresh seeds) of the confirmed answer after at most so many "
        f"whole trainings' worth of steps: mean over {seeds} searches; in brackets how far it is from plain TPE, by "
        "pairs of the same seed, ± the standard error of that. Less is better.",
    ]
    for problem, horizon in problems:
        if any(f"{problem}: {plan}, {budget}" not in known for plan in plans for budget in BUDGETS):
            continue
        (tops,) = known[f"{problem}: best rates"]
        rates = ", ".join(f"{top:.3f}" for top in tops)
        lines += [
            "",
            f"**{problem}**, {horizon} steps. Highest rate of the best tenth of 144 schedules over a quarter, a half "
            f"and all of the horizon: {rates}.",
            "",
            "| plan | " + " | ".join(str(budget) for budget in BUDGETS) + " | drift found, after each |",
            "|---|" + "---:|" * len(BUDGETS) + "---:|",
        ]
        lines += [_row(known, problem, plan, plans[0]) for plan in plans]
    return lines


def _row(known: Known, problem: str, plan: str, plain: str) -> str:
    cells, drifts = [], []
    for budget in BUDGETS:
        rows = known[f"{problem}: {plan}, {budget}"]
        apart = [row[0] - other[0] for row, other in zip(rows, known[f"{problem}: {plain}, {budget}"], strict=True)]
        cell = f"{statistics.fmean(row[0] for row in rows):.4f}"
        if plan != plain:
            cell += f" ({statistics.fmean(apart):+.4f} ± {statistics.stdev(apart) / len(apart) ** 0.5:.4f})"
        cells.append(cell)
        found = [row[1] for row in rows if row[1] == row[1]]
        if found:
            drifts.append(f"{statistics.fmean(found):.2f} ± {statistics.stdev(found):.2f}")
    return f"| {plan} | {' | '.join(cells)} | {', '.join(drifts)} |"
