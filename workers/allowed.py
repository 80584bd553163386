"""The worker's operator decides what is trained: no lease brings in another task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lehr.errors import Fault
from lehr.wire.leases import LeasedStudy, LeasedTrial
from workers.board import Board
from workers.outbox import Outbox
from workers.outcomes import Finished, Outcome

if TYPE_CHECKING:
    from workers.loop import Trainer


@dataclass(frozen=True, slots=True)
class AllowedTasks:
    """A trainer that trains only the tasks named, whatever else is installed; another one fails before it is loaded."""

    trainer: Trainer
    names: frozenset[str]

    def train(self, study: LeasedStudy, trial: LeasedTrial, board: Board, outbox: Outbox) -> Outcome:
        name = str(study.task.get("name"))
        if name in self.names:
            return self.trainer.train(study, trial, board, outbox)
        bound = f"one of {', '.join(sorted(self.names))}"
        remedy = "The worker's operator allows a task by naming it: --tasks, or LEHR_TASKS."
        return Finished("FAILED", error=str(Fault("task.name", "this worker may not train it", bound, name, remedy)))

    def discard(self, trial: LeasedTrial) -> None:
        self.trainer.discard(trial)
