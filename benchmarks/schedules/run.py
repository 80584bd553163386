"""Measures the cost of a schedule: a rate at each step of a training, a whole curve, a preview.

    python benchmarks/schedules/run.py [--rounds 15] [--steps 3000] [--output benchmarks/schedules/results.md]

torch's cheapest scheduler is its own scheduler with the lowest median over rounds. Each scheduler then alternates with
that one, so that a slow moment of the machine affects both; reported are the median of its processor time and the
median of the ratio of two adjacent runs. lehr's are the classes that `torch_code` writes, set up for a million steps.
"A step of a training" is a complete one, of a small network.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.optim import lr_scheduler

from benchmarks.setting import setting
from lehr.schedules import FAMILIES, Schedule
from lehr.schedules.portable import torch_code

START, PEAK, END = 0.1, 0.5, 0.001
MILLION = 1_000_000
TRAINED_STEPS = 200

Optimizer = torch.optim.Optimizer
Scheduler = lr_scheduler.LRScheduler


def main() -> None:
    arguments = _arguments()
    torch.set_num_threads(1)
    theirs = torch_schedulers(10**9)
    ours = {f"lehr {name}": _exported(schedule, MILLION) for name, schedule in examples().items()}
    runs = {name: _stepper(make, arguments.steps) for name, make in (theirs | ours).items()}
    cheapest = _cheapest({name: runs[name] for name in theirs}, arguments.rounds)
    stepped = {name: beside(run, runs[cheapest], arguments.rounds) for name, run in runs.items()}
    training = {name: _training(make) for name, make in (theirs | ours).items()}
    trained = {name: beside(run, training[cheapest], arguments.rounds) for name, run in training.items()}
    lines = [_header(), "", *_per_step(stepped, trained, cheapest), "", *_curves(arguments.rounds)]
    text = "\n".join(lines) + "\n"
    print(text)
    if arguments.output:
        Path(arguments.output).write_text(text, encoding="utf-8")


def examples() -> dict[str, Schedule]:
    """A schedule of every closed-form family, with a warm-up where it rises by itself."""
    made: dict[str, Schedule] = {}
    for name, family in FAMILIES.items():
        if family.adaptive:
            continue
        rates: dict[str, Any] = {"start_lr": START, "end_lr": END if family.decays else START}
        rates |= {"peak_lr": PEAK} if family.climbs else {}
        rates |= {"knots": (0.2, 0.6), "rates": (0.2, 0.05)} if name == "piecewise" else {}
        made[name] = family(**rates)
    return made


def torch_schedulers(steps: int) -> dict[str, Callable[[Optimizer], Scheduler]]:
    """Those of torch itself, each set up for a run of so many steps."""
    return {
        "torch ConstantLR": lambda o: lr_scheduler.ConstantLR(o, factor=1.0),
        "torch LambdaLR": lambda o: lr_scheduler.LambdaLR(o, lambda step: 1.0),
        "torch LinearLR": lambda o: lr_scheduler.LinearLR(o, 1.0, END / START, total_iters=steps),
        "torch ExponentialLR": lambda o: lr_scheduler.ExponentialLR(o, (END / START) ** (1 / steps)),
        "torch StepLR": lambda o: lr_scheduler.StepLR(o, step_size=1000),
        "torch MultiStepLR": lambda o: lr_scheduler.MultiStepLR(o, milestones=[1000]),
        "torch CosineAnnealingLR": lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=steps, eta_min=END),
        "torch PolynomialLR": lambda o: lr_scheduler.PolynomialLR(o, total_iters=steps, power=2.0),
        "torch OneCycleLR": lambda o: lr_scheduler.OneCycleLR(o, PEAK, total_steps=steps, cycle_momentum=False),
    }


def beside(run: Callable[[], float], other: Callable[[], float], rounds: int) -> tuple[float, float]:
    """The median seconds a step, and the median of its ratio to the other's, which is run right before it."""
    run()
    seconds, ratios = [], []
    for _ in range(rounds):
        theirs = other()
        seconds.append(run())
        ratios.append(seconds[-1] / theirs)
    return statistics.median(seconds), statistics.median(ratios)


