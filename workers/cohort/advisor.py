"""Says how many trials of a task to train together on this worker's device: measured once, kept, corrected."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog
import torch

from workers.cohort.choice import Choice, ChoiceCache
from workers.cohort.probe import MAX_SIZE, probe
from workers.cohort.process_benchmark import Part, RehearsalError, rehearse
from workers.cohort.replay import Recorder
from workers.tasks.files import DEFAULT_DATA_DIR
from workers.tasks.params import parse_params
from workers.tasks.registry import find_task
from workers.training.device import describe
from workers.training.solo import build_task

NOT_MEASURED = Choice(1, "too little was trained of the task for a measurement to pay")

log = structlog.get_logger(__name__)


class Advisor:
    """One choice for each task with its parameters."""

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
        """`fixed_size`: of every cohort, 1 for alone; None for what the probe finds best. `probe_after`: seconds for
        which a task is trained alone before it is measured, so that what is small does not pay for a probe. `recorder`:
        where steps of cohorts are replayed: a trial alone may be fastest as a cohort of one there, so that is measured.
        `most_processes`: that may train at once on the device, each with this share of its memory.
        """
        self._most_processes = most_processes
        self._memory_share = memory_share
        self._device = device
        self._choices = choices
        self._fixed_size = fixed_size
        self._probe_after = probe_after
        self._data_dir = data_dir
        self._recorder = recorder
        self._spent: dict[str, float] = {}
        self._known: dict[str, Choice] = {}

    def choice(self, task: Mapping[str, Any]) -> Choice:
        """Measured now if it never was, and pays. Never raises: what cannot be measured is trained alone, and fails
        by name.
        """
        name = _name(task)
        if name not in self._known:
            found = self._found(task)
            if found is None:
                return NOT_MEASURED
            if self._fixed_size is None:
                log.info(
                    "cohort_chosen",
                    task=task.get("name"),
                    size=found.size,
                    processes=found.processes,
                    reason=found.reason,
                )
            self._known[name] = found
        return self._known[name]

    def spent(self, task: Mapping[str, Any], seconds: float) -> None:
        """The task was trained alone for so long."""
        name = _name(task)
        self._spent[name] = self._spent.get(name, 0.0) + seconds

    def halve(self, task: Mapping[str, Any]) -> None:
        """So many did not fit into memory."""
        self._correct(task, self.choice(task).halved())

    def note(self, task: Mapping[str, Any], words: str) -> None:
        """Tell this with trials of the task from now on."""
        self._known[_name(task)] = self.choice(task).noted(words)

    def forbid(self, task: Mapping[str, Any], error: Exception) -> None:
        """Training together failed: for as long as this process lives, these are trained alone."""
        self._known[_name(task)] = Choice(1, f"together they failed: {type(error).__name__}: {error}"[:300])

    def _found(self, task: Mapping[str, Any]) -> Choice | None:
        if self._fixed_size is not None and self._most is None:
            return Choice(self._fixed_size, "the worker's operator chose it")
        kept = self._choices.load(self._key(task))
        if kept is not None:
            return kept
        return self._measured(task) if self._spent.get(_name(task), 0.0) >= self._probe_after else None

    def _measured(self, task: Mapping[str, Any]) -> Choice:
        try:
            choice = probe(build_task(task, self._data_dir), self._device, self._most or MAX_SIZE, self._recorder)
        except Exception as error:  # noqa: BLE001 - a task that fails fails its trials, each with its own words
            return Choice(1, f"could not be measured: {type(error).__name__}: {error}"[:300])
        # A trial alone may be a cohort of one, whose replayed steps a rehearsal does not take.
        if self._fixed_size is None and self._most_processes > 1 and choice.size == 1 and not choice.fuses_one:
            choice = self._beside(task, choice)
        self._choices.store(self._key(task), choice)
        return choice

    @property
    def _most(self) -> int | None:
        """The largest cohort that is measured, where it is not the probe's own limit."""
        return 1 if self._fixed_size == 1 and self._recorder is not None else None

    def _beside(self, task: Mapping[str, Any], choice: Choice) -> Choice:
        """The choice for trials alone, once several processes were tried."""
        part = Part(task, self._data_dir, str(self._device), torch.get_num_threads(), self._memory_share)
        try:
            return choice.beside(rehearse(part, self._most_processes))
        except (RehearsalError, OSError) as error:
            reason = f"{choice.reason}; several processes could not be measured: {error}"
            return Choice(1, reason[:600], choice.epoch_seconds)

    def _correct(self, task: Mapping[str, Any], choice: Choice) -> None:
        self._known[_name(task)] = choice
        if self._fixed_size is None:
            self._choices.store(self._key(task), choice)

    def _key(self, task: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "task": _whole(task),
            "device": describe(self._device),
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            **({} if self._recorder is None else {"replayed": True, "most": self._most}),
            # What was measured where one process alone may train is found again there.
            **({"processes": self._most_processes} if self._most_processes > 1 else {}),
        }


def _name(task: Mapping[str, Any]) -> str:
    return json.dumps(_whole(task), sort_keys=True)


def _whole(task: Mapping[str, Any]) -> dict[str, Any]:
    """The task with its defaults, which a study that came before any worker that offers the task does not have."""
    try:
        model = find_task(str(task.get("name"))).params_model
        params = parse_params(model, task.get("params") or {}).model_dump(mode="json")
    except Exception:  # noqa: BLE001 - a task that fails fails its trials, each with its own words
        return dict(task)
    return {**task, "params": params}
