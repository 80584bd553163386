"""Fails trials of tasks that the worker's operator has not allowed, before any of the task's code is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lehr.errors import Fault
from lehr.wire.leases import LeasedStudy, LeasedTrial
from workers.trainer import ALONE, Finished, Trainer, TrialChannel


@dataclass(frozen=True, slots=True)
class AllowedTasks:
    """A trainer that trains only the tasks in `names`, even if others are installed."""

    trainer: Trainer
    names: frozenset[str]

    @property
    def wanted(self) -> int:
        return self.trainer.wanted

    def train(self, study: LeasedStudy, trials: Sequence[LeasedTrial], channel: TrialChannel) -> None:
        name = str(study.task.get("name"))
        if name in self.names:
            self.trainer.train(study, trials, channel)
            return
        bound = f"one of {', '.join(sorted(self.names))}"
        remedy = "The worker's operator allows a task by naming it: --tasks, or LEHR_TASKS."
        error = str(Fault("task.name", "this worker may not train this task", bound, name, remedy))
        for trial in trials:
            channel.start(trial, ALONE)
            channel.end(trial, Finished("FAILED", error=error))

    def discard(self, trial: LeasedTrial) -> None:
        self.trainer.discard(trial)
