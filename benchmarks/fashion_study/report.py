"""Renders the measurements of `run.py` as a page."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from benchmarks.fashion_study.studies import ARMS, HORIZON, LOOKS, MARGIN, TRUTH_SEEDS, Look, Rule, key
from benchmarks.setting import setting
from lehr.schedules import Schedule

SAMPLES = 2000
"""Of the studies, with replacement, for an interval."""
PERCENT = (2.5, 97.5)
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Course:
    """A search: its answers on the way, the steps spent by then and by its end, its trials by state, why it ended."""

    arm: str
    seed: int
    answers: Mapping[Look, Schedule]
    spent: Mapping[Look, int]
    steps: int
    states: Counter[str]
    reason: str


@dataclass(frozen=True)
class Curve:
    """How good the answers of one kind of search are, by the steps spent. `steps`, `truths`: (looks, studies)."""

    arm: str
    rule: Rule
    looks: tuple[Look, ...]
    steps: Array
    truths: Array

    def steps_to(self, quality: float, chosen: Sequence[int]) -> float:
        """Where the mean over these studies comes down to `quality`, between looks by a line; infinite where never.

        At the first look already: the steps of that one, which is then an upper bound.
        """
        steps = self.steps[:, chosen].mean(axis=1)
        truths = np.minimum.accumulate(self.truths[:, chosen].mean(axis=1))
        reached = np.flatnonzero(truths <= quality)
        if not len(reached):
            return math.inf
        at = int(reached[0])
        if at == 0:
            return float(steps[0])
        part = (truths[at - 1] - quality) / (truths[at - 1] - truths[at])
        return float(steps[at - 1] + part * (steps[at] - steps[at - 1]))


def report(courses: Sequence[Course], truths: Mapping[str, float]) -> list[str]:
    """`truths`: by a schedule's key. Looks of which a truth is missing are left out."""
    curves = _curves(courses, truths)
    plain = next(curve for curve in curves if (curve.arm, curve.rule) == ("plain", "luckiest"))
    tables = (_head(courses), _spent(courses), _qualities(curves), _gains(curves), _ratios(curves, plain))
    return [line for table in tables for line in (*table, "")][:-1]


def _head(courses: Sequence[Course]) -> list[str]:
    studies = len({course.seed for course in courses})
    return [
        "# Whole studies of Fashion-MNIST through the service",
        "",
        f"{setting('torch', 'optuna', 'numpy')}. By `python -m benchmarks.fashion_study.run --data DIR`.",
        "",
        f"{studies} studies of each kind. MLP 784-128-10, SGD with momentum 0.9, 2,048 images in batches of 128, "
        f"{HORIZON} steps; val_loss on 3,000 images held out. The true quality of an answer is the mean of "
        f"{TRUTH_SEEDS} trainings with fresh seeds.",
    ]


