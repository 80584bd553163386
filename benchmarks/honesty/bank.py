"""A bank of real trainings: a pool of schedules, each trained with many seeds, saved to disk piece by piece.

    python benchmarks/honesty/bank.py --bank DIR

Each family has 40 schedules drawn evenly from the space, then 40 near its ten best, where a search ends up. If
interrupted, run the same command again to continue.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.honesty.training import Problem, digits, fashion, train
from lehr.space import Range, Space
from service.search.observations import Point
from service.search.sequence import from_unit, random_point, to_unit

FAMILIES = ("constant", "step", "exponential", "linear", "cosine", "one_cycle")
SPACE = Space.of(families=FAMILIES, start_lr=Range(1e-3, 1.0), end_lr=Range(1e-5, 0.1))
SEEDS = 80
PER_FAMILY = 40
SPREAD = 0.08
"""How far from one of the best, as a part of each axis, a schedule of the second half is drawn (a deviation)."""
PIECE = 20
FASHION = Path("/usr/share/datasets/fashion-mnist")


@dataclass(frozen=True)
class Entry:
    family: str
    point: Point


@dataclass(frozen=True)
class Bank:
    """`values[metric]`: (entries, seeds), NaN where the run diverged."""

    entries: list[Entry]
    values: dict[str, np.ndarray]


def load(folder: Path, problem_name: str) -> Bank:
    """Raises FileNotFoundError where the bank is not complete."""
    pieces = [_read(folder / problem_name / f"{half}-{family}-{start}.npz") for half, family, start in _pieces()]
    entries = [entry for found, _ in pieces for entry in found]
    values = {name: np.concatenate([each[name] for _, each in pieces]) for name in ("accuracy", "loss")}
    return Bank(entries, values)


def build(folder: Path, problem: Problem) -> None:
    (folder / problem.name).mkdir(parents=True, exist_ok=True)
    for half, family, start in _pieces():
        path = folder / problem.name / f"{half}-{family}-{start}.npz"
        if path.exists():
            continue
        began = time.monotonic()
        entries = [Entry(family, _point(folder, problem, half, family, start + index)) for index in range(PIECE)]
        schedules = [SPACE.schedule(entry.family, entry.point) for entry in entries]
        values = train(problem, schedules, list(range(SEEDS)))
        _write(path, entries, values)
        print(f"{path.name}: {time.monotonic() - began:.1f} s", flush=True)


def _pieces() -> list[tuple[str, str, int]]:
    return [
        (half, family, start)
        for half in ("even", "near")
        for family in FAMILIES
        for start in range(0, PER_FAMILY, PIECE)
    ]


def _point(folder: Path, problem: Problem, half: str, family: str, index: int) -> Point:
    seed = int.from_bytes(hashlib.sha256(f"{half}:{family}:{index}".encode()).digest()[:4], "big")
    coordinates = SPACE.coordinates(family)
    if half == "even":
        return random_point(coordinates, seed)
    pieces = [_read(folder / problem.name / f"even-{family}-{start}.npz") for start in range(0, PER_FAMILY, PIECE)]
    entries = [entry for found, _ in pieces for entry in found]
    means = np.concatenate([np.nan_to_num(values["accuracy"]).mean(1) for _, values in pieces])
    generator = random.Random(seed)
    parent = entries[int(np.argsort(-means)[generator.randrange(10)])].point
    point: dict[str, float | int | str] = {}
    for each in coordinates:
        if each.kind == "choice":
            point[each.name] = parent[each.name]
            continue
        unit = to_unit(each, parent[each.name]) + generator.gauss(0, SPREAD)
        point[each.name] = from_unit(each, min(max(unit, 0.0), 1 - 1e-9))
    return point


def _write(path: Path, entries: list[Entry], values: dict[str, np.ndarray]) -> None:
    text = json.dumps([[entry.family, dict(entry.point)] for entry in entries])
    partial = path.with_suffix(".part.npz")
    np.savez(partial, entries=np.array(text), accuracy=values["accuracy"], loss=values["loss"])
    partial.rename(path)


def _read(path: Path) -> tuple[list[Entry], dict[str, np.ndarray]]:
    with np.load(path) as stored:
        entries = [Entry(family, point) for family, point in json.loads(str(stored["entries"]))]
        return entries, {"accuracy": stored["accuracy"], "loss": stored["loss"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bank", type=Path, required=True)
    folder: Path = parser.parse_args().bank
    torch.set_num_threads(1)
    build(folder, digits())
    if FASHION.exists():
        build(folder, fashion(FASHION))


if __name__ == "__main__":
    main()
