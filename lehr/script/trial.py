"""`ScriptTrial`: a trial in a training script, with its rates and reports."""

from __future__ import annotations

import logging
import os
import threading
import traceback
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self, SupportsFloat, SupportsIndex

from lehr.client import Client
from lehr.client.retries import keep_trying
from lehr.errors import ConflictError, LostLeaseError, NotFoundError
from lehr.schedules import Plateau, PlateauState, Schedule
from lehr.schedules.sampling import progress_at
from lehr.script.lease_keeper import Keeper
from lehr.script.reported import TRAIN_LOSS, Reported
from lehr.script.values import as_checkpoint, as_epoch, as_number, as_step
from lehr.tracebacks import without_passwords
from lehr.wire.leases import MAX_ERROR_CHARACTERS, FinishBatch, FinishState, Lease, Renewal, Report, TrialFinish
from lehr.wire.trials import Fold, Purpose

log = logging.getLogger("lehr.script")


class ScriptTrial:
    """One training: `schedule` over `horizon_steps` steps, with the random `seed` and the study's `params`.

    Before each step, set the rate `lr(step)`, and the momentum `momentum(step)` unless it is None. Report metrics,
    including the study's objective, whose last value counts. Stop the training when `should_stop` is true.

    A trial ends when the next one is requested: as COMPLETED, or as pruned, diverged or lost. As a context manager, it
    ends with its block, and an exception in the block fails the trial, not the script.
    """

    def __init__(self, client: Client, lease: Lease, horizon_steps: int) -> None:
        (leased,) = lease.trials
        self.study_id: str = lease.study.study_id
        self.number: int = leased.number
        self.attempt: int = leased.attempt
        self.purpose: Purpose = leased.purpose
        self.seed: int = leased.seed
        self.fold: Fold | None = leased.fold
        """The fold of the data to hold out for validation: `fold.index` of `fold.count`. None: the script's split."""
        self.schedule: Schedule = leased.schedule
        self.params: Mapping[str, Any] = lease.study.task.get("params") or {}
        self.metric: str = str(lease.study.objective["metric"])
        """The name of the objective's metric."""
        self.horizon_steps = horizon_steps
        self.report_every_steps: int | None = leased.report_every_steps
        """In a range test, report the training loss at least this often; no evaluation is needed. If `val_loss` is also
        reported now and then, the bounds are based on it and contain the best rate more often."""
        self.checkpoint: str | None = leased.checkpoint
        """The checkpoint saved by an earlier attempt, if any."""
        self._client = client
        self._lease_id = lease.lease_id
        self._keeper = Keeper(client, lease, horizon_steps)
        self._plateau = PlateauState(self.schedule) if isinstance(self.schedule, Plateau) else None
        followed = [] if self._plateau is None else [self._plateau.plateau.metric]
        bounded = [str(bound["metric"]) for bound in lease.study.objective.get("constraints") or ()]
        self._reported = Reported(self.metric, followed, bounded)
        self._ended = False
        self._at_end: list[Callable[[], object]] = []
        self._keeper.start()

    def lr(self, step: int) -> float:
        """The rate of a step, counted from 0. For a `plateau` schedule, it depends on earlier reports."""
        if self._plateau is not None:
            return self._plateau.lr_at(progress_at(step, self.horizon_steps))
        return self.schedule.lr(step, self.horizon_steps)

    def momentum(self, step: int) -> float | None:
        """The momentum of a step (Adam's first beta); None if the schedule does not set it."""
        return self.schedule.momentum(step, self.horizon_steps)

    @property
    def should_stop(self) -> bool:
        """Whether to stop the training: the trial was pruned, cancelled, lost, or has diverged."""
        return self._ended or self._reported.divergence is not None or self._keeper.directive != "continue"

    @property
    def reported_step(self) -> int:
        """The step of the last report; -1 before the first."""
        return self._reported.step

    @property
    def reported_metrics(self) -> Mapping[str, float | None]:
        """The metrics of the last report."""
        return {} if self._reported.last is None else self._reported.last.metrics

    def report(
        self,
        step: SupportsIndex,
        metrics: Mapping[str, SupportsFloat] | None = None,
        *,
        train_loss: SupportsFloat | None = None,
        epoch: SupportsFloat | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> None:
        """Report metrics after a step; steps must increase. Returns at once: a background thread sends the report.

        Numbers may be Python, NumPy or torch scalars. A training loss or objective that is not finite makes the trial
        DIVERGED, which is a valid result. Metrics that the study does not need are left out with a warning if they
        cannot be stored. `checkpoint`: as in `saved`.

        Raises InvalidValueError for invalid values, ConflictError if the trial has ended, and ServerError if the server
        rejected an earlier report.
        """
        self._require_open()
        number = as_step(step, self._reported.step, self.horizon_steps)
        row = Report(step=number, lr=self.lr(number), epoch=None if epoch is None else as_epoch(epoch))
        self._put(row, metrics or {}, train_loss, None if checkpoint is None else as_checkpoint(checkpoint))

    def amend(self, metrics: Mapping[str, SupportsFloat], *, train_loss: SupportsFloat | None = None) -> None:
        """Add metrics to the last report, such as those of a second evaluation after the same step.

        Raises the same errors as `report`, and ConflictError if nothing was reported yet.
        """
        self._require_open()
        if self._reported.last is None:
            raise ConflictError(f"trial {self.number} has no report to add to: call trial.report(step, metrics) first")
        self._put(self._reported.last, metrics, train_loss, None)

    def saved(self, checkpoint: str | os.PathLike[str]) -> None:
        """Record where the training was just saved. If this process is lost, the next attempt gets the path in
        `trial.checkpoint`.
        """
        self._require_open()
        self._keeper.put(None, as_checkpoint(checkpoint))

    def at_end(self, action: Callable[[], object]) -> None:
        """Have this done once the trial has its result, such as removing checkpoints. It is not done for a trial that
        is given back or lost: another attempt goes on from them.
        """
        self._at_end.append(action)

    def _require_open(self) -> None:
        if self._keeper.refusal is not None:
            raise self._keeper.refusal
        if self._ended:
            raise ConflictError(f"trial {self.number} has ended; request the next one")

    def _put(
        self, row: Report, metrics: Mapping[str, Any], train_loss: SupportsFloat | None, checkpoint: str | None
    ) -> None:
        loss = None if train_loss is None else as_number(TRAIN_LOSS, train_loss)
        values = self._reported.take(row, metrics, loss)
        assert self._reported.last is not None
        self._keeper.put(self._reported.last, checkpoint)
        if self._plateau is not None and self._plateau.plateau.metric in values:
            self._plateau.step(values[self._plateau.plateau.metric])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> bool:
        self.end(error)
        if isinstance(error, Exception):
            log.error("trial %d failed", self.number, exc_info=error)
            return True
        return False

    def end(self, error: BaseException | None = None) -> None:
        """Send the trial's result and wait until the server has received it. Does nothing if the trial has ended.

        `error`: what ended the training. An Exception makes the trial FAILED; any other BaseException, such as
        KeyboardInterrupt, releases it for another attempt, unless its last step was reported.
        """
        if self._ended:
            return
        self._ended = True
        try:
            self._keeper.flush()
            directive = self._keeper.directive
            if directive == "cancel" or (directive in ("continue", "prune") and self._settle(error)):
                self._clean_up()
        except (LostLeaseError, NotFoundError):
            log.warning("trial %d was lost: another process has it, or its study was deleted", self.number)
        finally:
            self._keeper.close()

    def _clean_up(self) -> None:
        for action in self._at_end:
            try:
                action()
            except OSError as error:
                log.warning("after trial %d something was left: %s", self.number, error)

    def _settle(self, error: BaseException | None) -> bool:
        """Whether the trial has its result; else it was given back."""
        never = threading.Event()
        if not isinstance(error, Exception | None) and self._reported.step < self.horizon_steps - 1:
            back = Renewal(trials=[self._keeper.held])
            keep_trying(lambda: self._client.release(self._lease_id, back), never)
            return False
        failure = error if isinstance(error, Exception) else self._keeper.refusal
        state, value, text = self._result(failure)
        held = self._keeper.held
        result = TrialFinish(trial=held.trial, attempt=held.attempt, state=state, value=value, error=text)
        keep_trying(lambda: self._client.finish(self._lease_id, FinishBatch(trials=[result])), never)
        return True

    def _result(self, error: Exception | None) -> tuple[FinishState, float | None, str | None]:
        """The trial's final state, value and error."""
        if error is not None:
            return "FAILED", None, _storable("".join(traceback.format_exception(error)))
        reported = self._reported
        if reported.divergence is not None:
            return "DIVERGED", None, reported.divergence
        if self._keeper.directive == "prune" and reported.step < self.horizon_steps - 1:
            return "PRUNED", reported.value, None
        if self.purpose == "range_test" and reported.train_loss is not None:
            return "COMPLETED", reported.train_loss, None  # a sweep is judged by its curve alone
        missing = reported.missing()
        if missing is None and reported.step < self.horizon_steps - 1:
            log.warning(
                "trial %d counts with the value of its last report, at step %d of 0 to %d",
                self.number, reported.step, self.horizon_steps - 1,
            )  # fmt: skip
        return ("COMPLETED", reported.value, None) if missing is None else ("FAILED", None, missing)


def _storable(text: str) -> str:
    """The end of the text, where a traceback names the exception, without passwords and characters that the server
    rejects.
    """
    text = without_passwords(text).replace("\x00", "\\0").encode("utf-8", "backslashreplace").decode()
    return text[-MAX_ERROR_CHARACTERS:]
