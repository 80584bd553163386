"""One process with as many threads as there are cores, or a process for each core with one thread?

    python benchmarks/workers/run.py [--seconds 6] [--rounds 2] [--output FILE]

For each model, the optimizer steps that all processes together do in a second, evaluations included, in both
ways in turn. The processes are ready, and have warmed up, before the clock starts. Needs no data set: pictures
are drawn, text is Python's own library.
"""

from __future__ import annotations

import argparse
import datetime
import multiprocessing
import platform
import statistics
import tempfile
import time
from importlib.metadata import version
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import torch

from lehr.cli.hardware import core_count
from lehr.schedules import schedule_from_dict
from tests.unit.workers.image_files import drawn, write_idx
from workers.device import configure_torch
from workers.run import Run
from workers.solo import build_task

SCHEDULE = schedule_from_dict({"family": "cosine", "start_lr": 0.01, "end_lr": 0.001})
LONG = {"epochs": 1000}
IMAGES = {**LONG, "data": "fashion_mnist", "validation_fraction": 0.05}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "digits, MLP 64 wide, batch 64": ("digits", {**LONG, "model": "mlp", "batch_size": 64}),
    "images 28×28, MLP 1024 wide, batch 512": (
        "images",
        {**IMAGES, "model": "mlp", "hidden": 1024, "batch_size": 512},
    ),
    "images 28×28, CNN 32 wide, batch 128": ("images", {**IMAGES, "model": "cnn", "batch_size": 128}),
    "text, GPT 2 layers, 64 wide, batch 32": (
        "text",
        {**LONG, "file": "stdlib", "train_limit": 20_000, "batch_size": 32}
        | {"context": 64, "layers": 2, "heads": 4, "head_width": 16},
    ),
}
WARM_UP_STEPS = 5


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    cores = core_count()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        images = drawn(6000, (28, 28), 10), drawn(100, (28, 28), 10, seed=1)
        write_idx(Path(folder) / "fashion_mnist", *images, packed=False)
        for name in MODELS:
            ways: dict[tuple[int, int], list[float]] = {(1, cores): [], (cores, 1): []}
            for _ in range(given.rounds):
                for (processes, threads), speeds in ways.items():
                    speeds.append(together(name, folder, processes, threads, given.seconds))
            one, many = (statistics.median(speeds) for speeds in ways.values())
            rows.append(f"| {name} | {one:.1f} | {many:.1f} | {many / one:.2f} |")
            print(rows[-1], flush=True)
    text = page(rows, cores, given)
    if given.output:
        given.output.write_text(text)


def together(name: str, folder: str, processes: int, threads: int, seconds: float) -> float:
    """Steps a second of all of them."""
    context = multiprocessing.get_context("spawn")
    ready, counts = context.Barrier(processes), context.SimpleQueue()
    told = {"seconds": seconds, "ready": ready, "counts": counts}
    workers = [
        context.Process(target=train, args=(name, folder, threads, seed), kwargs=told) for seed in range(processes)
    ]
    for worker in workers:
        worker.start()
    speeds = [counts.get() for _ in workers]
    for worker in workers:
        worker.join()
    return float(sum(speeds))


def train(name: str, folder: str, threads: int, seed: int, *, seconds: float, ready: Barrier, counts: Any) -> None:
    configure_torch(torch.device("cpu"), threads)
    task, params = MODELS[name]
    run = Run(build_task({"name": task, "params": params}, Path(folder)), SCHEDULE, seed, torch.device("cpu"))
    while run.step < WARM_UP_STEPS:
        run.advance()
    ready.wait()
    began, first = time.monotonic(), run.step
    while time.monotonic() - began < seconds:
        run.advance()
    counts.put((run.step - first) / (time.monotonic() - began))


def page(rows: list[str], cores: int, given: argparse.Namespace) -> str:
    about = f"{datetime.datetime.now(datetime.UTC).date().isoformat()}, {cores}-core {platform.machine()}, CPU only"
    versions = f"Python {platform.python_version()}, torch {version('torch')}"
    return "\n".join(
        [
            "# Processes or threads",
            "",
            f"{about}, {versions}. Median of {given.rounds} rounds of {given.seconds:g} s.",
            "",
            "`python benchmarks/workers/run.py --output benchmarks/workers/results.md`",
            "",
            f"| steps a second, all together | 1 process, {cores} threads | {cores} processes, 1 thread | ratio |",
            "|:--|--:|--:|--:|",
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    main()
