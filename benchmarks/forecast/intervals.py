"""Measures how often trainings end within the forecast's 90% interval, and how often there is no forecast.

    python benchmarks/pruning/bank.py BANK.jsonl
    python benchmarks/forecast/intervals.py --curves DIR --bank BANK.jsonl [--output benchmarks/forecast/intervals.md]

For the curves of DIR (see `run.py`), the server's forecaster is fitted to every choice of five of the schedules of
24,000 steps or fewer, and predicts all others, including those of three times the length. For the bank, trainings of a
small network that the law does not describe well, it is fitted to 24 random ones and predicts 40 others, before they
have reported anything and after a half and three quarters of their steps.
"""

from __future__ import annotations

import argparse
import itertools
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.forecast.run import read_curve
from benchmarks.pruning.bank import read_bank
from benchmarks.setting import setting
from lehr.schedules import schedule_from_dict
from service.forecast.fitted_curves import MOST, rates_of
from service.forecast.forecaster import Doubt, Forecast, Forecaster
from service.search.law import LossCurve

FITTED = 5
LONG = "72000"
HORIZON = 24_000
STUDIES = 20
ASKED = 40
PARTS = (0.0, 0.5, 0.75)


@dataclass
class Tally:
    """What was told of trainings that ended so and so."""

    within: list[bool] = field(default_factory=list)
    widths: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    doubts: int = 0

    def add(self, told: Forecast | Doubt, last: float) -> None:
        if isinstance(told, Doubt):
            self.doubts += 1
            return
        self.within.append(told.low <= last <= told.high)
        self.widths.append(told.high - told.low)
        self.errors.append(abs(told.value - last))

    def cells(self) -> str:
        asked = self.doubts + len(self.within)
        if not self.within:
            return f"{asked} | {self.doubts / asked:.0%} | | | "
        return (
            f"{asked} | {self.doubts / asked:.0%} | {np.mean(self.within):.0%} | {np.mean(self.errors):.4f} | "
            f"{np.median(self.widths):.4f}"
        )


def main() -> None:
    arguments = _arguments()
    rows = [*of_curves(arguments.curves), *of_bank(read_bank(arguments.bank))]
    lines = report(rows)
    print("\n".join(lines))
    if arguments.output:
        arguments.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


def of_curves(folder: Path) -> Iterable[tuple[str, Tally]]:
    for model in sorted(path for path in folder.iterdir() if path.is_dir()):
        curves: dict[str, LossCurve] = {path.stem: read_curve(path) for path in sorted(model.glob("*.csv"))}
        short, long = Tally(), Tally()
        for fitted in itertools.combinations([name for name in curves if not name.endswith(LONG)], FITTED):
            forecaster = Forecaster.of([curves[name] for name in fitted], HORIZON)
            for name in curves.keys() - set(fitted):
                told = _told(forecaster, curves[name], 0.0)
                (long if name.endswith(LONG) else short).add(told, float(curves[name].losses[-1]))
        yield f"{model.name}, up to the same horizon", short
        yield f"{model.name}, three times the horizon", long


def of_bank(bank: list[dict[str, Any]]) -> Iterable[tuple[str, Tally]]:
    whole = [one for one in bank if not one["diverged"]]
    for loss in ("val_loss", "train_loss"):
        tallies = {part: Tally() for part in PARTS}
        for seed in range(STUDIES):
            drawn = random.Random(seed).sample(whole, MOST + ASKED)
            forecaster = Forecaster.of([_curve(one, loss) for one in drawn[:MOST]], whole[0]["horizon_steps"])
            for curve, part in itertools.product((_curve(one, loss) for one in drawn[MOST:]), PARTS):
                tallies[part].add(_told(forecaster, curve, part), float(curve.losses[-1]))
        for part, tally in tallies.items():
            yield f"digits, {loss}, " + (f"after {part:.0%} of the steps" if part else "before it starts"), tally


def _told(forecaster: Forecaster | Doubt, curve: LossCurve, part: float) -> Forecast | Doubt:
    if isinstance(forecaster, Doubt):
        return forecaster
    if not part:
        return forecaster.foresee(curve.grid, curve.rates)
    count = round(part * len(curve.losses))
    return forecaster.follow(LossCurve(curve.grid, curve.rates, curve.steps[:count], curve.losses[:count]))


def _curve(one: dict[str, Any], loss: str) -> LossCurve:
    grid, rates = rates_of(schedule_from_dict(one["schedule"]), one["horizon_steps"])
    steps, losses = zip(*((report["step"], report[loss]) for report in one["reports"]), strict=True)
    return LossCurve(grid, rates, np.array(steps, dtype=np.float64), np.array(losses, dtype=np.float64))


def report(rows: list[tuple[str, Tally]]) -> list[str]:
    return [
        "# Intervals of forecasts",
        "",
        f"{setting('numpy', 'scipy')}. By `python benchmarks/forecast/intervals.py --curves DIR --bank BANK`.",
        "",
        "The 90% interval should hold nine of ten trainings of which a forecast is given.",
        "",
        "| trainings | asked | not known | within the interval | mean error | width of the interval |",
        "|---|---:|---:|---:|---:|---:|",
        *(f"| {name} | {tally.cells()} |" for name, tally in rows),
    ]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--curves", type=Path, required=True, help="a folder of folders of CSV files")
    parser.add_argument("--bank", type=Path, required=True, help="made by benchmarks/pruning/bank.py")
    parser.add_argument("--output", type=Path, help="write the table there, too")
    return parser.parse_args()


if __name__ == "__main__":
    main()
