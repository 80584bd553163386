"""Trains leased trials one by one, with their reports, directives and checkpoints."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import structlog
import torch

from lehr.errors import Fault, InvalidValueError
from lehr.wire.leases import LeasedStudy, LeasedTrial, Report
from lehr.wire.trials import Execution, Fold
from workers.checkpoints.saving import Cadence, Checkpoints
from workers.tasks.files import DEFAULT_DATA_DIR
from workers.tasks.params import parse_params
from workers.tasks.registry import find_task
from workers.tasks.task import Task
from workers.trainer import ALONE, Dropped, Finished, Interrupted, Outcome, TrialChannel, storable_error
from workers.training.failures import describe_failure
from workers.training.run import OUT_OF_RANGE, DivergedError, Run

log = structlog.get_logger(__name__)


class SoloTrainer:
    """Trains trials one by one on one device."""

    def __init__(
        self,
        device: torch.device,
        checkpoints: Checkpoints,
        checkpoint_seconds: float,
        *,
        data_dir: Path = DEFAULT_DATA_DIR,
    ) -> None:
        self._device = device
        self._checkpoints = checkpoints
        self._checkpoint_seconds = checkpoint_seconds
        self._data_dir = data_dir

    @property
    def wanted(self) -> int:
        return 1

    def train(
        self, study: LeasedStudy, trials: Sequence[LeasedTrial], channel: TrialChannel, execution: Execution = ALONE
    ) -> None:
        """`execution`: how the trials are trained, for the server."""
        for trial in trials:
            if channel.draining:
                return
            keys = {"study": study.study_id, "trial": trial.trial, "number": trial.number, "attempt": trial.attempt}
            with structlog.contextvars.bound_contextvars(**keys):
                channel.start(trial, execution)
                outcome = self._outcome(study, trial, channel)
                channel.end(trial, outcome)
            if isinstance(outcome, Finished) and outcome.state == "FAILED":
                # The caller decides whether this process may train the remaining trials.
                return

    def _outcome(self, study: LeasedStudy, trial: LeasedTrial, channel: TrialChannel) -> Outcome:
        """The trial's outcome. Any exception of training code fails the trial, never the worker."""
        try:
            return self._training(study, trial, channel).complete()
        except (Exception, SystemExit) as error:  # noqa: BLE001
            return Finished("FAILED", error=storable_error(describe_failure(error)))

    def discard(self, trial: LeasedTrial) -> None:
        """Delete the trial's checkpoint."""
        try:
            self._checkpoints.discard(trial.trial, trial.checkpoint)
        except OSError as error:
            log.warning("checkpoint_kept", error=str(error))

    def _training(self, study: LeasedStudy, trial: LeasedTrial, channel: TrialChannel) -> _Training:
        task = build_task(study.task, self._data_dir, trial.fold)
        metric = objective_metric(task, study.objective)
        run = Run(
            task,
            trial.schedule,
            trial.seed,
            self._device,
            trial.horizon_fraction,
            steps=trial.horizon_steps,
            report_every=trial.report_every_steps,
            on_data=partial(channel.open, trial),
        )
        training = _Training(
            run=run,
            trial=trial,
            metric=metric,
            channel=channel,
            checkpoints=self._checkpoints,
            cadence=Cadence(self._checkpoint_seconds, time.monotonic()),
            fingerprint=fingerprint_of(study, trial, run.horizon_steps),
        )
        training.resume()
        return training


def build_task(document: Mapping[str, Any], data_dir: Path = DEFAULT_DATA_DIR, fold: Fold | None = None) -> Task:
    """The study's task, which reads its data from `data_dir` and holds out `fold`.

    Raises InvalidParamsError, and InvalidValueError for an unknown task or for a fold if the task supports none.
    """
    task_class: Any = find_task(str(document.get("name")))
    task: Task = task_class(parse_params(task_class.params_model, document.get("params") or {}))
    task.data_dir = data_dir
    if fold is not None and not task.supports_folds:
        remedy = "Set supports_folds on the task and hold out self.fold in its data(), or remove the folds."
        fault = Fault("objective.folds", f"the task {task.name} does not support folds", "null", fold.count, remedy)
        raise InvalidValueError(fault)
    task.fold = fold
    return task


@dataclass(slots=True)
class _Training:
    """One attempt at a trial. `value` is the objective's last reported value."""

    run: Run
    trial: LeasedTrial
    metric: str
    channel: TrialChannel
    checkpoints: Checkpoints
    cadence: Cadence
    fingerprint: str
    value: float | None = None

    def resume(self) -> None:
        """Continue from the last checkpoint, and resend the reports that were unacknowledged when it was saved."""
        state = self.checkpoints.load(self.trial.trial, self.fingerprint, self.trial.checkpoint)
        if state is None:
            return
        self.run.restore(state["run"])
        self.value = state["value"]
        self.channel.put(self.trial.trial, [Report.model_validate_json(report) for report in state["reports"]])
        log.info("trial_resumed", step=self.run.step)

    def complete(self) -> Outcome:
        try:
            while not self.run.finished:
                ended = self._ended_from_outside()
                if ended is not None:
                    return ended
                self._advance()
        except DivergedError as error:
            self.channel.put(self.trial.trial, [error.report])
            return Finished("DIVERGED", error=str(error))
        if self.value is None:
            return Finished("DIVERGED", error=f"{self.metric} {OUT_OF_RANGE} at step {self.run.step - 1}")
        return Finished("COMPLETED", self.value)

    def _ended_from_outside(self) -> Outcome | None:
        directive = self.channel.directive(self.trial.trial)
        if directive == "prune":
            return Finished("PRUNED", self.value)
        if directive != "continue":
            return Dropped(directive)
        if self.channel.draining:
            self._save()
            return Interrupted()
        return None

    def _advance(self) -> None:
        report = self.run.advance()
        self.channel.step(self.trial.trial, self.run.step)
        if report is not None:
            # A range test does not evaluate the objective: its value is its last training loss.
            self.value = report.train_loss if self.trial.report_every_steps else report.metrics[self.metric]
            self.channel.put(self.trial.trial, [report])
        if self.cadence.due(time.monotonic()):
            self._save()

    def _save(self) -> None:
        started = time.monotonic()
        # Unacknowledged reports are saved too, since the next attempt does not train their steps again.
        pending = [report.model_dump_json() for report in self.channel.pending(self.trial.trial)]
        state = {"fingerprint": self.fingerprint, "run": self.run.state(), "value": self.value, "reports": pending}
        try:
            place = self.checkpoints.save(self.trial.trial, self.run.step, state)
        except OSError as error:
            log.warning("checkpoint_failed", step=self.run.step, error=str(error))
        else:
            log.debug("checkpoint_saved", step=self.run.step, path=place)
            self.channel.announce(self.trial.trial, place)
        self.cadence.saved(started, time.monotonic())


def objective_metric(task: Task, objective: Mapping[str, Any]) -> str:
    metric = str(objective.get("metric"))
    if metric not in task.metrics:
        bound = f"one of {', '.join(task.metrics)}"
        fault = Fault("objective.metric", f"not reported by the task {task.name}", bound, metric, "Use one of these.")
        raise InvalidValueError(fault)
    return metric


def fingerprint_of(study: LeasedStudy, trial: LeasedTrial, horizon_steps: int) -> str:
    """Identifies a run. A trial's name is not enough, since another database may use it for a different run."""
    identity = [study.study_id, trial.trial, study.task, trial.schedule.to_dict(), trial.seed, horizon_steps]
    if trial.fold is not None:
        identity.append(trial.fold.model_dump())
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
