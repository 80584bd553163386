"""The worker's operator decides what is trained: no lease brings in another task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lehr.errors import Fault
from lehr.wire.leases import LeasedStudy, LeasedTrial
from workers.trainer import ALONE, Finished, Trainer, TrialChannel


@dataclass(frozen=True, slots=True)
class AllowedTasks:
    """A trainer that trains only the tasks named, whatever else is installed; another one fails before it is loaded."""

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
        error = str(Fault("task.name", "this worker may not train it", bound, name, remedy))
        for trial in trials:
            channel.start(trial, ALONE)
            channel.end(trial, Finished("FAILED", error=error))

    def discard(self, trial: LeasedTrial) -> None:
        self.trainer.discard(trial)
