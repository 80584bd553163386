"""Measures trials per hour: lehr against one process per trial, and against Ray Tune with Optuna.

    python benchmarks/trials_per_hour/run.py [--case digits-mlp] [--rounds 2] [--ray-python PYTHON] [--output FILE]

The same task, schedules from the same space and the same cores; the arms alternate, round after round. lehr's arms are
whole studies through the service: from the POST to the answer, with TPE, one worker per core, and everything stored.
Its processes start before the clock, as those of a service do; so does ray. The probe that chooses the cohort's size
runs once, in the first, short study, and its time is reported. A study may run as many trials as two cohorts of every
worker: the one that trains, and the prefetched one. If the probe chooses trials alone, there is one arm of lehr's, and
the bare loop is that of a trial alone. A case takes two to four minutes; you can run each separately, because
`--output` keeps the results of the others.

Seconds are wall-clock time. On a shared machine the processor time per trial is more informative: of the bare loop, and
of training, workers and server through the service.

`--ray-python`: a Python in a separate virtual environment, created as follows (ray is not a dependency of lehr):

    python -m venv ray-venv
    ray-venv/bin/pip install "ray[tune]" optuna torch numpy scikit-learn pyarrow pydantic pydantic-settings \
        structlog httpx tenacity fsspec pyyaml

(a CPU build of torch is enough). Without it that column stays empty.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.trials_per_hour.arms import Setting, Spent, bare_loop, process_per_trial, ray_tune, service

FASHION = "/usr/share/datasets"

Arm = Callable[[int], Spent]
"""Trains so many trials."""


@dataclass(frozen=True)
class Case:
    """`trials`: of lehr's studies and of the bare loop; the other arms train `few`, and are given per trial."""

    task: dict[str, Any]
    trials: int
    few: int


CASES = {
    "digits-mlp": Case({"name": "digits", "params": {"model": "mlp", "epochs": 10}}, 512, 8),
    "fashion-mlp": Case(
        {"name": "images", "params": {"model": "mlp", "epochs": 2, "batch_size": 128, "train_limit": 20000}}, 32, 6
    ),
    "fashion-cnn": Case(
        {
            "name": "images",
            "params": {"model": "cnn", "width": 8, "epochs": 1, "batch_size": 128, "train_limit": 10000},
        },
        8,
        4,
    ),
}


def main() -> None:
    arguments = _arguments()
    rows: dict[str, dict[str, Any]] = {}
    for name in arguments.case or CASES:
        with tempfile.TemporaryDirectory() as folder:
            rows[name] = _measure(name, Path(folder), arguments)
        print(name, json.dumps(rows[name]), flush=True)
        if arguments.output:
            _keep(Path(arguments.output), name, rows[name], arguments)


