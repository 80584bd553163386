"""Compares seven families on Fashion-MNIST, each at its best peak rate, through the whole service.

    python benchmarks/fashion_mnist/run.py [--data DIR] [--workers 2] [--output benchmarks/fashion_mnist/results.md]

An MLP 784-128-10 is trained by SGD with momentum 0.9 for 780 steps of 128 images, and evaluated on the test images.
Each family is a study: its schedules, one for each peak rate of a grid of factor √2, are enqueued and trained with four
seeds each; the one with the best mean is then confirmed on fresh seeds, the same for every family. Server and workers
are processes, as `lehr up` starts them. If interrupted, run the same command again to continue.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scipy.stats import spearmanr

from benchmarks.setting import setting
from lehr.cli.commands.up import running
from lehr.cli.local.supervisor import Plan, Supervisor
from lehr.client import Client
from lehr.schedules import Schedule, schedule_from_dict

RATES = tuple(round(0.005 * 2 ** (power / 2), 6) for power in range(12))
"""The grid of peak rates: 0.005 to 0.226."""
SEEDS = 4
"""Of each schedule in the search: the rate is chosen by their mean."""
FRESH_SEEDS = 8
# 390 steps an epoch: 780 in all.
PARAMS = {
    "data": "fashion_mnist",
    "model": "mlp",
    "hidden": 128,
    "optimizer": "sgd",
    "batch_size": 128,
    "train_limit": 390 * 128,
    "epochs": 2,
    "validate_on": "test",
}
SHAPES: Mapping[str, Callable[[float], dict[str, Any]]] = {
    "constant": lambda peak: {"start_lr": peak, "end_lr": peak},
    "step": lambda peak: {"start_lr": peak, "end_lr": peak / 10, "drops": 1},
    "exponential": lambda peak: {"start_lr": peak, "end_lr": peak / 100},
    "cosine": lambda peak: {"start_lr": peak, "end_lr": 0.0},
    "linear": lambda peak: {"start_lr": peak, "end_lr": 0.0},
    "one_cycle": lambda peak: {"start_lr": peak / 25, "peak_lr": peak, "end_lr": peak / 1e4},
    "wsd": lambda peak: {
        "start_lr": peak / 25,
        "peak_lr": peak,
        "end_lr": 0.0,
        "warmup_fraction": 0.05,
        "cooldown_fraction": 0.4,
    },
}
KNOWN = {
    "wsd": 13.0,
    "linear": 13.0,
    "one_cycle": 13.1,
    "cosine": 13.3,
    "step": 13.6,
    "exponential": 13.9,
    "constant": 14.3,
}
"""Test errors in percent, measured without lehr by the same rules: the best of a grid's means."""
SPREAD = (0.2, 0.5)
"""By so much the seeds of the known figures spread."""


@dataclass(frozen=True, slots=True)
class Row:
    """A family's best peak rate, its test errors in percent by which it was chosen, and those on fresh seeds."""

    family: str
    peak: float
    chosen_by: tuple[float, ...]
    fresh: tuple[float, ...]

    @property
    def mean(self) -> float:
        """As the known figure: of the seeds that the rate was chosen by."""
        return statistics.mean(self.chosen_by)

    @property
    def apart(self) -> float:
        return self.mean - KNOWN[self.family]

    @property
    def deviation(self) -> float:
        """Of one training from another at the best rate, over all its seeds."""
        return statistics.stdev((*self.chosen_by, *self.fresh))


def main() -> None:
    arguments = _arguments()
    started = time.monotonic()
    # First the server alone: a worker would let the search draw schedules before all of ours are enqueued.
    with running(arguments.data, Plan("127.0.0.1", 0, 0)) as fleet, Client(fleet.url) as client:
        studies = {family: post(client, family) for family in SHAPES}
    with running(arguments.data, Plan("127.0.0.1", 0, arguments.workers)) as fleet, Client(fleet.url) as client:
        for study_id in studies.values():
            await_end(client, fleet, study_id)
        rows = [row_of(client, family, study_id) for family, study_id in studies.items()]
    lines = report(rows, time.monotonic() - started)
    print("\n".join(lines))
    if arguments.output:
        arguments.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


