"""The ways to run many trials of a task on this machine's cores; each returns seconds."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.overhead.run import serving
from lehr.client import Client

ROOT = Path(__file__).resolve().parents[2]
START_LR = (1e-3, 0.2)
END_LR = (1e-6, 1e-3)
POLL_SECONDS = 2.0
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Setting:
    """What is trained, where its data lie, on how many cores. `seed` draws the rates where no search does."""

    task: dict[str, Any]
    data_dir: str
    cores: int
    folder: Path
    seed: int = 0

    def schedules(self, count: int) -> list[dict[str, Any]]:
        generator = random.Random(self.seed)
        return [
            {
                "family": "cosine",
                "start_lr": _log_between(START_LR, generator.random()),
                "end_lr": _log_between(END_LR, generator.random()),
            }
            for _ in range(count)
        ]

    def order(self, **more: Any) -> dict[str, Any]:
        return {"task": self.task, "data_dir": self.data_dir, **more}


@dataclass(frozen=True)
class Spent:
    """`processor`: seconds of processor time by who spent them, where that was measured."""

    seconds: float
    processor: Mapping[str, float] = field(default_factory=dict)


def process_per_trial(setting: Setting, trials: int) -> Spent:
    """A fresh process for each trial, one at a time on every core."""

    def train(schedule: dict[str, Any]) -> None:
        order = json.dumps(setting.order(schedule=schedule, seed=0))
        command = [sys.executable, "-m", "benchmarks.trials_per_hour.one_trial", order]
        subprocess.run(command, cwd=ROOT, env=_environment(), check=True, stdout=subprocess.DEVNULL)

    begun = time.perf_counter()
    with ThreadPoolExecutor(setting.cores) as pool:
        list(pool.map(train, setting.schedules(trials)))
    return Spent(time.perf_counter() - begun)


def ray_tune(setting: Setting, trials: int, python: str) -> Spent:
    """Ray Tune with Optuna's search; ray itself is running before the time begins."""
    order = setting.order(
        root=str(ROOT),
        cores=setting.cores,
        trials=trials,
        start_lr=START_LR,
        end_lr=END_LR,
        folder=str(setting.folder / "ray"),
    )
    command = [python, "-m", "benchmarks.trials_per_hour.with_ray", json.dumps(order)]
    done = subprocess.run(command, cwd=ROOT, env=_environment(), check=True, capture_output=True, text=True)
    found = json.loads(done.stdout.strip().splitlines()[-1])
    assert found["errors"] == 0, f"{found['errors']} of {trials} trials failed in ray"
    return Spent(float(found["seconds"]))


class Service:
    """lehr's server and a worker for each core, running."""

    def __init__(self, client: Client, setting: Setting, server: int, workers: Sequence[int]) -> None:
        """`server`, `workers`: the numbers of their processes."""
        self._client = client
        self._setting = setting
        self._server = server
        self._workers = workers

    def study(self, trials: int, parallel: int) -> Spent:
        """From posting a study to its answer, by the server's clock, which is looked at seldom: a look costs some."""
        before = self._processor()
        study_id = self._client.create_study(
            {
                "name": "trials-per-hour",
                "task": self._setting.task,
                "space": {
                    "families": ["cosine"],
                    "start_lr": dict(zip(("low", "high"), START_LR, strict=True)),
                    "end_lr": dict(zip(("low", "high"), END_LR, strict=True)),
                },
                "objective": {"metric": "val_accuracy", "direction": "maximize"},
                "sampler": {"name": "tpe", "seed": self._setting.seed},
                "budget": {"trials": trials, "parallel": parallel},
                "confirm": None,
            }
        ).study_id
        while (study := self._client.study(study_id)).finished_at is None:
            assert study.state in ("QUEUED", "RUNNING", "CONFIRMING"), study.state
            time.sleep(POLL_SECONDS)
        assert study.state == "COMPLETED", study.state
        processor = {part: seconds - before[part] for part, seconds in self._processor().items()}
        return Spent((study.finished_at - study.created_at).total_seconds(), processor)

    def _processor(self) -> dict[str, float]:
        training = [child for worker in self._workers for child in _children(worker)]
        parts = {"server": [self._server], "workers": self._workers, "training": training}
        return {part: sum(map(_processor_seconds, pids)) for part, pids in parts.items()}


@contextmanager
def service(setting: Setting, cohort: str) -> Iterator[Service]:
    """`cohort`: what workers are told, `auto` or `off`."""
    folder = setting.folder / f"lehr-{cohort}"
    folder.mkdir(parents=True, exist_ok=True)
    others = set(_children(os.getpid()))
    with serving(f"sqlite:///{folder}/lehr.sqlite") as url, ExitStack() as stack:
        (server,) = set(_children(os.getpid())) - others
        workers = []
        for _ in range(setting.cores):
            command = [
                *(sys.executable, "-m", "workers", "--server", url, "--device", "cpu", "--data-dir", setting.data_dir),
                *("--checkpoints", str(folder / "checkpoints"), "--calibration", str(setting.folder / "calibration")),
                *("--cohort", cohort, "--probe-after", "0", "--log-level", "warning"),
            ]
            worker = stack.enter_context(subprocess.Popen(command, cwd=ROOT, env=_environment()))
            stack.callback(worker.terminate)
            workers.append(worker.pid)
        yield Service(stack.enter_context(Client(url)), setting, server, workers)


def bare_loop(setting: Setting, trials: int, size: int) -> Spent:
    """The training loop without the service: a process for each core, imports and data paid before.

    `size`: of the cohorts; 1 for trials one after the other, by the loop of a trial alone.
    """
    order = json.dumps(setting.order(schedules=setting.schedules(max(1, trials // setting.cores)), size=size))
    command = [sys.executable, "-m", "benchmarks.trials_per_hour.bare", order]
    processes = [
        subprocess.Popen(command, cwd=ROOT, env=_environment(), stdout=subprocess.PIPE, text=True)
        for _ in range(setting.cores)
    ]
    found = [json.loads(process.communicate()[0].strip().splitlines()[-1]) for process in processes]
    assert all(process.returncode == 0 for process in processes)
    return Spent(max(seconds for seconds, _ in found), {"training": sum(processor for _, processor in found)})


def _processor_seconds(pid: int) -> float:
    """Of a process, on Linux."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(after_name[11]) + int(after_name[12])) / _TICKS


def _children(pid: int) -> list[int]:
    """The processes that a process started and that still run, on Linux."""
    return [int(child) for file in Path(f"/proc/{pid}/task").glob("*/children") for child in file.read_text().split()]


def _log_between(ends: tuple[float, float], share: float) -> float:
    low, high = ends
    return float(low * (high / low) ** share)


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "RAY_AIR_NEW_OUTPUT": "0"}
