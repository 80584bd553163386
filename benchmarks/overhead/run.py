"""Measures the service's cost per trial, compared with Optuna's database storage doing the same work.

    python benchmarks/overhead/run.py [--trials 96] [--rounds 3] [--output benchmarks/overhead/results.md]

One trial is an ask by TPE over a six-family space, 30 reports, and one finish. lehr does it over HTTP with one uvicorn
process, once with 8 trials per lease and once with one; Optuna does it in this process with `RDBStorage`. Both write to
the same SQLite file system and to the same PostgreSQL cluster (durable: fsync on), alternately, round after round. The
caller writes HTTP directly to a socket, so that the figure is the service's; a column has the figure with lehr's own
client. Reported: median milliseconds per trial over the rounds, and the ratio to Optuna. Then: the cost of a claim of
one trial in a study of 500 and of 5,000 trials, and of the first claim after a restart of the server, which rebuilds
the search from the database.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import optuna

from benchmarks.overhead.callers import Caller, ClientCaller, PlainCaller
from lehr.client import Client
from tests.support import postgres

ROOT = Path(__file__).resolve().parents[2]
FAMILIES = ["constant", "step", "exponential", "linear", "cosine", "one_cycle"]
REPORTS = 30
START_SECONDS = 30
WORKER = {"id": "bench", "name": "bench", "device": "cpu", "tasks": ["benchmark"]}


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder, postgres.cluster(durable=True) as cluster:
        databases = {
            "SQLite": (f"sqlite:///{folder}/lehr.sqlite", f"sqlite:///{folder}/optuna.sqlite"),
            "PostgreSQL": _postgres_databases(cluster),
        }
        lines = [_header(arguments), "", *_cost_table(databases, arguments), "", *_growth_table(folder, arguments)]
    print("\n".join(lines))
    if arguments.output:
        Path(arguments.output).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _cost_table(databases: dict[str, tuple[str, str]], arguments: argparse.Namespace) -> list[str]:
    lines = [
        "| database | Optuna RDBStorage ms | lehr, 8 trials a lease ms | ratio | the same with lehr's client ms "
        "| lehr, 1 trial a lease ms | ratio |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, (ours, theirs) in databases.items():
        seconds: dict[str, list[float]] = {"optuna": [], "eight": [], "client": [], "one": []}
        with serving(ours) as url, Client(url) as client:
            for _ in range(arguments.rounds):
                seconds["optuna"].append(run_optuna(theirs, arguments.trials))
                seconds["eight"].append(run_lehr(client, PlainCaller(url), arguments.trials, per_lease=8))
                seconds["client"].append(run_lehr(client, ClientCaller(client), arguments.trials, per_lease=8))
                seconds["one"].append(run_lehr(client, PlainCaller(url), arguments.trials, per_lease=1))
        cost = {key: statistics.median(found) / arguments.trials * 1000 for key, found in seconds.items()}
        eight, one = cost["eight"] / cost["optuna"], cost["one"] / cost["optuna"]
        lines.append(
            f"| {name} | {cost['optuna']:.1f} | {cost['eight']:.1f} | {eight:.3f} | {cost['client']:.1f} "
            f"| {cost['one']:.1f} | {one:.3f} |"
        )
    return lines


def _growth_table(folder: str, arguments: argparse.Namespace) -> list[str]:
    """Claims of one trial, each finished at once, in a study that grows."""
    database = f"sqlite:///{folder}/growth.sqlite"
    lines = ["| trials in the study | claim ms (median of 40) | first claim after a restart ms |", "|---:|---:|---:|"]
    created, reached, found = False, 0, []
    for size in arguments.sizes:
        with serving(database) as url, Client(url) as client:
            caller = PlainCaller(url)
            if not created:
                create(client, trials=10_000, parallel=64)
                created = True
            while reached < size:
                lease = claim(caller, min(64, size - reached))
                finish(caller, lease)
                reached += len(lease["trials"])
            median = statistics.median(_claim_seconds(caller) for _ in range(40))
            reached += 40
        with serving(database) as url:
            first = _claim_seconds(PlainCaller(url))
            reached += 1
        found.append(median)
        lines.append(f"| {size} | {median * 1000:.1f} | {first * 1000:.1f} |")
    ratio = found[-1] / found[0]
    return [*lines, "", f"A claim at {arguments.sizes[-1]} trials costs {ratio:.2f} times one at {arguments.sizes[0]}."]


def _claim_seconds(caller: Caller) -> float:
    started = time.perf_counter()
    lease = claim(caller, 1)
    elapsed = time.perf_counter() - started
    finish(caller, lease)
    return elapsed


def run_lehr(client: Client, caller: Caller, trials: int, per_lease: int) -> float:
    """Seconds that the whole study's protocol takes."""
    study_id = create(client, trials=trials, parallel=per_lease)
    started = time.perf_counter()
    done = 0
    while done < trials:
        lease = claim(caller, per_lease)
        for step in range(REPORTS):
            caller.say(lease["lease_id"], "report", {"trials": [_report(trial, step) for trial in lease["trials"]]})
        finish(caller, lease)
        done += len(lease["trials"])
    elapsed = time.perf_counter() - started
    assert client.study(study_id).state == "COMPLETED"
    return elapsed


