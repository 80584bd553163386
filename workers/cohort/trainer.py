"""Trains the trials of a lease together where that is faster, and one after the other where it is not."""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

import structlog
import torch

from lehr.wire.leases import LeasedStudy, LeasedTrial
from workers.checkpoints import Cadence, Checkpoints
from workers.cohort.advisor import Advisor
from workers.cohort.cohort import Cohort
from workers.cohort.member import new_member
from workers.cohort.memory import is_out_of_memory
from workers.cohort.training import CohortTraining, Entrant, resume
from workers.desk import Desk
from workers.outcomes import Outcome, storable_error
from workers.solo import SoloTrainer, build_task, fingerprint_of, objective_metric
from workers.tasks.files import DEFAULT_DATA_DIR
from workers.tasks.task import Task, TensorData

log = structlog.get_logger(__name__)


class CohortTrainer:
    """Trains as the advisor says, and alone whatever cannot be trained together."""

    def __init__(
        self,
        solo: SoloTrainer,
        advisor: Advisor,
        device: torch.device,
        checkpoints: Checkpoints,
        *,
        checkpoint_seconds: float,
        trials_per_lease: int = 1,
        data_dir: Path = DEFAULT_DATA_DIR,
    ) -> None:
        """`trials_per_lease`: how many to take from a lease of trials that train one after the other."""
        self._solo = solo
        self._advisor = advisor
        self._device = device
        self._checkpoints = checkpoints
        self._checkpoint_seconds = checkpoint_seconds
        self._alone = trials_per_lease
        self._data_dir = data_dir
        self.wanted = trials_per_lease
        """How many trials to lease next: as many as are best trained together, of the task that was trained last."""

    def train(self, study: LeasedStudy, trials: Sequence[LeasedTrial], desk: Desk) -> None:
        asked, size = self.wanted, self._advisor.choice(study.task).size
        self.wanted = max(self._alone, size)
        if len(trials) == asked < size:
            # The study may have more: these are given back, and come again in a lease as large as is best.
            log.info("lease_too_small", trials=len(trials), wanted=size)
            return
        left = list(trials) if size > 1 else list(trials[: self._alone])
        # A cohort reports at the ends of epochs, and all its members alike.
        if any(trial.report_every_steps for trial in left):
            size = 1
        while len(left) > 1 and size > 1 and not desk.draining:
            left = [*self._train_group(study, left[:size], desk), *left[size:]]
            size = self._advisor.choice(study.task).size
        self._solo.train(study, left, desk, self._advisor.choice(study.task).execution(1))

    def discard(self, trial: LeasedTrial) -> None:
        self._solo.discard(trial)

    def _train_group(self, study: LeasedStudy, trials: Sequence[LeasedTrial], desk: Desk) -> list[LeasedTrial]:
        """Train these together; those that are still to be trained, where together did not go well."""
        left = {trial.trial: trial for trial in trials}

        def end(outcomes: Sequence[tuple[LeasedTrial, Outcome]]) -> None:
            for trial, _ in outcomes:
                del left[trial.trial]
            desk.end_all(outcomes)

        execution = self._advisor.choice(study.task).execution(len(trials))
        for trial in trials:
            desk.start(trial, execution)
        try:
            task = build_task(study.task, self._data_dir)
            metric = objective_metric(task, study.objective)
            data = task.data(self._device)
            for entrants in self._groups(study, trials, task, data, desk).values():
                CohortTraining(
                    Cohort(task, data, self._device),
                    entrants,
                    metric=metric,
                    desk=desk,
                    end=end,
                    checkpoints=self._checkpoints,
                    cadence=Cadence(self._checkpoint_seconds, time.monotonic()),
                ).complete()
        except Exception as error:  # noqa: BLE001 - it may be one trial's fault: alone, it will show whose
            log.warning("cohort_failed", trials=len(left), error=storable_error(traceback.format_exc()))
            if is_out_of_memory(error):
                self._advisor.halve(study.task)
            else:
                self._advisor.forbid(study.task, error)
        return list(left.values())

    def _groups(
        self, study: LeasedStudy, trials: Sequence[LeasedTrial], task: Task, data: TensorData, desk: Desk
    ) -> Mapping[int, list[Entrant]]:
        """By position in an epoch: 0 for all that are new, another one for those that were saved within one."""
        groups: dict[int, list[Entrant]] = {}
        for trial in trials:
            member = new_member(
                task,
                data,
                trial.schedule,
                trial.seed,
                name=trial.trial,
                fraction=trial.horizon_fraction,
                device=self._device,
            )
            entrant = Entrant(trial, member, fingerprint_of(study, trial, member.horizon_steps))
            resume(entrant, desk, self._checkpoints)
            position = member.step % task.params.steps_per_epoch(data.train_size)
            groups.setdefault(position, []).append(entrant)
        return groups
