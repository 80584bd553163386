"""Measures how well the law of the schedule forecasts trainings that it was not fitted to.

    python benchmarks/forecast/run.py --curves DIR [--output benchmarks/forecast/results.md]

DIR has a folder for each model, with a CSV file (step, lr, loss) for each schedule: for example those of the
MultiPowerLaw repository (arXiv 2503.12811). The server's law is fitted to three schedules: cosine and constant over
24,000 steps, and a run whose rate drops once (each of those present in turn). It predicts all others, including those
of three times the length. Reported: the mean absolute error over each predicted curve, the error of its last loss, how
many pairs of last losses are ranked wrong, and the time of the fit.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.setting import setting
from service.search.law import LossCurve, fit_law

FITTED = ("cosine_24000", "constant_24000")
TWO_STAGE = "wsdcon_"


@dataclass(frozen=True)
class Outcome:
    """One fit: errors by curve that was predicted, (mean absolute, at the end)."""

    model: str
    two_stage: str
    seconds: float
    errors: dict[str, tuple[float, float]]
    misranked: int

    @property
    def mean_error(self) -> float:
        return statistics.fmean(mean for mean, _ in self.errors.values())


def main() -> int:
    arguments = _arguments()
    outcomes = []
    for folder in sorted(path for path in arguments.curves.iterdir() if path.is_dir()):
        curves = {path.stem: read_curve(path) for path in sorted(folder.glob("*.csv"))}
        outcomes += [measured(folder.name, curves, name) for name in curves if name.startswith(TWO_STAGE)]
    lines = report(outcomes)
    print("\n".join(lines))
    if arguments.output:
        arguments.output.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0 if all(outcome.mean_error <= 0.005 and not outcome.misranked for outcome in outcomes) else 1


def read_curve(path: Path) -> LossCurve:
    """A file's curve. What lies before its first line is taken for a linear warm-up."""
    step, rate, loss = np.loadtxt(path, delimiter=",", skiprows=1, unpack=True)
    return LossCurve(np.concatenate([[0.0], step]), np.concatenate([[0.0], rate]), step, loss)


def measured(model: str, curves: dict[str, LossCurve], two_stage: str) -> Outcome:
    fitted = (*FITTED, two_stage)
    start = time.perf_counter()
    law = fit_law([curves[name] for name in fitted])
    seconds = time.perf_counter() - start
    predicted = {
        name: law.predict(curve.grid, curve.rates, curve.steps) for name, curve in curves.items() if name not in fitted
    }
    errors = {
        name: (float(np.abs(values - curves[name].losses).mean()), float(values[-1] - curves[name].losses[-1]))
        for name, values in predicted.items()
    }
    pairs = itertools.combinations(predicted, 2)
    misranked = sum(
        (predicted[one][-1] - predicted[other][-1]) * (curves[one].losses[-1] - curves[other].losses[-1]) < 0
        for one, other in pairs
    )
    return Outcome(model, two_stage, seconds, errors, misranked)


def report(outcomes: list[Outcome]) -> list[str]:
    lines = [
        "# Forecasts by the law of the schedule",
        "",
        f"{setting('numpy', 'scipy')}. By `python benchmarks/forecast/run.py --curves DIR`.",
        "",
        f"Fitted on {', '.join(FITTED)} and the two-stage run named; the six others are predicted. "
        "To reach: mean absolute error 0.005, no pair misranked, a fit under 1 s.",
        "",
        "| model | two-stage run | mean absolute error | worst curve | worst last loss | pairs misranked | fit s |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for outcome in outcomes:
        worst = max(mean for mean, _ in outcome.errors.values())
        last = max(abs(end) for _, end in outcome.errors.values())
        lines.append(
            f"| {outcome.model} | {outcome.two_stage} | {outcome.mean_error:.4f} | {worst:.4f} | {last:.4f} | "
            f"{outcome.misranked} | {outcome.seconds:.2f} |"
        )
    names = sorted({name for outcome in outcomes for name in outcome.errors})
    lines += ["", "Mean absolute error by curve:", "", "| model | two-stage run | " + " | ".join(names) + " |"]
    lines.append("|---|---|" + "---:|" * len(names))
    for outcome in outcomes:
        cells = [f"{outcome.errors[name][0]:.4f}" if name in outcome.errors else "fitted" for name in names]
        lines.append(f"| {outcome.model} | {outcome.two_stage} | " + " | ".join(cells) + " |")
    return lines


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--curves", type=Path, required=True, help="a folder of folders of CSV files")
    parser.add_argument("--output", type=Path, help="write the table there, too")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