def run_optuna(url: str, trials: int) -> float:
    """Seconds that Optuna's ask, 30 reports and tell take for the same number of trials."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = optuna.storages.RDBStorage(url)
    study = optuna.create_study(storage=storage, sampler=optuna.samplers.TPESampler(seed=0), direction="maximize")
    started = time.perf_counter()
    for _ in range(trials):
        trial = study.ask()
        value = _suggest(trial)
        for step in range(REPORTS):
            trial.report(value * step / REPORTS, step)
        study.tell(trial, value)
    elapsed = time.perf_counter() - started
    storage.remove_session()
    storage.engine.dispose()
    return elapsed


def _suggest(trial: optuna.Trial) -> float:
    family = trial.suggest_categorical("family", FAMILIES)
    rate = trial.suggest_float("start_lr", 1e-4, 1.0, log=True)
    if family != "constant":
        trial.suggest_float("end_position", 0.0, 1.0)
    if family == "step":
        trial.suggest_int("step.drops", 1, 5)
    if family == "one_cycle":
        trial.suggest_float("one_cycle.start_position", 0.0, 1.0)
        trial.suggest_float("one_cycle.warmup_fraction", 0.1, 0.5)
    return 1.0 - abs(rate - 0.1)


def create(client: Client, trials: int, parallel: int) -> str:
    return client.create_study(
        {
            "name": "overhead",
            "task": {"name": "benchmark"},
            "space": {"families": FAMILIES},
            "objective": {"metric": "val_accuracy", "direction": "maximize"},
            "sampler": {"name": "tpe", "seed": 0},
            "budget": {"trials": trials, "parallel": parallel},
            "confirm": None,
        }
    ).study_id


def claim(caller: Caller, count: int) -> dict[str, Any]:
    return caller.claim({"worker": WORKER, "max_trials": count, "wait_seconds": 0})


def finish(caller: Caller, lease: dict[str, Any]) -> None:
    results = [{**_named(trial), "state": "COMPLETED", "value": _value(trial)} for trial in lease["trials"]]
    caller.say(lease["lease_id"], "finish", {"trials": results})


def _value(trial: dict[str, Any]) -> float:
    schedule = trial["schedule"]
    value: float = 1.0 - abs(schedule.get("peak_lr", schedule["start_lr"]) - 0.1)
    return value


def _named(trial: dict[str, Any]) -> dict[str, Any]:
    return {"trial": trial["trial"], "attempt": trial["attempt"]}


def _report(trial: dict[str, Any], step: int) -> dict[str, Any]:
    metrics = {"val_loss": 0.5, "val_accuracy": step / REPORTS}
    row = {"step": step, "epoch": float(step), "lr": 0.1, "train_loss": 0.5, "metrics": metrics}
    return {**_named(trial), "horizon_steps": REPORTS, "reports": [row]}


@contextmanager
def serving(database: str) -> Iterator[str]:
    """One uvicorn process over the database, on a free port of this machine."""
    with tempfile.TemporaryDirectory() as folder:
        port_file = Path(folder) / "port"
        command = [
            sys.executable,
            "-m",
            "service",
            "serve",
            "--migrate",
            "--database",
            database,
            "--port",
            "0",
            "--port-file",
            str(port_file),
            "--log-level",
            "error",
        ]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
            try:
                assert server.stdout is not None
                line = server.stdout.readline()
                assert "ready" in line, f"the server did not start: {line}"
                yield line.split()[-1]
            finally:
                server.terminate()
                server.wait(START_SECONDS)


def _postgres_databases(cluster: str) -> tuple[str, str]:
    for name in ("lehr", "optuna"):
        postgres.execute(cluster, f"CREATE DATABASE {name}")
    return postgres.url(cluster, "lehr"), postgres.url(cluster, "optuna")


def _header(arguments: argparse.Namespace) -> str:
    packages = ", ".join(
        f"{name} {version(name)}" for name in ("optuna", "sqlalchemy", "fastapi", "uvicorn", "psycopg")
    )
    today = datetime.datetime.now(datetime.UTC).date()
    return (
        f"# What the service costs a trial\n\n{today}, {os.cpu_count()} cores, {platform.machine()}, "
        f"Python {platform.python_version()}, {packages}. {arguments.rounds} rounds of {arguments.trials} trials, "
        f"in turn; medians. One trial: TPE's ask over six families, {REPORTS} reports, finish.\n\n"
        "`python benchmarks/overhead/run.py --output benchmarks/overhead/results.md`"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", type=lambda text: [int(part) for part in text.split(",")], default=[500, 5000])
    parser.add_argument("--folder", default=None, help="where SQLite files are made; the temporary folder unless told")
    parser.add_argument("--output", default=None)
    return parser.parse_args()


if __name__ == "__main__":
    main()
