"""Compares one process with a thread for each core with a single-threaded process for each core.

    python benchmarks/workers/run.py [--seconds 6] [--rounds 2] [--output FILE]

Also finds the best number of single-threaded processes on one device, for example a GPU:

    python benchmarks/workers/run.py --device cuda:0 --processes 1 2 4 8

The figure for each model is the optimizer steps per second of all processes together, including evaluations; the
variants alternate. The processes are warmed up before the clock starts. Needs no data set: images are random, text is
Python's own library.
"""

from __future__ import annotations

import argparse
import datetime
import multiprocessing
import platform
import statistics
import sys
import tempfile
import time
from importlib.metadata import version
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import torch

from lehr.cli.local.hardware import core_count
from lehr.schedules import schedule_from_dict
from tests.unit.workers.tasks.image_files import drawn, write_idx
from workers.training.device import configure_torch, describe, resolve_device
from workers.training.run import Run
from workers.training.solo import build_task

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
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--processes", type=int, nargs="+", help="to compare, of one thread each")
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    ways = [(count, 1) for count in given.processes or []] or [(1, core_count()), (core_count(), 1)]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        images = drawn(6000, (28, 28), 10), drawn(100, (28, 28), 10, seed=1)
        write_idx(Path(folder) / "fashion_mnist", *images, packed=False)
        for name in MODELS:
            rounds = [[together(name, folder, *way, given=given) for way in ways] for _ in range(given.rounds)]
            medians = [statistics.median(speeds) for speeds in zip(*rounds, strict=True)]
            ratio = max(medians[1:], default=medians[0]) / medians[0]
            rows.append(f"| {name} | {' | '.join(f'{speed:.1f}' for speed in medians)} | {ratio:.2f} |")
            print(rows[-1], flush=True)
    text = page(rows, ways, given)
    if given.output:
        given.output.write_text(text)


def together(name: str, folder: str, processes: int, threads: int, *, given: argparse.Namespace) -> float:
    """Steps a second of all of them. Raises RuntimeError where one ends before it has trained."""
    context = multiprocessing.get_context("spawn")
    ready, counts = context.Barrier(processes), context.SimpleQueue()
    told = {"device": given.device, "seconds": given.seconds, "ready": ready, "counts": counts}
    workers = [
        context.Process(target=train, args=(name, folder, threads, seed), kwargs=told) for seed in range(processes)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        raise RuntimeError(f"{name}: not all of {processes} processes could train at once on {given.device}")
    return float(sum(counts.get() for _ in workers))


def train(
    name: str, folder: str, threads: int, seed: int, *, device: str, seconds: float, ready: Barrier, counts: Any
) -> None:
    try:
        place = resolve_device(device)
        configure_torch(place, threads)
        task, params = MODELS[name]
        run = Run(build_task({"name": task, "params": params}, Path(folder)), SCHEDULE, seed, place)
        while run.step < WARM_UP_STEPS:
            run.advance()
        settle(place)
        ready.wait()
    except BaseException:
        ready.abort()  # the others would wait for ever
        raise
    began, first = time.monotonic(), run.step
    while time.monotonic() - began < seconds:
        run.advance()
    settle(place)
    counts.put((run.step - first) / (time.monotonic() - began))


def settle(device: torch.device) -> None:
    """Wait until the device has done what it was asked to."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def page(rows: list[str], ways: list[tuple[int, int]], given: argparse.Namespace) -> str:
    machine = f"{core_count()}-core {platform.machine()}, {describe(resolve_device(given.device))}"
    about = f"{datetime.datetime.now(datetime.UTC).date().isoformat()}, {machine}"
    versions = f"Python {platform.python_version()}, torch {version('torch')}"
    columns = " | ".join(f"{processes} × {threads}" for processes, threads in ways)
    return "\n".join(
        [
            "# Processes or threads",
            "",
            f"{about}, {versions}. Median of {given.rounds} rounds of {given.seconds:g} s.",
            "",
            f"`python {' '.join(sys.argv)}`",
            "",
            f"| steps a second, all together; processes × threads | {columns} | best / first |",
            f"|:--|{'--:|' * (len(ways) + 1)}",
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    main()
