"""Measures cohorts on a GPU: memory and speed by size, steps from Python against replayed ones, and what limits a step.

    python benchmarks/cohort_gpu/run.py [--device cuda:0] [--case NAME] [--sizes 1 4 16] [--compiled] [--output FILE]

For each case and precision: a trial alone, then cohorts of growing size until memory runs out, each with its steps run
from Python and replayed from a CUDA graph, alternately. The figure is epochs of trials, including evaluation. Needs no
data set: digits come with scikit-learn, and other images are random, because no figure depends on their content. Then
torch's profiler analyses the largest size. `--device cpu` runs a small version to check that this program works.
"""

from __future__ import annotations

import argparse
import datetime
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from benchmarks.cohort_gpu.kernels import profiled
from benchmarks.cohort_gpu.measure import Case, Figure, Way, measure
from lehr.errors import InvalidValueError
from tests.unit.workers.tasks.image_files import drawn, write_idx
from workers.settings import prepare_environment
from workers.tasks.task import Task
from workers.training.device import configure_torch, describe, resolve_device

NO_CUDA = "there is no CUDA device here; --device cpu runs a small version, which measures nothing worth keeping"
PICTURES = {"data": "fashion_mnist", "validation_fraction": 0.1, "batch_size": 128}
CASES = {
    "digits-mlp": Case("digits", {"model": "mlp", "batch_size": 64}),
    "small-cnn": Case("images", {**PICTURES, "model": "cnn", "width": 8, "hidden": 64}, trial_epochs=1),
    "resnet": Case("images", {**PICTURES, "model": "resnet", "width": 16, "flip": True, "crop": 2}),
}
PRECISIONS = {"digits-mlp": ["fp32"]}
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
HEAD = "| case | precision | together | way | ms an epoch | trials an hour | times alone | MiB | remarks |"


def main() -> None:
    given = _arguments()
    device = _device(given.device)
    if device is None:
        # No failure: `make bench` goes on with the next one.
        print(f"{given.device}: {NO_CUDA}")
        return
    prepare_environment()
    configure_torch(device, threads=1)
    small = device.type == "cpu"
    title = f"{describe(device)}, torch {torch.__version__}, {datetime.datetime.now(datetime.UTC).date()}"
    lines = [title, "", HEAD, "|---|---|---:|---|---:|---:|---:|---:|---|"]
    print("\n".join(lines), flush=True)
    profiles: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        count = 500 if small else 20_000
        images = drawn(count, (28, 28), 10), drawn(100, (28, 28), 10, seed=1)
        write_idx(Path(folder) / "fashion_mnist", *images, packed=False)
        for name in given.case or CASES:
            for precision in _precisions(name, device):
                task = CASES[name].build(Path(folder), precision)
                for line in _rows(name, precision, task, device, given):
                    print(line, flush=True)
                    lines.append(line)
            profiles += _profiles(name, Path(folder), device, given)
    if given.output:
        given.output.write_text("\n".join([*lines, "", *profiles]) + "\n")


def _rows(name: str, precision: str, task: Task, device: torch.device, given: argparse.Namespace) -> Iterator[str]:
    """A trial alone, then each size in each way, until one does not fit."""
    alone = measure(task, device, "alone", 1, given.seconds)
    assert alone is not None, "not even one fits into memory"
    head, epochs = f"| {name} | {precision}", CASES[name].trial_epochs
    yield f"{head} | 1 | alone | {_figures(alone, alone, 1, epochs)}"
    for size in given.sizes or ((1, 4) if device.type == "cpu" else SIZES):
        for way in _ways(device, compiled=given.compiled):
            found = measure(task, device, way, size, given.seconds)
            yield f"{head} | {size} | {way} | {_figures(found, alone, size, epochs)}"
            if found is None:
                return


def _figures(found: Figure | None, alone: Figure, size: int, epochs: int) -> str:
    if found is None:
        return "- | - | - | - | did not fit into memory |"
    rate = found.trials_an_hour(size, epochs)
    memory = "-" if found.memory_mib is None else f"{found.memory_mib:.0f}"
    times = rate / alone.trials_an_hour(1, epochs)
    return f"{1000 * found.epoch_seconds:.2f} | {rate:.0f} | {times:.2f} | {memory} | {found.words} |"


def _profiles(name: str, folder: Path, device: torch.device, given: argparse.Namespace) -> list[str]:
    """In single precision, of the smallest and the largest size asked for: by default of 1 and 16."""
    task = CASES[name].build(folder, "fp32")
    sizes: Sequence[int] = sorted({min(given.sizes), max(given.sizes)}) if given.sizes else (1, 16)
    told = []
    for size in sizes[:1] if device.type == "cpu" else sizes:
        for way in _ways(device):
            told.append(f"{name}, {profiled(task, device, way, size)}")
            print(told[-1], flush=True)
    return told


def _ways(device: torch.device, *, compiled: bool = False) -> tuple[Way, ...]:
    ways: tuple[Way, ...] = ("python", "replayed") if device.type == "cuda" else ("python",)
    return (*ways, "compiled") if compiled else ways


def _precisions(name: str, device: torch.device) -> Sequence[str]:
    return PRECISIONS.get(name, ["fp32", "bf16"] if device.type == "cpu" else ["fp32", "tf32", "bf16"])


def _device(name: str) -> torch.device | None:
    try:
        return resolve_device(name)
    except InvalidValueError:
        return None


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--case", action="append", choices=CASES)
    parser.add_argument("--sizes", type=int, nargs="+", metavar="K")
    parser.add_argument("--compiled", action="store_true", help="with torch.compile, too")
    parser.add_argument("--seconds", type=float, default=2.0, help="for each figure")
    parser.add_argument("--output", type=Path, help="a Markdown file; on a CPU there is nothing to keep")
    given = parser.parse_args()
    if given.output and given.device == "cpu":
        parser.error("figures of a CPU's small version are not kept: leave --output out")
    return given


if __name__ == "__main__":
    main()
