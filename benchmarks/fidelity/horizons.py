"""Compares a search over shorter horizons, with the drift of the best rate corrected, with plain TPE at equal steps.

    python -m benchmarks.fidelity.horizons --cache FILE.jsonl [--seeds 24] [--output benchmarks/fidelity/horizons.md]

Real trainings of the two networks of `benchmarks/honesty`: the digits and, if it is there, a part of Fashion-MNIST. A
schedule is written in fractions of its horizon, so it can be trained as a whole over a quarter or a half of it. A plan
sets the share of the steps for each horizon: TPE searches the shortest one, and the best half of each continues to the
next. TPE, which learns from these, spends the rest of the whole horizon's share. A schedule that continues to a horizon
twice as long has its rates multiplied by 2^-drift:

    none     no correction
    fitted   drawn from 0 to 1 for the half; for the whole, fitted by a quadratic to the search's own losses
    given    measured beforehand on 144 schedules of the same network, which no search knows: an upper bound

The figure is the true loss of the answer, as in `benchmarks/shapes/live.py`: of the three schedules with the best
values over the whole horizon, the one that five fresh seeds confirm, trained with ten more. FILE caches the
measurements.
"""

from __future__ import annotations

import argparse
import json
import math
import random
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.fidelity.horizons_page import BUDGETS, page
from benchmarks.honesty.training import Problem, digits, fashion, train
from benchmarks.pruning.bank import FAMILIES
from benchmarks.shapes.arms import space
from benchmarks.shapes.live import CONFIRMED, FASHION, true_answers
from lehr.errors import InvalidScheduleError
from lehr.schedules import Schedule
from lehr.wire.trials import TrialState
from service.search.observations import Observation, draw_seed
from service.search.searcher import Searcher
from service.search.sequence import spread_point
from service.transfer.rescaled import rescaled

PARTS = (0.25, 0.5, 1.0)
WORST = 10.0
SPREAD, SPREAD_SEEDS, BEST = 12, [1, 2, 3], 14
"""Schedules of each family by which the drift is measured beforehand, seeds of each, and how many are the best."""


@dataclass(frozen=True)
class Plan:
    """`shares`: of the steps, by the parts of the horizon."""

    name: str
    shares: tuple[float, float, float]
    drift: str = "none"


EVEN, FIRST = (1 / 3, 1 / 3, 1 / 3), (1 / 8, 1 / 8, 3 / 4)
PLANS = (
    Plan("plain TPE, whole horizons", (0.0, 0.0, 1.0)),
    Plan("halving, rates as they are", EVEN),
    Plan("halving, drift fitted", EVEN, "fitted"),
    Plan("halving, drift given", EVEN, "given"),
    Plan("a quarter of the steps short, rates as they are", FIRST),
    Plan("a quarter of the steps short, drift fitted", FIRST, "fitted"),
    Plan("a quarter of the steps short, drift given", FIRST, "given"),
)


@dataclass(frozen=True)
class Trial:
    part: float
    schedule: Schedule
    loss: float


@dataclass(frozen=True)
class Found:
    """What a search holds for the best, and the drift that it found for itself; None where it did not look."""

    finalists: list[Schedule]
    drift: float | None


Search = Generator[tuple[float, Schedule], float, Found]
"""Yields a part of the horizon and what to train over it, and is sent the loss."""


def main() -> None:
    arguments = _arguments()
    torch.set_num_threads(1)
    problems = [replace(digits(), epochs=16)]
    if FASHION.is_dir():
        problems.append(replace(fashion(FASHION), epochs=8))
    known: dict[str, list[list[float]]] = {}
    if arguments.cache.exists():
        known = dict(map(json.loads, arguments.cache.read_text(encoding="utf-8").splitlines()))
    with arguments.cache.open("a", encoding="utf-8") as file:

        def keep(key: str, measure: Callable[[], list[list[float]]]) -> list[list[float]]:
            if key not in known:
                known[key] = measure()
                file.write(json.dumps([key, known[key]]) + "\n")
                file.flush()
            return known[key]

        for problem in problems:
            if arguments.only not in problem.name:
                continue
            (tops,) = keep(f"{problem.name}: best rates", lambda: [best_rates(problem)])  # noqa: B023
            for plan in PLANS:
                for budget in BUDGETS:
                    key = f"{problem.name}: {plan.name}, {budget}"
                    keep(key, lambda: measured(problem, plan, budget, arguments.seeds, exponent(tops)))  # noqa: B023
    lines = page(known, [(one.name, one.horizon) for one in problems], [plan.name for plan in PLANS], arguments.seeds)
    print("\n".join(lines))
    if arguments.output:
        arguments.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


def exponent(tops: Sequence[float]) -> float:
    """By which power of the horizon the best rate falls, from the shortest to the longest."""
    return math.log(tops[0] / tops[-1]) / math.log(PARTS[-1] / PARTS[0])


