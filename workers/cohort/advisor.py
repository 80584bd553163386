"""Chooses how many trials of a task to train together on this device, from a cached measurement."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog
import torch

from workers.cohort.choice import Choice, ChoiceCache
from workers.cohort.probe import MAX_SIZE, probe
from workers.cohort.process_benchmark import BenchmarkError, BenchmarkSpec, benchmark_processes
from workers.cohort.replay import Recorder
from workers.tasks.files import DEFAULT_DATA_DIR
from workers.tasks.params import parse_params
from workers.tasks.registry import find_task
from workers.training.device import describe
from workers.training.solo import build_task

NOT_MEASURED = Choice(1, "the task has not trained long enough for a measurement to pay off")

log = structlog.get_logger(__name__)


class Advisor:
    """Makes one choice for each task and its parameters."""

    def __init__(
        self,
        device: torch.device,
        choices: ChoiceCache,
        *,
        fixed_size: int | None = None,
        probe_after: float = 0.0,
        data_dir: Path = DEFAULT_DATA_DIR,
        recorder: Recorder | None = None,
        most_processes: int = 1,
        memory_share: float | None = None,
    ) -> None:
        """Arguments:

        `fixed_size`: the size of every cohort, 1 for solo training; None for the fastest size that the probe finds.
        `probe_after`: seconds of solo training before a task is measured, so that short tasks do not pay for a probe.
        `recorder`: replays steps of cohorts, if given; a single trial may then train fastest as a cohort of one, so
        that is measured too. `most_processes`: the maximum number of concurrent training processes on the device, each
        with `memory_share` of its memory.
        """
        self._most_processes = most_processes
        self._memory_share = memory_share
        self._device = device
        self._choices = choices
        self._fixed_size = fixed_size
        self._probe_after = probe_after
        self._data_dir = data_dir
        self._recorder = recorder
        self._solo_seconds: dict[str, float] = {}
        self._chosen: dict[str, Choice] = {}

    def choice(self, task: Mapping[str, Any]) -> Choice:
        """The choice for a task, measured now if none is cached and the task has trained long enough.

        Never raises. A task that cannot be measured trains alone, where its own error fails its trials.
        """
        task_key = _task_key(task)
        if task_key not in self._chosen:
            choice = self._choose(task)
            if choice is None:
                return NOT_MEASURED
            if self._fixed_size is None:
                log.info(
                    "cohort_chosen",
                    task=task.get("name"),
                    size=choice.size,
                    processes=choice.processes,
                    reason=choice.reason,
                )
            self._chosen[task_key] = choice
        return self._chosen[task_key]

    def add_solo_seconds(self, task: Mapping[str, Any], seconds: float) -> None:
        """Count time in which the task trained alone."""
        task_key = _task_key(task)
        self._solo_seconds[task_key] = self._solo_seconds.get(task_key, 0.0) + seconds

    def halve(self, task: Mapping[str, Any]) -> None:
        """Halve the cohort size, which did not fit into memory."""
        self._correct(task, self.choice(task).halved())

    def note(self, task: Mapping[str, Any], remark: str) -> None:
        """Add a remark to the reason that later trials of the task are given."""
        self._chosen[_task_key(task)] = self.choice(task).with_remark(remark)

    def forbid(self, task: Mapping[str, Any], error: Exception) -> None:
        """Train the task alone until this process ends, because training together failed."""
        self._chosen[_task_key(task)] = Choice(1, f"training together failed: {type(error).__name__}: {error}"[:300])

    def _choose(self, task: Mapping[str, Any]) -> Choice | None:
        if self._fixed_size is not None and self._most is None:
            return Choice(self._fixed_size, "set by the worker's operator")
        cached = self._choices.load(self._key(task))
        if cached is not None:
            return cached
        return self._measure(task) if self._solo_seconds.get(_task_key(task), 0.0) >= self._probe_after else None

    def _measure(self, task: Mapping[str, Any]) -> Choice:
        try:
            choice = probe(build_task(task, self._data_dir), self._device, self._most or MAX_SIZE, self._recorder)
        except Exception as error:  # noqa: BLE001 - a broken task fails its trials, each with its own error
            return Choice(1, f"could not be measured: {type(error).__name__}: {error}"[:300])
        # The processes of the benchmark do not replay steps, so it says nothing about a cohort of one.
        if self._fixed_size is None and self._most_processes > 1 and choice.size == 1 and not choice.fuses_one:
            choice = self._measure_processes(task, choice)
        self._choices.store(self._key(task), choice)
        return choice

    @property
    def _most(self) -> int | None:
        """The largest cohort to measure, or None for the probe's own limit."""
        return 1 if self._fixed_size == 1 and self._recorder is not None else None

    def _measure_processes(self, task: Mapping[str, Any], choice: Choice) -> Choice:
        """Extend a choice of solo training by the number of processes that train fastest."""
        spec = BenchmarkSpec(task, self._data_dir, str(self._device), torch.get_num_threads(), self._memory_share)
        try:
            return choice.with_processes(benchmark_processes(spec, self._most_processes))
        except (BenchmarkError, OSError) as error:
            reason = f"{choice.reason}; several processes could not be measured: {error}"
            return Choice(1, reason[:600], choice.epoch_seconds)

    def _correct(self, task: Mapping[str, Any], choice: Choice) -> None:
        self._chosen[_task_key(task)] = choice
        if self._fixed_size is None:
            self._choices.store(self._key(task), choice)

    def _key(self, task: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "task": _with_defaults(task),
            "device": describe(self._device),
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            **({} if self._recorder is None else {"replayed": True, "most": self._most}),
            # A choice among several processes does not hold where only one may train.
            **({"processes": self._most_processes} if self._most_processes > 1 else {}),
        }


def _task_key(task: Mapping[str, Any]) -> str:
    return json.dumps(_with_defaults(task), sort_keys=True)


def _with_defaults(task: Mapping[str, Any]) -> dict[str, Any]:
    """The task with its default parameters, which are missing in a study posted before any worker offered the task."""
    try:
        model = find_task(str(task.get("name"))).params_model
        params = parse_params(model, task.get("params") or {}).model_dump(mode="json")
    except Exception:  # noqa: BLE001 - a broken task fails its trials, each with its own error
        return dict(task)
    return {**task, "params": params}
