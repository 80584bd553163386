"""Trains trials in a process that kills itself with SIGKILL, for tests of checkpoints."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from lehr.wire.data import DataSummary
from lehr.wire.leases import Directive, LeasedStudy, LeasedTrial, Report
from lehr.wire.trials import Execution
from workers.checkpoints.saving import Checkpoints
from workers.checkpoints.storage import open_storage
from workers.cohort.advisor import Advisor
from workers.cohort.choice import ChoiceCache
from workers.cohort.cohort_trainer import CohortTrainer
from workers.trainer import Finished, Outcome
from workers.training.device import configure_torch
from workers.training.solo import SoloTrainer


class Notebook:
    """A channel that stores reports as a server would, and kills the process after `last_step`."""

    draining = False

    def __init__(self, file: Path, last_step: int) -> None:
        self._file = file
        self._last_step = last_step

    def note(self, **keys: Any) -> None:
        with self._file.open("a") as file:
            file.write(json.dumps(keys) + "\n")

    def start(self, trial: LeasedTrial, execution: Execution) -> None: ...

    def open(self, trial: LeasedTrial, horizon_steps: int, data: DataSummary | None = None) -> None: ...

    def step(self, trial: str, step: int) -> None:
        if step == self._last_step:
            os.kill(os.getpid(), signal.SIGKILL)

    def put(self, trial: str, reports: Sequence[Report]) -> None:
        for report in reports:
            self.note(report=report.model_dump())

    def pending(self, trial: str) -> list[Report]:
        return []

    def announce(self, trial: str, checkpoint: str) -> None:
        self.note(saved=checkpoint)

    def directive(self, trial: str) -> Directive:
        return "continue"

    def end(self, trial: LeasedTrial, outcome: Outcome) -> None:
        assert isinstance(outcome, Finished)
        self.note(state=outcome.state, value=outcome.value, error=outcome.error)


class CohortNotebook(Notebook):
    """The same for several trials. `last_save`: kill instead when that trial's state is saved at `last_step`."""

    def __init__(self, file: Path, last_step: int, last_save: str | None = None) -> None:
        super().__init__(file, last_step)
        self._last_save = last_save

    def step(self, trial: str, step: int) -> None:
        if self._last_save is None:
            super().step(trial, step)

    def put_all(self, reports: Mapping[str, Sequence[Report]]) -> None:
        for trial, some in reports.items():
            self.put(trial, some)

    def put(self, trial: str, reports: Sequence[Report]) -> None:
        for report in reports:
            self.note(trial=trial, report=report.model_dump())

    def want(self, places: int) -> None: ...

    def arrivals(self) -> list[LeasedTrial]:
        return []

    def announce(self, trial: str, checkpoint: str) -> None:
        self.note(saved=checkpoint)
        if trial == self._last_save and checkpoint.endswith(f".{self._last_step}.pt"):
            os.kill(os.getpid(), signal.SIGKILL)

    def end_all(self, outcomes: Sequence[tuple[LeasedTrial, Outcome]]) -> None:
        for trial, outcome in outcomes:
            assert isinstance(outcome, Finished)
            self.note(trial=trial.trial, state=outcome.state, value=outcome.value, error=outcome.error)


def attempt_together(
    study: LeasedStudy, trials: Sequence[LeasedTrial], folder: Path, last_step: int, last_save: str | None
) -> None:
    """The same for a cohort of these trials."""
    device = torch.device("cpu")
    configure_torch(device, threads=1)
    checkpoints = Checkpoints(open_storage(str(folder / "checkpoints")))
    solo = SoloTrainer(device, checkpoints, checkpoint_seconds=1e-6, data_dir=folder)
    advisor = Advisor(device, ChoiceCache(folder / "choices"), fixed_size=len(trials), data_dir=folder)
    trainer = CohortTrainer(solo, advisor, device, checkpoints, checkpoint_seconds=1e-6, data_dir=folder)
    trainer.wanted = len(trials)
    trainer.train(study, trials, CohortNotebook(folder / "notes.jsonl", last_step, last_save))


def attempt(study: LeasedStudy, trial: LeasedTrial, folder: Path, last_step: int) -> None:
    """Train until `last_step` is done, then kill the process; train to the end if that comes first."""
    device = torch.device("cpu")
    configure_torch(device, threads=1)
    checkpoints = Checkpoints(open_storage(str(folder / "checkpoints")))
    trainer = SoloTrainer(device, checkpoints, checkpoint_seconds=1e-6, data_dir=folder)
    trainer.train(study, [trial], Notebook(folder / "notes.jsonl", last_step))
