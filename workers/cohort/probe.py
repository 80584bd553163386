"""Measures how a task trains fastest on a device: solo, or in a cohort of which size.

A single trial trains a few steps, then cohorts of 2, 4, 8, … members do, until larger cohorts gain nothing, memory
would run out, or the probe's time is up. The measure is trial epochs per second, evaluation included.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog
import torch

from lehr.schedules import Schedule, schedule_from_dict
from workers.cohort.choice import WORTH, Choice
from workers.cohort.cohort import Cohort
from workers.cohort.member import new_member
from workers.cohort.memory import free_bytes, is_out_of_memory, used_bytes
from workers.cohort.model import NotFusibleError
from workers.cohort.replay import Recorder
from workers.tasks.task import Task, TensorData
from workers.training.run import Run

PROBE_SECONDS = 2.5
"""The probe starts no larger size after this time."""
MAX_SIZE = 64
FEWEST_STEPS = 3
MOST_STEPS = 20
STEPS_SECONDS = 0.2
"""How long steps are measured, if there are enough of them."""
STILL_GROWS = 1.03
"""Minimum speed-up over a cohort of a quarter of the size, for the probe to go on."""
MEMORY_SHARE = 0.7
"""The share of the free memory that a cohort may use."""
QUIET_RATE = 1e-4

log = structlog.get_logger(__name__)


def probe(task: Task, device: torch.device, most: int = MAX_SIZE, recorder: Recorder | None = None) -> Choice:
    """The fastest size up to `most`. With a `recorder`, steps of cohorts are replayed, and a cohort of one is measured
    too. Raises the task's own exceptions if it cannot train solo.
    """
    data = task.data(device)
    schedule = schedule_from_dict({"family": "constant", "start_lr": QUIET_RATE, "end_lr": QUIET_RATE})
    bench = _Bench(task, data, device, schedule, recorder)
    begun = bench.now()
    seconds = {0: bench.alone()}
    reason = ""
    first = size = 2 if recorder is None else 1
    while size <= most and not reason and bench.now() - begun < PROBE_SECONDS:
        try:
            if size == first:
                bench.check_agreement()
            seconds[size] = bench.together(size)
            reason = bench.limit(size) or _enough(seconds, size)
        except NotFusibleError as error:
            return Choice(1, f"cannot be fused: {error}", seconds)
        except Exception as error:  # noqa: BLE001 - a task that vmap refuses may still train solo
            if not is_out_of_memory(error):
                return Choice(1, f"cannot be fused: {type(error).__name__}: {_first_line(error)}", seconds)
            reason = f"{size} together did not fit into memory"
        size *= 2
    choice = _chosen(seconds, reason)
    return choice.with_remark(bench.not_replayed) if bench.not_replayed else choice


def _chosen(seconds: dict[int, float], reason: str) -> Choice:
    speeds = {size: max(size, 1) / value for size, value in seconds.items()}
    best = max(speeds, key=lambda size: speeds[size])
    gain = speeds[best] / speeds[0]
    if best and gain >= WORTH:
        subject = "a cohort of one is" if best == 1 else f"{best} together are"
        return Choice(best, f"{subject} {gain:.2f} times as fast as alone{reason and '; '}{reason}", seconds)
    fused = max((speed for size, speed in speeds.items() if size), default=None)
    if fused is None:
        return Choice(1, reason or "steps are too long to measure more than one trial", seconds)
    return Choice(1, f"together they reach {fused / speeds[0]:.2f} of the speed alone", seconds)


def _enough(seconds: dict[int, float], size: int) -> str:
    """Why no larger cohort is tried, if the last two sizes gained nothing; else empty."""
    if size < 8:
        return ""
    speeds = [count / seconds[count] for count in (size // 4, size // 2, size)]
    return "" if max(speeds[1:]) > STILL_GROWS * speeds[0] else "larger cohorts gain nothing"


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "")[:200]


class _Bench:
    def __init__(
        self, task: Task, data: TensorData, device: torch.device, schedule: Schedule, recorder: Recorder | None
    ) -> None:
        self._task = task
        self._data = data
        self._device = device
        self._schedule = schedule
        self._recorder = recorder
        self.not_replayed = ""
        self._steps = task.params.steps_per_epoch(data.train_size)
        self._free = free_bytes(device)
        self._before = used_bytes(device)

    def alone(self) -> float:
        """Seconds for an epoch of one trial, solo."""
        run = Run(self._task, self._schedule, 0, self._device)
        return self._epoch(run.advance, run.evaluate, lambda: run.finished)

    def together(self, size: int) -> float:
        """Seconds for an epoch of a cohort of this size."""
        cohort = self._cohort(size)
        first = cohort.members[0]
        # A short task may end before its steps are replayed. It is then measured without replay, as it will train.
        while not cohort.is_settled and first.horizon_steps - first.step > FEWEST_STEPS + 1:
            cohort.advance()
        seconds = self._epoch(cohort.advance, cohort.evaluate, lambda: first.finished)
        self.not_replayed = cohort.not_replayed
        return seconds

    def limit(self, size: int) -> str:
        """Why a cohort of twice this size would not fit into memory; empty if it would."""
        if self._free is None:
            return ""
        used = max(0, used_bytes(self._device) - self._before)
        return f"{2 * size} would not fit into memory" if 2 * used > MEMORY_SHARE * self._free else ""

    def check_agreement(self) -> None:
        """Raises NotFusibleError if members train differently than solo, for example because of hidden model state."""
        run = Run(self._task, self._schedule, 0, self._device)
        cohort = self._cohort(2)
        for _ in range(min(2, run.horizon_steps)):
            run.advance()
            cohort.advance()
        solo, fused = run.state()["model"], cohort.state(cohort.members[0])["model"]
        for name, value in solo.items():
            if not torch.allclose(value, fused[name], rtol=1e-3, atol=1e-5):
                raise NotFusibleError(f"after two steps {name} differs from solo training")

    def _cohort(self, size: int) -> Cohort:
        cohort = Cohort(self._task, self._data, self._device, self._recorder)
        members = [
            new_member(self._task, self._data, self._schedule, seed, name="", fraction=1.0, device=self._device)
            for seed in range(size)
        ]
        cohort.join(members, [None] * size)
        return cohort

    def _epoch(
        self, advance: Callable[[], object], evaluate: Callable[[], object], finished: Callable[[], bool]
    ) -> float:
        advance()
        steps: list[float] = []
        while not finished() and len(steps) < MOST_STEPS:
            steps.append(self._seconds(advance))
            if len(steps) >= FEWEST_STEPS and sum(steps) > STEPS_SECONDS:
                break
        # The first quartile, because disturbances only make steps longer, and an epoch's last step also evaluates.
        return sorted(steps or [0.0])[len(steps) // 4] * self._steps + self._seconds(evaluate)

    def _seconds(self, act: Callable[[], object]) -> float:
        started = self.now()
        act()
        return self.now() - started

    def now(self) -> float:
        """The time in seconds, after the device has finished its work."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        # Other programs may use the cores too, so on one CPU thread only this process's processor time counts.
        is_one_thread = self._device.type == "cpu" and torch.get_num_threads() == 1
        return time.process_time() if is_one_thread else time.perf_counter()