def _measure(name: str, folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    case, cores = CASES[name], len(os.sched_getaffinity(0))
    setting = Setting(case.task, arguments.data_dir, cores, folder)
    with ExitStack() as stack:
        chosen = stack.enter_context(service(setting, "auto"))
        first = chosen.study(2 * cores, cores)
        choice = _choice(folder / "calibration")
        size = max(1, choice["size"])
        arms: dict[str, tuple[int, Arm]] = {
            "process": (case.few, lambda count: process_per_trial(setting, count)),
            "lehr": (case.trials, lambda count: chosen.study(count, 2 * cores * size)),
            "bare": (case.trials, lambda count: bare_loop(setting, count, size)),
        }
        if size > 1:
            alone = stack.enter_context(service(setting, "off"))
            alone.study(2 * cores, cores)
            arms["lehr alone"] = (case.trials // 8, lambda count: alone.study(count, cores))
        if arguments.ray_python:
            arms["ray"] = (case.few, lambda count: ray_tune(setting, count, arguments.ray_python))
        found = _in_turn(arms, arguments.rounds)
    return {**found, "choice": choice, "first_study_seconds": round(first.seconds, 1), "rounds": arguments.rounds}


def _in_turn(arms: dict[str, tuple[int, Arm]], rounds: int) -> dict[str, Any]:
    """`rates`: trials an hour, the best of `all_rates`, those of each round: what disturbs a round only slows it.

    `processor_ms`: of a trial, by who spent them; medians.
    """
    rates: dict[str, list[int]] = {arm: [] for arm in arms}
    costs: dict[str, list[dict[str, float]]] = {arm: [] for arm in arms}
    for _ in range(rounds):
        for arm, (count, run) in arms.items():
            spent = run(count)
            rates[arm].append(round(3600 * count / spent.seconds))
            costs[arm].append({part: 1000 * seconds / count for part, seconds in spent.processor.items()})
    return {
        "rates": {arm: max(some) for arm, some in rates.items()},
        "all_rates": rates,
        "processor_ms": {
            arm: {part: round(statistics.median(each[part] for each in some), 2) for part in some[0]}
            for arm, some in costs.items()
            if some[0]
        },
    }


def _choice(folder: Path) -> dict[str, Any]:
    (file,) = folder.glob("*.json")
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def _keep(path: Path, name: str, row: dict[str, Any], arguments: argparse.Namespace) -> None:
    """Cases may be measured one by one: what is there of the others stays."""
    beside = path.with_suffix(".json")
    rows = json.loads(beside.read_text()) if beside.exists() else {}
    rows[name] = {**row, "date": str(datetime.datetime.now(datetime.UTC).date())}
    beside.write_text(json.dumps(rows, indent=1) + "\n")
    lines = [_header(arguments), "", *_table(rows), "", *_costs(rows), "", *_curves(rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _table(rows: dict[str, Any]) -> list[str]:
    lines = [
        "| task | (a) process per trial | (b) Ray Tune + Optuna | lehr, trials alone | lehr | lehr / (a) | lehr / (b) "
        "| bare loop | share kept | trials together | measured, rounds |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|",
    ]
    for name, row in rows.items():
        rates = row["rates"]
        ray = rates.get("ray")
        bare = rates.get("bare")
        against_ray = f"{rates['lehr'] / ray:.2f}" if ray else "-"
        kept = f"{rates['lehr'] / bare:.0%}" if bare else "-"
        lines.append(
            f"| {name} | {rates['process']} | {ray or '-'} | {rates.get('lehr alone', '-')} | {rates['lehr']} "
            f"| {rates['lehr'] / rates['process']:.2f} | {against_ray} "
            f"| {bare or '-'} | {kept} | {row['choice']['size']} | {row['date']}, {row['rounds']} |"
        )
    return lines


def _costs(rows: dict[str, Any]) -> list[str]:
    """Where the processor's time goes."""
    lines = [
        "| task | processor ms a trial: bare loop | through the service: training | workers | server | share kept |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, row in rows.items():
        if "bare" not in row.get("processor_ms", {}):
            continue
        bare, lehr = row["processor_ms"]["bare"]["training"], row["processor_ms"]["lehr"]
        parts = " | ".join(str(lehr[part]) for part in ("training", "workers", "server"))
        lines.append(f"| {name} | {bare} | {parts} | {bare / sum(lehr.values()):.0%} |")
    return lines


def _curves(rows: dict[str, Any]) -> list[str]:
    """Speed by the number of trials together, as the probe measured it."""
    lines = ["| task | trials together: speed of alone, by the probe | the probe's words |", "|---|---|---|"]
    for name, row in rows.items():
        seconds = {int(size): value for size, value in row["choice"]["epoch_seconds"].items()}
        found = ", ".join(f"{size}: {size * seconds[0] / value:.2f}" for size, value in seconds.items() if size)
        lines.append(f"| {name} | {found} | {row['choice']['reason']} |")
    return lines


def _header(arguments: argparse.Namespace) -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "optuna"))
    if arguments.ray_python:
        script = "import ray, optuna; print(f'ray {ray.__version__} with optuna {optuna.__version__}')"
        found = subprocess.run([arguments.ray_python, "-c", script], check=True, capture_output=True, text=True)
        packages += f", {found.stdout.strip()}"
    today = datetime.datetime.now(datetime.UTC).date()
    return (
        f"# Trials an hour\n\n{today}, {len(os.sched_getaffinity(0))} cores, {platform.machine()}, CPU only, "
        f"Python {platform.python_version()}, {packages}. Trials an hour, the best of the rounds, in turn.\n\n"
        "`python benchmarks/trials_per_hour/run.py --ray-python … --output benchmarks/trials_per_hour/results.md`"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", action="append", choices=list(CASES))
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--data-dir", default=FASHION, help="holds fashion-mnist/")
    parser.add_argument("--ray-python", default=None)
    parser.add_argument("--output", default=None)
    return parser.parse_args()


if __name__ == "__main__":
    main()
