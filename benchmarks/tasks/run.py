"""Studies of CIFAR-10 and tiny Shakespeare through the service, and the cost of lehr's training loop.

    python benchmarks/tasks/run.py [--size small|full] [--device cpu] [--data DIR] [--output FILE]

A server and a worker, which are processes as `lehr up` starts them, search and confirm the studies. Then the worker's
training loop and a loop written by hand train the same model on the same data, alternating after each epoch, including
its evaluation. On a CPU the cost of an epoch is in seconds of processor time with one thread, which other programs on
the machine hardly affect; on a GPU, in seconds of wall-clock time. Needs Pillow and the packed data that
tests/support/shared_data.py looks for. If interrupted, run the same command again to continue.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.setting import setting
from benchmarks.tasks.bare import BareLoop
from lehr.cli.commands.up import running
from lehr.cli.local.supervisor import Plan
from lehr.client import Client
from lehr.schedules import schedule_from_dict
from lehr.wire.answers import Answer
from tests.support.shared_data import SHAKESPEARE, write_cifar10
from workers.training.device import configure_torch, describe, resolve_device
from workers.training.run import Run
from workers.training.solo import build_task

CIFAR = {"data": "cifar10", "model": "resnet", "optimizer": "sgd"}
TEXT = {"file": "tinyshakespeare.txt", "optimizer": "sgd"}
SIZES: Mapping[str, Mapping[str, tuple[str, dict[str, Any]]]] = {
    "small": {
        "CIFAR-10": ("images", {**CIFAR, "width": 8, "train_limit": 6000, "batch_size": 128, "epochs": 3}),
        "tiny Shakespeare": (
            "text",
            {**TEXT, "context": 64, "layers": 2, "heads": 4, "head_width": 16, "train_limit": 200_000}
            | {"batch_size": 32, "epochs": 3},
        ),
    },
    "full": {
        "CIFAR-10": ("images", {**CIFAR, "width": 64, "batch_size": 512, "epochs": 10, "precision": "bf16"}),
        "tiny Shakespeare": (
            "text",
            {**TEXT, "context": 256, "layers": 6, "heads": 6, "head_width": 64, "dropout": 0.2}
            | {"batch_size": 64, "epochs": 10, "precision": "bf16"},
        ),
    },
}
SHOWN = {"images": {"flip": True, "crop": 2}, "text": {}}
"""What the study does besides; the loops are compared without it."""
METRICS = {"images": ("val_accuracy", "maximize"), "text": ("val_loss", "minimize")}


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds an epoch, of each loop in turn."""

    ours: list[float]
    bare: list[float]

    @property
    def ratio(self) -> float:
        return statistics.median(one / other for one, other in zip(self.ours, self.bare, strict=True))


def main() -> None:
    arguments = _arguments()
    device = resolve_device(arguments.device)
    os.environ["LEHR_DATA_DIR"] = str(_data(arguments.data).absolute())
    answers = {}
    plan = Plan("127.0.0.1", 0, 1, arguments.device)
    with running(arguments.data / arguments.size, plan) as fleet, Client(fleet.url) as client:
        for title, (task, params) in SIZES[arguments.size].items():
            answers[title] = study(client, f"{task}-{arguments.size}", task, params, fleet.tick)
    configure_torch(device, threads=1)
    folder = arguments.data / "datasets"
    costs = {
        title: compare(task, params, folder, device, arguments.rounds)
        for title, (task, params) in SIZES[arguments.size].items()
    }
    lines = report(answers, costs, arguments.size, device)
    print("\n".join(lines))
    if arguments.output:
        arguments.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _data(root: Path) -> Path:
    """The folder of data sets, made from the packed ones once."""
    folder = root / "datasets"
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "cifar10").exists():
        shutil.rmtree(folder / "making", ignore_errors=True)
        write_cifar10(folder / "making")
        (folder / "making").rename(folder / "cifar10")
    if not (folder / "tinyshakespeare.txt").exists():
        shutil.copy(SHAKESPEARE, folder / "tinyshakespeare.txt")
    return folder


