"""Measures the cost of one ask by the number of known trials: lehr's searcher against plain Optuna in memory.

    python benchmarks/ask/run.py [--sizes 100,500,…] [--repeats 20] [--output benchmarks/ask/results.md]

Both search the same six families with TPE. Optuna is used in the usual way (`study.ask`, `suggest_*` with the family
as a categorical) on its in-memory storage, without a database. Reported: median and 95th percentile of single asks in
milliseconds of processor time, each with its result recorded before the next ask, and the seconds to build the searcher
from all observations.
"""

from __future__ import annotations

import argparse
import datetime
import gc
import math
import platform
import random
import statistics
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path

import optuna

from lehr.schedules import Schedule
from lehr.space import Coordinate, Space
from service.search.observations import Observation
from service.search.searcher import Searcher
from service.search.sequence import random_point

FAMILIES = ("constant", "step", "exponential", "linear", "cosine", "one_cycle")
SIZES = (100, 500, 1000, 5000, 10000)


def main() -> None:
    arguments = _arguments()
    space = Space.of(families=FAMILIES)
    sizes = [int(size) for size in arguments.sizes.split(",")]
    built = {size: _build(space, size) for size in sizes}
    ours = _measure({size: partial(_ask_lehr, searcher) for size, (_, searcher) in built.items()}, arguments.repeats)
    studies = {size: _optuna_study(space, size) for size in sizes}
    theirs = _measure({size: partial(_ask_optuna, study, space) for size, study in studies.items()}, arguments.repeats)
    lines = [
        _header(),
        "",
        "| trials | lehr build s | lehr ask ms (p95) | Optuna ask ms (p95) |",
        "|---:|---:|---:|---:|",
    ]
    lines += [f"| {size} | {built[size][0]:.2f} | {_cell(ours[size])} | {_cell(theirs[size])} |" for size in sizes]
    print("\n".join(lines))
    if arguments.output:
        Path(arguments.output).write_text("\n".join(lines) + "\n", encoding="utf-8")


def loss(schedule: Schedule) -> float:
    """Some function of a schedule with an optimum inside the space and a bit of noise."""
    noise = random.Random(repr(schedule)).gauss(0, 0.05)
    return (math.log10(schedule.max_lr) + 1) ** 2 + 0.1 * (math.log10(schedule.end_lr) + 4) ** 2 + noise


def _build(space: Space, size: int) -> tuple[float, Searcher]:
    observations = []
    for number in range(size):
        family = FAMILIES[number % len(FAMILIES)]
        point = random_point(space.coordinates(family), number)
        value = loss(space.schedule(family, point))
        observations.append(Observation(number, family, point, "COMPLETED", value))
    start = time.perf_counter()
    searcher = Searcher(space, "minimize", "tpe", 0, trials_budget=size + 1000)
    for observation in observations:
        searcher.tell(observation)
    return time.perf_counter() - start, searcher


def _ask_lehr(searcher: Searcher, number: int) -> None:
    suggestion = searcher.ask(number)
    value = loss(suggestion.schedule)
    searcher.tell(Observation(number, suggestion.schedule.family, suggestion.point, "COMPLETED", value))


def _optuna_study(space: Space, size: int) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    for number in range(size):
        family = FAMILIES[number % len(FAMILIES)]
        point = random_point(space.coordinates(family), number)
        distributions = {one.name: _distribution(one) for one in space.coordinates(family)}
        families = optuna.distributions.CategoricalDistribution(FAMILIES)
        study.add_trial(
            optuna.trial.create_trial(
                params={"family": family, **point},
                distributions={"family": families, **distributions},
                value=loss(space.schedule(family, point)),
            )
        )
    return study


def _ask_optuna(study: optuna.Study, space: Space, _number: int) -> None:
    trial = study.ask()
    family = trial.suggest_categorical("family", FAMILIES)
    point = {one.name: _suggest(trial, one) for one in space.coordinates(family)}
    study.tell(trial, loss(space.schedule(family, point)))


def _suggest(trial: optuna.Trial, one: Coordinate) -> float | int | str:
    if one.kind == "choice":
        return str(trial.suggest_categorical(one.name, one.choices))
    if one.kind == "int":
        return trial.suggest_int(one.name, int(one.low), int(one.high), log=one.log)
    return trial.suggest_float(one.name, one.low, one.high, log=one.log)


def _distribution(one: Coordinate) -> optuna.distributions.BaseDistribution:
    if one.kind == "choice":
        return optuna.distributions.CategoricalDistribution(one.choices)
    if one.kind == "int":
        return optuna.distributions.IntDistribution(int(one.low), int(one.high), log=one.log)
    return optuna.distributions.FloatDistribution(one.low, one.high, log=one.log)


def _measure(asks: dict[int, Callable[[int], None]], repeats: int) -> dict[int, list[float]]:
    """Milliseconds of processor time of single asks; the sizes take turns, so that they share the weather."""
    for size, ask in asks.items():
        ask(size)  # the first ask imports and fills caches
    gc.collect()
    measured: dict[int, list[float]] = {size: [] for size in asks}
    for repeat in range(repeats):
        for size, ask in asks.items():
            start = time.process_time()
            ask(size + 1 + repeat)
            measured[size].append((time.process_time() - start) * 1000)
    return measured


def _cell(milliseconds: list[float]) -> str:
    return f"{statistics.median(milliseconds):.1f} ({statistics.quantiles(milliseconds, n=20)[-1]:.1f})"


def _header() -> str:
    today = datetime.datetime.now(tz=datetime.UTC).date()
    packages = ", ".join(f"{name} {version(name)}" for name in ("optuna", "numpy"))
    return (
        f"# One ask\n\n{today}, {_processor()}, Python {platform.python_version()}, {packages}. "
        f"Families: {', '.join(FAMILIES)}. By `python benchmarks/ask/run.py`."
    )


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        if names:
            return f"{len(names)} × {names[0]}"
    return platform.processor() or platform.machine()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure what one ask costs.")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--output")
    return parser.parse_args()


if __name__ == "__main__":
    main()
