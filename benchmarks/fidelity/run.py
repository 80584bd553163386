"""Measures how well cheaper trainings predict whole ones: early reports, shorter horizons, forecasts by the law.

    python benchmarks/pruning/bank.py BANK.jsonl
    python benchmarks/fidelity/run.py BANK.jsonl --short SHORT.jsonl [--output benchmarks/fidelity/results.md]

For a fraction of the whole steps: how well each predictor ranks the final losses (Spearman's coefficient, over all
families, within the better half, and the mean within families), and how often the best of 60 schedules is in the best
third by it. `report`: the loss reported at that phase. `shorter`: the last loss of the same schedule trained over such
a short horizon (trained here, and cached in SHORT). `law`: the forecast from the reports up to that phase, by a law
fitted to 24 other trainings; if there is no forecast, the report takes its place.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr

from benchmarks.pruning.bank import FAMILIES, PARAMS, SEED, read_bank
from benchmarks.setting import setting
from lehr.schedules import schedule_from_dict
from service.forecast.fitted_curves import rates_of
from service.forecast.forecaster import Forecast, Forecaster
from service.search.law import LossCurve
from workers.tasks.digits.params import DigitsParams
from workers.tasks.digits.task import Digits
from workers.training.run import DivergedError, Run

PARTS = (0.25, 0.5)
WORST = 1e3
STUDIES = 60
FITTED = 24


@dataclass(frozen=True)
class Known:
    """By training, in the bank's order: what is known by then. `doubted`: the part that the law had no word for."""

    values: np.ndarray
    doubted: float = 0.0


def main() -> None:
    arguments = _arguments()
    torch.set_num_threads(1)
    bank = read_bank(arguments.bank)
    short = trained_short(bank, arguments.short, arguments.each)
    lines = report(bank, short)
    print("\n".join(lines))
    if arguments.output:
        arguments.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


def trained_short(bank: Sequence[dict[str, Any]], path: Path, each: int) -> dict[tuple[float, str, int], float]:
    """Last losses over shorter horizons of the first schedules of each family; the file is appended to."""
    known = {(one["part"], one["family"], one["index"]): one["loss"] for one in read_bank(path)}
    with path.open("a", encoding="utf-8") as file:
        for part in PARTS:
            for one in bank:
                place = (part, one["family"], one["index"])
                if one["index"] >= each or place in known:
                    continue
                known[place] = last_loss(one["schedule"], round(part * PARAMS["epochs"]))
                told = {"part": part, "family": one["family"], "index": one["index"], "loss": known[place]}
                file.write(json.dumps(told) + "\n")
                file.flush()
    return known


def last_loss(schedule: dict[str, Any], epochs: int) -> float:
    params = DigitsParams.model_validate({**PARAMS, "epochs": epochs})
    run = Run(Digits(params), schedule_from_dict(schedule), SEED, torch.device("cpu"))
    loss = WORST
    try:
        while not run.finished:
            if (report := run.advance()) is not None:
                loss = float(report.metrics["val_loss"] or WORST)
    except DivergedError:
        return WORST
    return loss


def report(bank: list[dict[str, Any]], short: dict[tuple[float, str, int], float]) -> list[str]:
    finals = np.array([WORST if one["diverged"] else one["reports"][-1]["val_loss"] for one in bank])
    lines = [
        "# What cheaper trainings tell",
        "",
        f"{setting('torch', 'scipy')}. By `python benchmarks/pruning/bank.py BANK` and then "
        "`python benchmarks/fidelity/run.py BANK --short SHORT`.",
        "",
        f"{len(bank)} trainings of {len(FAMILIES)} families (digits, MLP, {bank[0]['horizon_steps']} steps, val_loss). "
        f"The best third: in {STUDIES} studies of 60 schedules. Not known: the part for which the law had no word.",
        "",
        "| part of the steps | by | trainings | Spearman, all | better half | within families | "
        "best among the best third | not known |",
        "|---:|---|---:|---:|---:|---:|---:|---:|",
    ]
    for part in PARTS:
        chosen = [index for index, one in enumerate(bank) if (part, one["family"], one["index"]) in short]
        ways = {
            "report": (range(len(bank)), reported(bank, part)),
            "law": (range(len(bank)), forecast(bank, part)),
            "report, the same trainings": (chosen, reported(bank, part)),
            "shorter": (chosen, shorter(bank, short, part)),
        }
        for name, (indices, known) in ways.items():
            lines.append(f"| {part:g} | {name} | {len(indices)} | {row(bank, finals, known, list(indices))} |")
    rates = ", ".join(f"{part:g} of the horizon {drift(bank, finals, short, part):.3f}" for part in (*PARTS, 1.0))
    return [*lines, "", f"Highest rate of the best ten of these {len(chosen)} (geometric mean), trained over {rates}."]