def best_rates(problem: Problem) -> list[float]:
    """By part of the horizon: the highest rate of the best tenth of many schedules, geometric mean."""
    searched = space()
    spread = [
        searched.schedule(family, spread_point(searched.coordinates(family), index, 0, family))
        for family in FAMILIES
        for index in range(SPREAD)
    ]
    found = []
    for part in PARTS:
        losses = np.nan_to_num(train(over(problem, part), spread, SPREAD_SEEDS)["loss"], nan=WORST).mean(axis=1)
        best = np.argsort(losses)[:BEST]
        found.append(float(np.exp(np.mean([math.log(spread[index].max_lr) for index in best]))))
    return found


def over(problem: Problem, part: float) -> Problem:
    return replace(problem, epochs=round(part * problem.epochs))


def measured(problem: Problem, plan: Plan, budget: int, seeds: int, given: float) -> list[list[float]]:
    """By search: the true loss of its answer, and the drift that it found (NaN where it did not look)."""
    searches = [search(plan, budget, seed, given) for seed in range(seeds)]
    asked, number = [next(one) for one in searches], 0
    found: list[Found] = []
    while not found:
        number += 1
        (part,) = {part for part, _ in asked}
        losses = train(over(problem, part), [schedule for _, schedule in asked], [number])["loss"][:, 0]
        following = []
        for one, loss in zip(searches, np.nan_to_num(losses, nan=WORST).tolist(), strict=True):
            try:
                following.append(one.send(loss))
            except StopIteration as end:
                found.append(end.value)
        asked = following
    true = [row[0] for row in true_answers(problem, [[one.finalists] for one in found])]
    return [[loss, math.nan if one.drift is None else one.drift] for loss, one in zip(true, found, strict=True)]


def search(plan: Plan, budget: int, seed: int, given: float) -> Search:
    """All searches of a plan and budget train over the same horizons in the same order, so that they train together."""
    trials: list[Trial] = []
    going_on: list[Trial] = []
    drift = given if plan.drift == "given" else 0.0
    fitted = None
    for part, share in zip(PARTS, plan.shares, strict=True):
        count = int(share * budget / part + 1e-9)
        if plan.drift == "fitted" and part == PARTS[-1]:
            drift = fitted = fitted_drift(trials)
        drawn = random.Random(draw_seed("drift", seed)) if plan.drift == "fitted" and part != PARTS[-1] else None
        moved = [
            transferred(one.schedule, drawn.random() if drawn else drift) for one in going_on[: len(going_on) // 2]
        ]
        rung = yield from _rung(part, moved[:count], count, seed)
        trials += rung
        going_on = sorted(rung, key=lambda one: one.loss)
    return Found([one.schedule for one in going_on[:CONFIRMED]], fitted)


def _rung(
    part: float, first: Sequence[Schedule], count: int, seed: int
) -> Generator[tuple[float, Schedule], float, list[Trial]]:
    """So many trials over a part of the horizon: what comes from the shorter one, then what TPE asks for."""
    searched, trials = space(), []
    searcher = Searcher(searched, "minimize", "tpe", draw_seed(seed, str(part)), trials_budget=max(count, 1))
    for number in range(count):
        if number < len(first):
            schedule, point = first[number], searched.nearest(first[number])
        else:
            suggestion = searcher.ask(number)
            schedule, point = suggestion.schedule, dict(suggestion.point)
        loss = yield part, schedule
        trials.append(Trial(part, schedule, loss))
        failed = loss >= WORST
        state: TrialState = "DIVERGED" if failed else "COMPLETED"
        searcher.tell(Observation(number, schedule.family, point, state, None if failed else loss))
    return trials


def transferred(schedule: Schedule, drift: float) -> Schedule:
    """For a horizon twice as long, within the space."""
    searched = space()
    try:
        moved = rescaled(schedule, 2.0**-drift)
    except InvalidScheduleError:
        return schedule
    return searched.schedule(moved.family, searched.nearest(moved)) if moved.family in FAMILIES else schedule


def fitted_drift(trials: Sequence[Trial]) -> float:
    """The power by which the best rate falls with the horizon, in [0, 1]; 0 where the losses have no valley.

    Least squares of log loss over the better half at each horizon, with one valley in the log rate r that moves with
    the log horizon h: a_h + b r + c r² + d r h, whose bottom is at r = -(b + d h) / 2c.
    """
    parts = sorted({one.part for one in trials})
    kept = [one for part in parts for one in _better_half([each for each in trials if each.part == part])]
    rates = np.log([one.schedule.max_lr for one in kept])
    horizons = np.log([one.part for one in kept])
    levels = np.array([[one.part == part for part in parts] for one in kept], dtype=float)
    columns = np.column_stack([levels, rates, rates**2, rates * horizons])
    _, curvature, moving = np.linalg.lstsq(columns, np.log([one.loss for one in kept]), rcond=None)[0][-3:]
    return float(np.clip(moving / (2 * curvature), 0.0, 1.0)) if curvature > 0 else 0.0


def _better_half(trials: Sequence[Trial]) -> list[Trial]:
    return sorted(trials, key=lambda one: one.loss)[: math.ceil(len(trials) / 2)]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True, help="what was measured, by network, plan and budget")
    parser.add_argument("--seeds", type=int, default=24, help="searches of each kind")
    parser.add_argument("--only", default="", help="networks whose name contains this")
    parser.add_argument("--output", type=Path, help="write the page there, too")
    return parser.parse_args()


if __name__ == "__main__":
    main()