def _spent(courses: Sequence[Course]) -> list[str]:
    lines = [
        "| search | steps spent, in whole trainings | trials | pruned | diverged | stopped as converged |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for arm in ARMS:
        own = [course for course in courses if course.arm == arm]
        if not own:
            continue
        spent = np.mean([course.steps for course in own]) / HORIZON
        trials = np.mean([sum(course.states.values()) for course in own])
        pruned, diverged = (np.mean([course.states[state] for course in own]) for state in ("PRUNED", "DIVERGED"))
        converged = sum("converged" in course.reason for course in own)
        lines.append(
            f"| {arm} | {spent:.1f} | {trials:.1f} | {pruned:.1f} | {diverged:.1f} | {converged} of {len(own)} |"
        )
    return lines


def _qualities(curves: Sequence[Curve]) -> list[str]:
    budgets = sorted({look.trainings for curve in curves for look in curve.looks})
    lines = [
        "True quality of the answer by the steps spent, in whole trainings: mean over the studies, and median.",
        "",
        "| search | answer | " + " | ".join(map(str, budgets)) + " |",
        "|---|---|" + "---:|" * len(budgets),
    ]
    for curve in curves:
        by_budget = dict(zip([look.trainings for look in curve.looks], curve.truths, strict=True))
        cells = (
            f"{by_budget[budget].mean():.4f}, {np.median(by_budget[budget]):.4f}" if budget in by_budget else ""
            for budget in budgets
        )
        lines.append(f"| {curve.arm} | {curve.rule} | {' | '.join(cells)} |")
    return lines


def _gains(curves: Sequence[Curve]) -> list[str]:
    """How much worse lehr's last answers are than plain TPE's, of either kind."""
    lines = []
    for curve in (curve for curve in curves if curve.arm != "plain"):
        for plain in (curve for curve in curves if curve.arm == "plain"):
            worse = curve.truths[-1] - plain.truths[-1]
            half = float(student.ppf(0.975, len(worse) - 1)) * worse.std(ddof=1) / len(worse) ** 0.5
            parts = curve.steps[-1].sum() / plain.steps[-1].sum()
            lines.append(
                f"- `{curve.arm}` with {parts:.2f} of the steps ends {worse.mean():+.4f} ± {half:.4f} from `plain`'s "
                f"{plain.rule} answer after {plain.looks[-1].trainings} trainings (median {np.median(worse):+.4f}), "
                f"better in {int((worse < 0).sum())} of {len(worse)} studies: {_verdict(float(worse.mean()) + half)}."
            )
    return [
        f"Paired by seed, with the 95% interval. The same quality is within {MARGIN}, set beforehand:",
        "",
        *lines,
    ]


def _verdict(most: float) -> str:
    """`most`: how much worse it may be, the upper end of the interval."""
    if most < 0:
        return "better"
    return f"at most {most:.4f} worse, {'the same quality' if most <= MARGIN else 'not shown to be the same quality'}"


def _ratios(curves: Sequence[Curve], plain: Curve) -> list[str]:
    levels = [look.trainings for look in plain.looks]
    lines = [
        "Steps to the quality that plain TPE's luckiest trial has after so many trainings' steps, as a part of the "
        f"steps that plain TPE takes to it, and the 95% interval of {SAMPLES} samples of the studies. `never`: the "
        "search did not get there with the steps it had.",
        "",
        "| search | answer | " + " | ".join(f"plain at {level}" for level in levels) + " |",
        "|---|---|" + "---:|" * len(levels),
    ]
    drawn = random.Random(0)
    studies = plain.truths.shape[1]
    samples = [list(range(studies))]
    samples += [drawn.choices(range(studies), k=studies) for _ in range(SAMPLES)]
    for curve in curves:
        if curve is not plain:
            cells = (_ratio(curve, plain, at, samples) for at in range(len(levels)))
            lines.append(f"| {curve.arm} | {curve.rule} | {' | '.join(cells)} |")
    return lines


def _ratio(curve: Curve, plain: Curve, at: int, samples: Sequence[Sequence[int]]) -> str:
    found = []
    for chosen in samples:
        quality = float(plain.truths[at, chosen].mean())
        found.append(curve.steps_to(quality, chosen) / plain.steps_to(quality, chosen))
    low, high = np.percentile(found[1:], PERCENT, method="nearest")
    return f"{_part(found[0])} ({_part(low)} to {_part(high)})"


def _part(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "never"


def _curves(courses: Sequence[Course], truths: Mapping[str, float]) -> list[Curve]:
    curves = []
    for arm, rule in dict.fromkeys((look.arm, look.rule) for look in LOOKS):
        own = [course for course in courses if course.arm == arm]
        looks = tuple(
            look
            for look in sorted(LOOKS, key=lambda look: look.trainings)
            if (look.arm, look.rule) == (arm, rule) and all(key(one.answers[look]) in truths for one in own)
        )
        if own and looks:
            steps = np.array([[one.spent[look] for one in own] for look in looks], dtype=np.float64)
            values = np.array([[truths[key(one.answers[look])] for one in own] for look in looks])
            curves.append(Curve(arm, rule, looks, steps, values))
    return curves
