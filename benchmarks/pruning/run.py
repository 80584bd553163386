"""Measures the steps that pruning saves on real curves, and how often it drops the best schedule.

    python benchmarks/pruning/run.py BANK.jsonl [--studies 400] [--trials 60] [--output benchmarks/pruning/results.md]

A study draws its schedules from the bank (see `bank.py`) and trains them in turn; the pruner judges every report, as in
the server. `median`, `hyperband` and `phases` are the server's own code; Optuna's pruners are used as its documentation
shows, at equal steps among all trials. Reported for each family: the fraction of steps saved, and in how many studies
the family's best schedule was dropped; then the same for whole studies, and how much the best final loss rises.
"""

from __future__ import annotations

import argparse
import random
import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import optuna

from benchmarks.pruning.bank import FAMILIES, read_bank
from benchmarks.setting import setting
from lehr.schedules import schedule_from_dict
from lehr.wire.trials import TrialState
from service.search.pruners.base import Curve
from service.search.registry import curve_pruner

METRIC = "val_loss"
WORST = 1e6
LEHR = ("median", "hyperband", "phases")


@dataclass(frozen=True)
class Training:
    """One curve of the bank; `reports` end with the final loss."""

    document: dict[str, Any]

    @cached_property
    def reports(self) -> tuple[tuple[int, float], ...]:
        return tuple((one["step"], _finite(one[METRIC])) for one in self.document["reports"])

    @cached_property
    def curve(self) -> Curve:
        return Curve(0, schedule_from_dict(self.document["schedule"]), "RUNNING", ())

    @property
    def family(self) -> str:
        return str(self.document["family"])

    @property
    def final(self) -> float:
        return WORST if self.document["diverged"] else self.reports[-1][1]

    @property
    def steps(self) -> int:
        return int(self.document["horizon_steps"])


@dataclass
class Tally:
    """Of one family, or of all: steps trained of all steps, studies in which the best was dropped of all."""

    trained: int = 0
    steps: int = 0
    dropped: int = 0
    studies: int = 0
    losses: list[float] = field(default_factory=list)

    @property
    def saved(self) -> float:
        return 1 - self.trained / self.steps


Stops = list[int]
"""How many reports each training of a study got to."""


def lehr_stops(pruner: str, trainings: Sequence[Training], seed: int) -> Stops:
    judge = curve_pruner(pruner)
    assert judge is not None
    curves: list[Curve] = []
    stops = []
    for number, training in enumerate(trainings):
        schedule = training.curve.schedule
        stop = len(training.reports)
        for count in range(1, stop + 1):
            running = Curve(number + 1000 * seed, schedule, "RUNNING", training.reports[:count])
            if judge.should_prune(running, curves, horizon_steps=training.steps, direction="minimize"):
                stop = count
                break
        state: TrialState = "COMPLETED" if stop == len(training.reports) else "PRUNED"
        curves.append(Curve(number + 1000 * seed, schedule, state, training.reports[:stop]))
        stops.append(stop)
    return stops


def optuna_stops(pruner: optuna.pruners.BasePruner, trainings: Sequence[Training]) -> Stops:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0), pruner=pruner)
    stops = []
    for training in trainings:
        trial, stop = study.ask(), len(training.reports)
        for count, (_, value) in enumerate(training.reports, start=1):
            trial.report(value, count)
            if count < stop and trial.should_prune():
                stop = count
                break
        finished = stop == len(training.reports)
        state = optuna.trial.TrialState.COMPLETE if finished else optuna.trial.TrialState.PRUNED
        study.tell(trial, training.final if finished else None, state=state)
        stops.append(stop)
    return stops


METHODS: dict[str, Callable[[Sequence[Training], int], Stops]] = {
    "lehr phases": lambda trainings, seed: lehr_stops("phases", trainings, seed),
    "lehr median": lambda trainings, seed: lehr_stops("median", trainings, seed),
    "lehr hyperband": lambda trainings, seed: lehr_stops("hyperband", trainings, seed),
    "Optuna median": lambda trainings, _: optuna_stops(optuna.pruners.MedianPruner(), trainings),
    "Optuna Hyperband": lambda trainings, _: optuna_stops(
        optuna.pruners.HyperbandPruner(1, len(trainings[0].reports), 3), trainings
    ),
}


def main() -> None:
    arguments = _arguments()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    bank = [Training(document) for document in read_bank(arguments.bank)]
    chosen = {name: method for name, method in METHODS.items() if arguments.only in name}
    tallies = {name: measure(method, bank, arguments.studies, arguments.trials) for name, method in chosen.items()}
    lines = report(tallies, bank, arguments)
    print("\n".join(lines))
    if arguments.output:
        arguments.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


def measure(
    method: Callable[[Sequence[Training], int], Stops], bank: Sequence[Training], studies: int, trials: int
) -> dict[str, Tally]:
    tallies: dict[str, Tally] = defaultdict(Tally)
    for seed in range(studies):
        trainings = random.Random(seed).sample(bank, trials)
        stops = method(trainings, seed)
        pairs = list(zip(trainings, stops, strict=True))
        for family in ("all", *FAMILIES):
            _count(tallies[family], [pair for pair in pairs if family in ("all", pair[0].family)])
    return tallies


def _count(tally: Tally, pairs: Sequence[tuple[Training, int]]) -> None:
    if not pairs:
        return
    tally.steps += sum(training.steps for training, _ in pairs)
    tally.trained += sum(training.reports[stop - 1][0] + 1 for training, stop in pairs)
    best, stop = min(pairs, key=lambda pair: pair[0].final)
    tally.studies += 1
    tally.dropped += stop < len(best.reports)
    kept = [training.final for training, stop in pairs if stop == len(training.reports)]
    tally.losses.append(min(kept, default=best.final) - best.final)


def report(tallies: dict[str, dict[str, Tally]], bank: Sequence[Training], arguments: argparse.Namespace) -> list[str]:
    lines = [
        "# Pruning real curves",
        "",
        f"{setting('optuna', 'torch')}. By `python benchmarks/pruning/bank.py BANK` and then "
        f"`python benchmarks/pruning/run.py BANK`.",
        "",
        f"{len(bank)} trainings of {len(FAMILIES)} families (digits, MLP, {bank[0].steps} steps, {METRIC}); "
        f"{arguments.studies} studies of {arguments.trials} trials drawn from them. Steps saved / studies in which "
        "the best schedule (of the family, of all) was dropped. To reach over all: 50 % and 5 %.",
        "",
        "| family | " + " | ".join(tallies) + " |",
        "|---|" + "---:|" * len(tallies),
    ]
    for family in ("all", *FAMILIES):
        cells = (
            f"{100 * each[family].saved:.0f} % / {100 * each[family].dropped / each[family].studies:.1f} %"
            for each in tallies.values()
        )
        lines.append(f"| {family} | " + " | ".join(cells) + " |")
    risen = (f"{statistics.fmean(each['all'].losses):.5f}" for each in tallies.values())
    lines.append("| mean rise of the best final loss | " + " | ".join(risen) + " |")
    return lines


def _finite(value: float | None) -> float:
    return WORST if value is None else min(value, WORST)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("bank", type=Path)
    parser.add_argument("--studies", type=int, default=400)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--only", default="", help="methods whose name contains this")
    parser.add_argument("--output", type=Path, help="write the table there, too")
    return parser.parse_args()


if __name__ == "__main__":
    main()