def drift(
    bank: Sequence[dict[str, Any]], finals: np.ndarray, short: dict[tuple[float, str, int], float], part: float
) -> float:
    chosen = [index for index, one in enumerate(bank) if (PARTS[0], one["family"], one["index"]) in short]
    losses = finals if part == 1 else shorter(bank, short, part).values
    best = sorted(chosen, key=lambda index: float(losses[index]))[:10]
    return float(np.exp(np.mean([np.log(schedule_from_dict(bank[index]["schedule"]).max_lr) for index in best])))


def row(bank: Sequence[dict[str, Any]], finals: np.ndarray, known: Known, indices: list[int]) -> str:
    ends, values = finals[indices], known.values[indices]
    better = ends <= np.median(ends)
    families = np.array([bank[index]["family"] for index in indices])
    within = [spearmanr(values[families == one], ends[families == one]).statistic for one in sorted(set(families))]
    kept = []
    for seed in range(STUDIES):
        drawn = np.array(random.Random(seed).sample(range(len(indices)), min(60, len(indices))))
        best = drawn[np.argmin(ends[drawn])]
        kept.append(np.sum(values[drawn] < values[best]) < len(drawn) / 3)
    every, half = spearmanr(values, ends).statistic, spearmanr(values[better], ends[better]).statistic
    doubted = f"{known.doubted:.0%}" if known.doubted else ""
    return f"{every:.2f} | {half:.2f} | {np.nanmean(within):.2f} | {np.mean(kept):.0%} | {doubted}"


def reported(bank: Sequence[dict[str, Any]], part: float) -> Known:
    return Known(np.array([_at(one, part)[-1] if len(_at(one, part)) else WORST for one in bank]))


def shorter(bank: Sequence[dict[str, Any]], short: dict[tuple[float, str, int], float], part: float) -> Known:
    return Known(np.array([short.get((part, one["family"], one["index"]), WORST) for one in bank]))


def forecast(bank: Sequence[dict[str, Any]], part: float) -> Known:
    """Each training by a law of others, drawn anew for each hundred."""
    values, doubted = reported(bank, part).values.copy(), 0
    whole = [index for index, one in enumerate(bank) if not one["diverged"]]
    for start in range(0, len(whole), 100):
        asked = whole[start : start + 100]
        others = random.Random(start).sample([index for index in whole if index not in set(asked)], FITTED)
        forecaster = Forecaster.of([_curve(bank[index], 1.0) for index in others], bank[0]["horizon_steps"])
        for index in asked:
            told = forecaster.follow(_curve(bank[index], part)) if isinstance(forecaster, Forecaster) else forecaster
            if isinstance(told, Forecast):
                values[index] = told.value
            else:
                doubted += 1
    return Known(values, doubted / len(whole))


def _curve(one: dict[str, Any], part: float) -> LossCurve:
    grid, rates = rates_of(schedule_from_dict(one["schedule"]), one["horizon_steps"])
    losses = _at(one, part)
    steps = np.array([report["step"] for report in one["reports"][: len(losses)]], dtype=np.float64)
    return LossCurve(grid, rates, steps, losses)


def _at(one: dict[str, Any], part: float) -> np.ndarray:
    """The losses reported by that part of the horizon."""
    last = part * one["horizon_steps"]
    kept = [report["val_loss"] for report in one["reports"] if report["step"] + 1 <= last]
    return np.array([WORST if value is None else value for value in kept], dtype=np.float64)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("bank", type=Path, help="made by benchmarks/pruning/bank.py")
    parser.add_argument("--short", type=Path, required=True, help="where the shorter trainings are kept")
    parser.add_argument("--each", type=int, default=12, help="schedules of each family trained over shorter horizons")
    parser.add_argument("--output", type=Path, help="write the table there, too")
    return parser.parse_args()


if __name__ == "__main__":
    main()
