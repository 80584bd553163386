"""Compares which search finds the best schedule, by real trainings of the schedules that each search proposes.

    python benchmarks/shapes/live.py --cache FILE.jsonl [--seeds 12] [--fashion DIR] [--only NAME]

Two networks, those of `benchmarks/honesty`: digits with part of the labels wrong, and a small Fashion-MNIST. Every
trial has a different training seed, as in the server. The figure is the true loss of the answer: of the three schedules
with the best values so far, the one that is best on five fresh seeds, as the server confirms it, trained again on ten
more. FILE caches the measurements by part, search and network; a run continues where the last one stopped.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Collection, Sequence
from pathlib import Path

import torch

from benchmarks.honesty.training import Problem, digits, fashion, train
from benchmarks.setting import setting
from benchmarks.shapes.arms import BATCH_ARMS, SHAPE_ARMS, Arm, Search
from lehr.schedules import Schedule

READ_AT = {"shapes": (20, 40, 60), "batches": (64, 128, 192)}
ARMS = {"shapes": SHAPE_ARMS, "batches": BATCH_ARMS}
CONFIRMED, CONFIRM_SEEDS = 3, list(range(10_001, 10_006))
"""The server's own confirmation, by default."""
TRUE_SEEDS = list(range(20_001, 20_011))
WORST = 10.0
"""The loss of a training that diverged, for a mean."""
FASHION = Path("/usr/share/datasets/fashion-mnist")

Key = tuple[str, str, str]


def main() -> None:
    arguments = _arguments()
    torch.set_num_threads(1)
    problems = [digits(), *([fashion(arguments.fashion)] if arguments.fashion.is_dir() else [])]
    known = read_cache(arguments.cache)
    with arguments.cache.open("a", encoding="utf-8") as file:
        for part, arms in ARMS.items():
            for arm in arms:
                for problem in problems:
                    key = part, arm.name, problem.name
                    if key in known or arguments.only not in f"{part} {arm.name}":
                        continue
                    known[key] = true_losses(problem, arm, arguments.seeds, READ_AT[part])
                    file.write(json.dumps([*key, known[key]]) + "\n")
                    file.flush()
    lines = report(known, [problem.name for problem in problems], arguments.seeds)
    print("\n".join(lines))
    if arguments.output:
        arguments.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


def true_losses(problem: Problem, arm: Arm, seeds: int, read_at: Sequence[int]) -> list[list[float]]:
    """(searches, read_at): the true loss of what each search holds for the best after so many trials."""
    searches = [arm.begin(seed, max(read_at)) for seed in range(seeds)]
    asked: list[list[Schedule]] = [[] for _ in searches]
    losses: list[list[float]] = [[] for _ in searches]
    for first in range(0, max(read_at), arm.at_once):
        numbers = range(first, min(first + arm.at_once, max(read_at)))
        for search, schedules in zip(searches, asked, strict=True):
            schedules += [search.ask(number) for number in numbers]
        for number in numbers:
            found = train(problem, [schedules[number] for schedules in asked], [number + 1])["loss"][:, 0]
            for kept, loss in zip(losses, found.tolist(), strict=True):
                kept.append(loss)
        _tell(searches, losses, numbers)
    best = [[_best(schedules, kept, count) for count in read_at] for schedules, kept in zip(asked, losses, strict=True)]
    return true_answers(problem, best)


def _tell(searches: Sequence[Search], losses: Sequence[Sequence[float]], numbers: range) -> None:
    for search, kept in zip(searches, losses, strict=True):
        for number in numbers:
            search.tell(number, kept[number] if kept[number] == kept[number] else None)


def _best(schedules: Sequence[Schedule], losses: Sequence[float], count: int) -> list[Schedule]:
    """The finalists: those told best."""
    order = sorted(range(count), key=lambda at: (losses[at] != losses[at], losses[at]))
    return [schedules[at] for at in order[:CONFIRMED]]


def true_answers(problem: Problem, finalists: list[list[list[Schedule]]]) -> list[list[float]]:
    """The true loss of the finalist that is confirmed, for each search and count."""
    confirmed = _means(
        problem, dict.fromkeys(schedule for row in finalists for three in row for schedule in three), CONFIRM_SEEDS
    )
    answers = [[min(three, key=confirmed.__getitem__) for three in row] for row in finalists]
    true = _means(problem, dict.fromkeys(schedule for row in answers for schedule in row), TRUE_SEEDS)
    return [[true[schedule] for schedule in row] for row in answers]


def _means(problem: Problem, schedules: Collection[Schedule], seeds: list[int]) -> dict[Schedule, float]:
    every = list(schedules)
    losses = torch.tensor(train(problem, every, seeds)["loss"]).nan_to_num(WORST).mean(dim=1).tolist()
    return dict(zip(every, losses, strict=True))


def read_cache(path: Path) -> dict[Key, list[list[float]]]:
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    return {(part, arm, problem): losses for part, arm, problem, losses in map(json.loads, lines)}


def report(known: dict[Key, list[list[float]]], problems: Sequence[str], seeds: int) -> list[str]:
    lines = [
        "# Searches of schedules, trained for real",
        "",
        f"{setting('torch', 'optuna')}. By `python benchmarks/shapes/live.py --cache FILE.jsonl --seeds {seeds}`.",
        "",
        "True validation loss (cross-entropy, mean over ten fresh seeds) of the confirmed answer (the best of three on "
        f"five seeds) after so many trials; mean over {seeds} searches ± its standard error. Less is better.",
    ]
    for part, arms in ARMS.items():
        heads = [f"{problem}, {count}" for problem in problems for count in READ_AT[part]]
        lines += ["", f"| {part} | {' | '.join(heads)} |", "|---|" + "---:|" * len(heads)]
        for arm in arms:
            if all((part, arm.name, problem) in known for problem in problems):
                columns = [
                    column for problem in problems for column in zip(*known[part, arm.name, problem], strict=True)
                ]
                lines.append(f"| {arm.name} | {' | '.join(map(_cell, columns))} |")
    return lines


def _cell(losses: Sequence[float]) -> str:
    return f"{statistics.fmean(losses):.4f} ± {statistics.stdev(losses) / len(losses) ** 0.5:.4f}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--cache", type=Path, required=True, help="true losses by part, search and problem")
    parser.add_argument("--seeds", type=int, default=12, help="searches of each kind")
    parser.add_argument("--fashion", type=Path, default=FASHION, help="Fashion-MNIST's files; left out where none are")
    parser.add_argument("--only", default="", help="searches whose part and name contain this")
    parser.add_argument("--output", type=Path, help="write the tables there, too")
    return parser.parse_args()


if __name__ == "__main__":
    main()