def schedule_of(family: str, peak: float) -> Schedule:
    return schedule_from_dict({"family": family, **SHAPES[family](peak)})


def post(client: Client, family: str) -> str:
    """The family's study with its schedules enqueued; the same study when asked again."""
    spec = {
        "name": f"fashion-mnist-{family}",
        "task": {"name": "images", "params": PARAMS},
        "space": {"families": [family]},
        "objective": {"metric": "val_accuracy", "direction": "maximize", "seeds": SEEDS},
        "sampler": {"name": "random", "seed": 0},
        "budget": {"trials": len(RATES), "parallel": 8},
        "warm_start": "off",
        "confirm": {"top": 1, "seeds": FRESH_SEEDS},
    }
    study_id = client.create_study(spec, idempotency_key=f"fashion-mnist-{family}").study_id
    there = [trial.schedule for trial in client.trials(study_id, purpose="search")]
    for schedule in (schedule_of(family, peak) for peak in RATES):
        if schedule not in there:
            client.enqueue(study_id, schedule)
    return study_id


def await_end(client: Client, fleet: Supervisor, study_id: str) -> None:
    """Tend the workers until the study has ended. Raises RuntimeError unless it is COMPLETED."""
    while (study := client.study(study_id)).state not in ("COMPLETED", "CANCELLED", "FAILED"):
        fleet.tick()
        time.sleep(0.5)
    if study.state != "COMPLETED":
        raise RuntimeError(f"{study.name} is {study.state}: {study.reason}")


def row_of(client: Client, family: str, study_id: str) -> Row:
    trials = list(client.trials(study_id))
    searched = max((trial for trial in trials if trial.purpose == "search"), key=lambda trial: trial.value or 0.0)
    chosen_by = tuple(_error(trial.value) for trial in trials if trial.evaluates == searched.number)
    fresh = tuple(_error(trial.value) for trial in trials if trial.purpose == "confirm")
    return Row(family, searched.schedule.peak_lr or searched.schedule.start_lr, chosen_by, fresh)


def report(rows: list[Row], seconds: float) -> list[str]:
    lines = [
        "# Seven families on Fashion-MNIST, through the service",
        "",
        f"{setting('torch', 'numpy')}. MLP 784-128-10, SGD with momentum 0.9, 780 steps of 128 images; "
        "test error in percent at each "
        f"family's best peak rate of {len(RATES)}, by the mean over {SEEDS} seeds. "
        f"{len(rows) * (len(RATES) * SEEDS + FRESH_SEEDS)} trainings; the last run of the command: {seconds:.0f} s.",
        "",
        "`python benchmarks/fashion_mnist/run.py --output benchmarks/fashion_mnist/results.md`",
        "",
        f"| family | best peak rate | error % over {SEEDS} seeds | known % | apart | on {FRESH_SEEDS} fresh seeds "
        "| a seed's deviation |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in sorted(rows, key=lambda row: row.mean):
        lines.append(
            f"| {row.family} | {row.peak:g} | {row.mean:.2f} | {KNOWN[row.family]:.1f} | {row.apart:+.2f} "
            f"| {statistics.mean(row.fresh):.2f} | {row.deviation:.2f} |"
        )
    apart = [row.apart for row in rows]
    order = float(spearmanr([row.mean for row in rows], [KNOWN[row.family] for row in rows]).statistic)
    within = sum(abs(each) <= SPREAD[1] for each in apart)
    return [
        *lines,
        "",
        f"Apart by {statistics.mean(apart):+.2f} on average, at most {max(map(abs, apart)):.2f}: {within} of "
        f"{len(rows)} within the spread of the known figures' seeds, {SPREAD[0]} to {SPREAD[1]}. The order agrees by "
        f"Spearman's {order:.2f}.",
    ]


def _error(accuracy: float | None) -> float:
    return math.nan if accuracy is None else 100 * (1 - accuracy)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("lehr-data/fashion_mnist"), help="kept, to go on from")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--output", type=Path, default=None)
    return parser.parse_args()


if __name__ == "__main__":
    main()