def _cheapest(runs: Mapping[str, Callable[[], float]], rounds: int) -> str:
    """The one with the lowest median over rounds in which every one has its turn."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            seconds[name].append(run())
    return min(seconds, key=lambda name: statistics.median(seconds[name]))


def _exported(schedule: Schedule, steps: int) -> Callable[[Optimizer], Scheduler]:
    names: dict[str, Any] = {}
    exec(compile(torch_code(schedule, steps), f"exported {schedule.family}", "exec"), names)
    make: Callable[[Optimizer], Scheduler] = names["LehrLR"]
    return make


def _stepper(make: Callable[[Optimizer], Scheduler], steps: int) -> Callable[[], float]:
    """Seconds that one step of the scheduler takes, on average over a run."""

    def run() -> float:
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=START)
        scheduler = make(optimizer)
        optimizer.step()
        begin = time.process_time()
        for _ in range(steps):
            scheduler.step()
        return (time.process_time() - begin) / steps

    return run


def _training(make: Callable[[Optimizer], Scheduler]) -> Callable[[], float]:
    """Seconds that one step of a training takes: 64 images of 8 x 8, a hidden layer of 32, SGD."""
    torch.manual_seed(0)
    images, labels = torch.randn(64, 64), torch.randint(10, (64,))
    model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))

    def run() -> float:
        optimizer = torch.optim.SGD(model.parameters(), lr=START)
        scheduler = make(optimizer)
        begin = time.process_time()
        for _ in range(TRAINED_STEPS):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(images), labels).backward()
            optimizer.step()
            scheduler.step()
        return (time.process_time() - begin) / TRAINED_STEPS

    return run


def _per_step(
    stepped: Mapping[str, tuple[float, float]], trained: Mapping[str, tuple[float, float]], cheapest: str
) -> Iterable[str]:
    worst = max((name for name in stepped if name.startswith("lehr")), key=lambda name: stepped[name][1])
    yield "## Setting the rate at each step"
    yield ""
    yield f"torch's cheapest scheduler is {cheapest.removeprefix('torch ')}. lehr's dearest family is"
    yield f"{worst.removeprefix('lehr ')}: {stepped[worst][1]:.2f} times torch's cheapest."
    yield ""
    yield "| scheduler | µs a step | of torch's cheapest | µs a step of a training | of torch's cheapest |"
    yield "|---|---:|---:|---:|---:|"
    for name in sorted(stepped, key=lambda name: stepped[name][1]):
        (seconds, share), (whole, whole_share) = stepped[name], trained[name]
        yield f"| {name} | {seconds * 1e6:.2f} | {share:.2f} | {whole * 1e6:.0f} | {whole_share:.2f} |"


def _curves(rounds: int) -> Iterable[str]:
    yield "## Whole curves"
    yield ""
    yield f"`curve_array` of {MILLION:,} steps, `curve` of them at 1,000 points, and one `lr(step, horizon)`; medians."
    yield ""
    yield "| family | million steps, ms | preview of 1,000 points, ms | one rate, µs |"
    yield "|---|---:|---:|---:|"
    for name, schedule in examples().items():
        whole = _median(partial(schedule.curve_array, MILLION), rounds)
        preview = _median(partial(schedule.curve, MILLION, 1000), rounds)
        one = _median(partial(_thousand_rates, schedule), rounds) / 1000
        yield f"| {name} | {whole * 1e3:.1f} | {preview * 1e3:.2f} | {one * 1e6:.2f} |"


def _thousand_rates(schedule: Schedule) -> list[float]:
    return [schedule.lr(step, MILLION) for step in range(1000)]


def _median(call: Callable[[], object], rounds: int) -> float:
    taken = []
    for _ in range(rounds):
        begin = time.process_time()
        call()
        taken.append(time.process_time() - begin)
    return statistics.median(taken)


def _header() -> str:
    return f"# Schedules\n\n{setting('torch', 'numpy', device='one thread')}. By `python benchmarks/schedules/run.py`."


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=3_000)
    parser.add_argument("--output")
    return parser.parse_args()


if __name__ == "__main__":
    main()
