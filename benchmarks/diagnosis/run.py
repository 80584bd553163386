"""Measures how often the diagnosis of a training is right, on real trainings whose best rate is known from a grid.

    python benchmarks/diagnosis/run.py [--bank /tmp/diagnosis-bank.jsonl] [--data /usr/share/datasets]
                                       [--output benchmarks/diagnosis/results.md]

Nine settings (digits, tables, Fashion-MNIST, text; SGD, Adam, AdamW), four shapes of schedule, eleven rates half a
decade apart, two seeds. The best rate of a setting and a shape is that of the best mean; the others lie a number of
decades above or below it. "Harmful": its mean is more than three standard deviations worse, where the deviation is
that between seeds within a decade of the best rate. "alone": diagnosed from the curve; "in its study": with the trials
of the same setting and shape, on other seeds, as the service does it. The bank is a file that is filled once.
"""

from __future__ import annotations

import argparse
import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import torch

from benchmarks.diagnosis.bank import SEEDS, SETTINGS, Place, Recorded, fill, place_of, train_missing
from benchmarks.setting import setting
from lehr.schedules import schedule_from_dict
from service.diagnosis.neighbours import Tried, neighbours
from service.diagnosis.training_curve import TrialCurve
from service.diagnosis.trial import diagnose

HARMFUL = 3.0
TOO_HIGH = {"rate_too_high", "diverged", "warmup_too_short"}
RATE = {"rate_too_high", "rate_too_low", "diverged", "warmup_too_short"}


@dataclass(frozen=True)
class Judged:
    """A training with its distance from the best rate in half decades, and what was found."""

    one: Recorded
    half_decades: int
    harmful: bool
    alone: frozenset[str]
    in_study: frozenset[str]


def main() -> None:
    arguments = _arguments()
    torch.set_num_threads(1)
    bank = [one for one in fill(arguments.bank, arguments.data) if one.times == 1]
    judged = judge(bank)
    best = [each.one for each in judged if each.half_decades == 0]
    twice = [Place(*place_of(one)[:4], times=2) for one in best]
    longer = {place_of(one): one for one in train_missing(arguments.bank, arguments.data, twice)}
    lines = [_header(len(bank)), "", *_table(judged), "", *_sums(judged), "", *_horizons(judged, longer)]
    text = "\n".join(lines) + "\n"
    print(text)
    if arguments.output:
        Path(arguments.output).write_text(text, encoding="utf-8")


def judge(bank: Iterable[Recorded]) -> list[Judged]:
    grids: dict[tuple[str, str], list[Recorded]] = defaultdict(list)
    for one in bank:
        grids[one.setting, one.shape].append(one)
    return [each for grid in grids.values() for each in _judge_grid(grid)]


def _judge_grid(grid: list[Recorded]) -> list[Judged]:
    means = {rate: fmean(loss(one) for one in grid if one.rate == rate) for rate in {one.rate for one in grid}}
    best = min(means, key=lambda rate: means[rate])
    deviation = _deviation(grid, best)
    found = []
    for one in grid:
        curve = curve_of(one)
        tried = [_tried(other) for other in grid if other.rate != one.rate and other.seed == _seed_beside(one, other)]
        others = neighbours(_tried(one), tried, curve.direction)
        found.append(
            Judged(
                one,
                round(2 * math.log10(one.rate / best)),
                means[one.rate] - means[best] > HARMFUL * deviation,
                frozenset(finding.code for finding in diagnose(curve)),
                frozenset(finding.code for finding in diagnose(curve, others)),
            )
        )
    return found


def _seed_beside(one: Recorded, other: Recorded) -> int:
    """That of the other rate in the study of `one`: the trials of a search have seeds of their own."""
    return (one.seed + round(2 * math.log10(other.rate / one.rate))) % len(SEEDS)


def _deviation(grid: list[Recorded], best: float) -> float:
    """Between seeds, pooled over the rates within a decade of the best."""
    near = {one.rate for one in grid if abs(math.log10(one.rate / best)) < 1.1}
    pairs = [[loss(one) for one in grid if one.rate == rate] for rate in near]
    squares = [(pair[0] - pair[1]) ** 2 / 2 for pair in pairs if all(map(math.isfinite, pair))]
    return max(math.sqrt(fmean(squares)), 1e-9)


def loss(one: Recorded) -> float:
    """The objective's last value, turned so that less is better; infinite where the training diverged."""
    setting = SETTINGS[one.setting]
    value = one.reports[-1]["metrics"][setting.metric]
    if one.state != "COMPLETED" or value is None:
        return math.inf
    return float(value) if setting.direction == "minimize" else -float(value)