def study(client: Client, name: str, task: str, params: dict[str, Any], between: Callable[[], None]) -> Answer:
    """Eight schedules, the best one and the best constant rate confirmed on two fresh seeds."""
    metric, direction = METRICS[task]
    spec = {
        "name": name,
        "task": {"name": task, "params": {**params, **SHOWN[task]}},
        "space": {
            "families": ["constant", "linear", "one_cycle", "wsd"],
            "start_lr": {"low": 0.01, "high": 1.0},
            "end_lr": {"low": 1e-4, "high": 1e-2},
        },
        "objective": {"metric": metric, "direction": direction},
        "sampler": {"name": "qmc", "seed": 0},
        "budget": {"trials": 8, "parallel": 1},
        "confirm": {"top": 1, "seeds": 2},
    }
    study_id = client.create_study(spec, idempotency_key=name).study_id
    while (found := client.study(study_id)).state not in ("COMPLETED", "CANCELLED", "FAILED"):
        between()
        time.sleep(0.5)
    if found.state != "COMPLETED":
        raise RuntimeError(f"{name} is {found.state}: {found.reason}")
    return client.best(study_id)


def compare(task_name: str, params: dict[str, Any], folder: Path, device: torch.device, rounds: int) -> Cost:
    """`rounds` epochs of each loop in turn, after one of each that is not counted."""
    task = build_task({"name": task_name, "params": {**params, "epochs": rounds + 1}}, folder)
    schedule = schedule_from_dict({"family": "one_cycle", "start_lr": 0.004, "peak_lr": 0.1, "end_lr": 1e-5})
    run = Run(task, schedule, 0, device)
    bare = BareLoop(task.build_model().to(device), task.data(device), task.params.batch_size, rounds + 1)
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    ours, theirs = [], []
    for _ in range(rounds + 1):
        ours.append(_seconds(clock, lambda: _epoch(run)))
        theirs.append(_seconds(clock, bare.epoch))
    return Cost(ours[1:], theirs[1:])


def _epoch(run: Run) -> None:
    while run.advance() is None:
        """Until the report that ends the epoch."""


def _seconds(clock: Callable[[], float], work: Callable[[], Any]) -> float:
    started = clock()
    work()
    return clock() - started


def report(answers: Mapping[str, Answer], costs: Mapping[str, Cost], size: str, device: torch.device) -> list[str]:
    lines = [
        "# CIFAR-10 and tiny Shakespeare",
        "",
        f"{setting('torch', 'numpy', device=describe(device))}; size `{size}`.",
        "",
        f"`python benchmarks/tasks/run.py --size {size} --device {device} --output benchmarks/tasks/results.md`",
        "",
        "| study | metric | best schedule | confirmed | best constant rate | verdict |",
        "|---|---|---|---:|---:|---|",
    ]
    for title, answer in answers.items():
        confirmed, base, gain = answer.confirmation, answer.baseline, answer.gain
        lines.append(
            f"| {title} | {answer.metric} | {answer.schedule.family} | {confirmed.mean:.4f} | {base.mean:.4f} "
            f"| {gain.verdict} |"
            if confirmed and base and gain
            else f"| {title} | {answer.metric} | {answer.schedule.family} | {answer.value:.4f} | | |"
        )
    lines += ["", "| loop | bare s/epoch | lehr s/epoch | ratio |", "|---|---:|---:|---:|"]
    for title, cost in costs.items():
        ours, bare = statistics.median(cost.ours), statistics.median(cost.bare)
        lines.append(f"| {title} | {bare:.3f} | {ours:.3f} | {cost.ratio:.3f} |")
    return [*lines, "", "The ratio is the median over epochs in turn. The goal is at most 1.05."]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=list(SIZES), default="small")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--data", type=Path, default=Path("lehr-data/tasks"), help="kept, to go on from")
    parser.add_argument("--output", type=Path, default=None)
    return parser.parse_args()


if __name__ == "__main__":
    main()
