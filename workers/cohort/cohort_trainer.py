"""Trains the trials of a lease as cohorts if that is faster, and one by one otherwise."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog
import torch

from lehr.wire.leases import LeasedStudy, LeasedTrial
from workers.checkpoints.saving import Cadence, Checkpoints
from workers.cohort.advisor import Advisor
from workers.cohort.cohort import Cohort
from workers.cohort.member import new_member
from workers.cohort.memory import is_out_of_memory
from workers.cohort.queue import Queue
from workers.cohort.replay import Recorder
from workers.cohort.training import CohortTraining, Entrant, resume
from workers.tasks.files import DEFAULT_DATA_DIR
from workers.tasks.task import Task, TensorData
from workers.trainer import Outcome, TrialChannel, storable_error
from workers.training.solo import SoloTrainer, build_task, fingerprint_of, objective_metric

log = structlog.get_logger(__name__)


class CohortTrainer:
    """Follows the advisor's choice, and trains solo what cannot be trained together."""

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
        recorder: Recorder | None = None,
    ) -> None:
        """`trials_per_lease`: how many trials of a lease to train if they train one by one. `recorder`: records the
        steps of cohorts for replay.
        """
        self._solo = solo
        self._advisor = advisor
        self._device = device
        self._checkpoints = checkpoints
        self._checkpoint_seconds = checkpoint_seconds
        self._trials_per_lease = trials_per_lease
        self._data_dir = data_dir
        self._recorder = recorder
        self.wanted = trials_per_lease
        """How many trials the next lease should have: the best cohort size of the last task."""

    def train(self, study: LeasedStudy, trials: Sequence[LeasedTrial], channel: TrialChannel) -> None:
        requested, size = self.wanted, self._advisor.choice(study.task).size
        self.wanted = max(self._trials_per_lease, size)
        if len(trials) == requested < size:
            # The study may have more trials: these are released, and leased again with enough others.
            log.info("lease_too_small", trials=len(trials), wanted=size)
            return
        left = list(trials) if size > 1 else list(trials[: self._trials_per_lease])
        size = self._advisor.choice(study.task).size_of(len(left))
        while self._fuses(study, left, size) and not channel.draining:
            # A cohort has one data set, so trials with another fold follow in later cohorts.
            queue = Queue(left, channel)
            left = [*self._train_group(study, queue.first(size), queue, channel), *queue.left()]
            size = self._advisor.choice(study.task).size_of(len(left))
        started = time.monotonic()
        self._solo.train(study, left, channel, self._advisor.choice(study.task).execution(1))
        self._advisor.add_solo_seconds(study.task, time.monotonic() - started)

    def _fuses(self, study: LeasedStudy, trials: Sequence[LeasedTrial], size: int) -> bool:
        """Whether to train these as a cohort. Range tests cannot: all members of a cohort report at epoch ends."""
        if not trials or any(trial.report_every_steps for trial in trials):
            return False
        return size > 1 or self._advisor.choice(study.task).fuses_one

    def discard(self, trial: LeasedTrial) -> None:
        self._solo.discard(trial)

    def _train_group(
        self, study: LeasedStudy, trials: Sequence[LeasedTrial], queue: Queue, channel: TrialChannel
    ) -> list[LeasedTrial]:
        """Train trials of one fold together, with trials of the queue in places that become free.

        Returns the trials that still have to be trained, after an error.
        """
        left: dict[str, LeasedTrial] = {}

        def end(outcomes: Sequence[tuple[LeasedTrial, Outcome]]) -> None:
            for trial, _ in outcomes:
                del left[trial.trial]
            channel.end_all(outcomes)

        def start(starting: Sequence[LeasedTrial]) -> None:
            for trial in starting:
                left[trial.trial] = trial
                channel.start(trial, self._advisor.choice(study.task).execution(len(trials)))

        def note(remark: str) -> None:
            self._advisor.note(study.task, remark)
            for trial in left.values():
                channel.explain(trial, self._advisor.choice(study.task).execution(len(trials)))

        start(trials)
        try:
            task = build_task(study.task, self._data_dir, trials[0].fold)
            factory = _EntrantFactory(study, task, task.data(self._device), self._device)
            for entrants in factory.groups(trials, channel, self._checkpoints).values():
                CohortTraining(
                    Cohort(task, factory.data, self._device, self._recorder),
                    entrants,
                    metric=objective_metric(task, study.objective),
                    channel=channel,
                    end=end,
                    note=note,
                    supply=_QueueSupply(queue, factory, start, channel),
                    checkpoints=self._checkpoints,
                    cadence=Cadence(self._checkpoint_seconds, time.monotonic()),
                ).complete()
        except Exception as error:  # noqa: BLE001 - one trial may be at fault, and fails when all train alone
            log.warning("cohort_failed", trials=len(left), error=storable_error(traceback.format_exc()))
            self._learn(study, error)
        return list(left.values())

    def _learn(self, study: LeasedStudy, error: Exception) -> None:
        if is_out_of_memory(error):
            self._advisor.halve(study.task)
        else:
            self._advisor.forbid(study.task, error)


@dataclass(frozen=True, slots=True)
class _EntrantFactory:
    """Turns leased trials into entrants of cohorts of one task and its data."""

    study: LeasedStudy
    task: Task
    data: TensorData
    device: torch.device

    def entrant(self, trial: LeasedTrial, channel: TrialChannel) -> Entrant:
        """An entrant at step 0."""
        name, fraction = trial.trial, trial.horizon_fraction
        member = new_member(
            self.task, self.data, trial.schedule, trial.seed, name=name, fraction=fraction, device=self.device
        )
        channel.open(trial, member.horizon_steps, self.task.summary())
        return Entrant(trial, member, fingerprint_of(self.study, trial, member.horizon_steps))

    def groups(
        self, trials: Sequence[LeasedTrial], channel: TrialChannel, checkpoints: Checkpoints
    ) -> Mapping[int, list[Entrant]]:
        """Entrants by their position within an epoch: 0 for new trials, maybe another for trials with a checkpoint."""
        groups: dict[int, list[Entrant]] = {}
        for trial in trials:
            entrant = self.entrant(trial, channel)
            resume(entrant, channel, checkpoints)
            position = entrant.member.step % self.task.params.steps_per_epoch(self.data.train_size)
            groups.setdefault(position, []).append(entrant)
        return groups


@dataclass(frozen=True, slots=True)
class _QueueSupply:
    """Supplies a cohort's free places with trials of the queue."""

    queue: Queue
    factory: _EntrantFactory
    start: Callable[[Sequence[LeasedTrial]], object]
    channel: TrialChannel

    def want(self, places: int) -> None:
        self.queue.want(places)

    def take(self, places: int) -> list[Entrant]:
        taken = self.queue.take(places)
        self.start(taken)
        return [self.factory.entrant(trial, self.channel) for trial in taken]