def curve_of(one: Recorded) -> TrialCurve:
    setting, schedule = SETTINGS[one.setting], schedule_from_dict(one.schedule)
    return TrialCurve(
        state="DIVERGED" if one.state == "DIVERGED" else "COMPLETED",
        metric=setting.metric,
        direction="minimize" if setting.direction == "minimize" else "maximize",
        horizon_steps=one.horizon_steps,
        max_lr=schedule.max_lr,
        rise_fraction=schedule.rise_fraction,
        steps=[report["step"] for report in one.reports],
        rates=[report["lr"] for report in one.reports],
        train_loss=[report["train_loss"] for report in one.reports],
        metrics={name: [report["metrics"][name] for report in one.reports] for name in one.reports[0]["metrics"]},
    )


def _tried(one: Recorded) -> Tried:
    value = one.reports[-1]["metrics"][SETTINGS[one.setting].metric] if one.state == "COMPLETED" else None
    return Tried(schedule_from_dict(one.schedule).max_lr, value)


def _table(judged: list[Judged]) -> list[str]:
    codes = ["diverged", "rate_too_high", "warmup_too_short", "rate_too_low", "horizon_too_short", "overfits"]
    lines = [
        "Findings by the rate's distance from the best, in its study:",
        "",
        f"| rate | trainings | harmful | {' | '.join(f'`{code}`' for code in codes)} | none |",
        f"|---:|---:|---:|{'---:|' * (len(codes) + 1)}",
    ]
    for distance in sorted({each.half_decades for each in judged}):
        here = [each for each in judged if each.half_decades == distance]
        counts = Counter(code for each in here for code in each.in_study)
        cells = " | ".join(str(counts[code]) for code in codes)
        none = sum(not each.in_study for each in here)
        harmful = sum(each.harmful for each in here)
        lines.append(f"| {10 ** (distance / 2):.2g} x | {len(here)} | {harmful} | {cells} | {none} |")
    return lines


def _sums(judged: list[Judged]) -> list[str]:
    best = [each for each in judged if each.half_decades == 0]
    low = [each for each in judged if each.half_decades <= -2 and each.harmful]
    high = [each for each in judged if each.half_decades >= 2 and each.harmful]
    lines = ["| | trainings | alone | in its study |", "|---|---:|---:|---:|"]
    rows: list[tuple[str, list[Judged], set[str]]] = [
        ("false alarms: the best rate is said to be wrong", best, RATE),
        ("hits: ten times too low or lower, harmful, said to be too low", low, {"rate_too_low"}),
        ("wrong way: the same, said to be too high", low, TOO_HIGH),
        ("hits: ten times too high or higher, harmful, said to be too high", high, TOO_HIGH),
        ("wrong way: the same, said to be too low", high, {"rate_too_low"}),
    ]
    for name, among, codes in rows:
        alone, in_study = (sum(bool(found & codes) for found in column) for column in _columns(among))
        lines.append(f"| {name} | {len(among)} | {alone} | {in_study} |")
    return lines


def _columns(among: list[Judged]) -> tuple[list[frozenset[str]], list[frozenset[str]]]:
    return [each.alone for each in among], [each.in_study for each in among]


def _horizons(judged: list[Judged], longer: dict[Place, Recorded]) -> list[str]:
    lines = [
        "The best rates again, for twice as many epochs: how the held-out loss ended, against the first time.",
        "",
        "| found in its study | trainings | lower by 2% | lower by 10% | median change |",
        "|---|---:|---:|---:|---:|",
    ]
    best = [each for each in judged if each.half_decades == 0]
    for name, kept in (("`horizon_too_short`", True), ("not", False)):
        among = [each for each in best if ("horizon_too_short" in each.in_study) == kept]
        changes = sorted(_change(each.one, longer[Place(*place_of(each.one)[:4], times=2)]) for each in among)
        little, much = (sum(change < -least for change in changes) for least in (0.02, 0.1))
        lines.append(f"| {name} | {len(among)} | {little} | {much} | {changes[len(changes) // 2]:+.0%} |")
    return lines


def _change(one: Recorded, twice: Recorded) -> float:
    short, long = (each.reports[-1]["metrics"]["val_loss"] for each in (one, twice))
    return float(long / short - 1) if short and long is not None else math.inf


def _header(trainings: int) -> str:
    return (
        f"# Diagnosis on real trainings\n\n{setting('torch')}. {trainings} trainings, {len(SETTINGS)} settings, "
        f"{len(SEEDS)} seeds. By `python benchmarks/diagnosis/run.py`."
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bank", type=Path, default=Path("/tmp/diagnosis-bank.jsonl"))
    parser.add_argument("--data", type=Path, default=Path("/usr/share/datasets"))
    parser.add_argument("--output")
    return parser.parse_args()


if __name__ == "__main__":
    main()
