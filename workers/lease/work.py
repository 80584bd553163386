"""The trials of one lease: starts, reports and finishes them, and releases those without a result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack

import structlog

from lehr.errors import LostLeaseError, ServerError, UnreachableError
from lehr.wire.data import DataSummary
from lehr.wire.leases import (
    Directive,
    FinishBatch,
    Lease,
    LeasedStudy,
    LeasedTrial,
    Renewal,
    Report,
    TrialAttempt,
    TrialFinish,
)
from lehr.wire.trials import Execution
from workers.lease.directives import Directives
from workers.lease.drain import Drain
from workers.lease.heartbeat import Heartbeat
from workers.lease.outbox import Outbox
from workers.lease.protocol import LeaseServer
from workers.lease.retry import is_lost, keep_trying
from workers.monitor.trial_progress import Progress
from workers.trainer import Dropped, Finished, Interrupted, Outcome, Trainer

log = structlog.get_logger(__name__)


class LeaseWork:
    """One lease, kept alive by heartbeats until `close`."""

    def __init__(self, server: LeaseServer, lease: Lease, trainer: Trainer, drain: Drain, progress: Progress) -> None:
        self._server = server
        self._lease = lease
        self._trainer = trainer
        self._drain = drain
        self._directives = Directives(lease.trials)
        self._outbox = Outbox(server, lease.lease_id, self._directives, drain.overdue)
        self._progress = progress
        self._executions: dict[str, Execution] = {}
        self._logs = {trial.trial: _log_of(lease, trial) for trial in lease.trials}
        self._threads = ExitStack()
        self._threads.enter_context(Heartbeat(server, lease, self._directives, progress))
        self._threads.enter_context(self._outbox)

    @property
    def study(self) -> LeasedStudy:
        return self._lease.study

    @property
    def trials(self) -> list[LeasedTrial]:
        return self._lease.trials

    def close(self) -> None:
        """Release the trials without a result, and stop the heartbeats."""
        with self._threads:
            self._release()

    def start(self, trial: LeasedTrial, execution: Execution) -> None:
        self._progress.start(self._lease.study.study_id, trial)
        self._executions[trial.trial] = execution
        self._logs[trial.trial].info("trial_started", family=trial.schedule.family, purpose=trial.purpose)

    def explain(self, trial: LeasedTrial, execution: Execution) -> None:
        self._executions[trial.trial] = execution

    def open(self, trial: LeasedTrial, horizon_steps: int, data: DataSummary | None = None) -> None:
        self._progress.open(trial.trial, horizon_steps)
        self._outbox.open(TrialAttempt(trial=trial.trial, attempt=trial.attempt), horizon_steps, data)

    def step(self, trial: str, step: int) -> None:
        log_keys = self._progress.step(trial, step)
        if log_keys is not None:
            self._logs[trial].info("trial_progress", **log_keys)

    def put_all(self, reports: Mapping[str, Sequence[Report]]) -> None:
        self._outbox.put_all(reports)

    def pending(self, trial: str) -> list[Report]:
        return self._outbox.pending(trial)

    def announce(self, trial: str, checkpoint: str) -> None:
        self._outbox.announce(trial, checkpoint)

    def directive(self, trial: str) -> Directive:
        return self._directives.directive(trial)

    def end_all(self, outcomes: Sequence[tuple[LeasedTrial, Outcome]]) -> None:
        finished = []
        for trial, outcome in outcomes:
            match outcome:
                case Finished():
                    finished.append((trial, outcome))
                case Dropped(directive):
                    self._drop(trial, discard=directive != "lost")
                    self._logs[trial.trial].info("trial_dropped", directive=directive)
                case Interrupted():
                    self._logs[trial.trial].info("trial_interrupted")
        # Reports go first: once a trial has its result, the server refuses further reports of it.
        ready = [(trial, outcome) for trial, outcome in finished if self._outbox.flush(trial.trial)]
        if ready:
            self._finish(ready)
        for trial, _ in outcomes:
            self._progress.end(trial.trial)

    def _finish(self, results: Sequence[tuple[LeasedTrial, Finished]]) -> None:
        batch = FinishBatch(trials=[self._result(trial, outcome) for trial, outcome in results])
        try:
            answer = keep_trying(
                lambda: self._server.finish(self._lease.lease_id, batch), self._drain.overdue, "finish"
            )
        except LostLeaseError:
            for trial, _ in results:
                self._drop(trial, discard=False)
                self._logs[trial.trial].warning("trial_lost")
        except UnreachableError:
            reason = "the server did not answer before the worker had to exit"
            log.warning("trials_not_finished", trials=[trial.number for trial, _ in results], reason=reason)
        except ServerError as error:
            self._refused(results, error)
        else:
            for trial, outcome in results:
                lost = answer.trials.get(trial.trial) == "lost"
                self._drop(trial, discard=not lost)
                keys = {"value": outcome.value, "error": _last_line(outcome.error), "lost": lost}
                self._logs[trial.trial].info("trial_finished", state=outcome.state, **keys)

    def _result(self, trial: LeasedTrial, outcome: Finished) -> TrialFinish:
        return TrialFinish(
            trial=trial.trial,
            attempt=trial.attempt,
            progress=self._progress.of(trial.trial),
            state=outcome.state,
            value=outcome.value,
            error=outcome.error,
            execution=self._executions.get(trial.trial),
        )

    def _refused(self, results: Sequence[tuple[LeasedTrial, Finished]], error: ServerError) -> None:
        """Finish the trials again, one call each: a call is refused as a whole, but only one result may be at fault."""
        if len(results) > 1:
            for result in results:
                self._finish([result])
            return
        ((trial, _),) = results
        self._drop(trial, discard=is_lost(error))
        self._logs[trial.trial].error("finish_refused", error=str(error))

    def _drop(self, trial: LeasedTrial, *, discard: bool) -> None:
        """Send nothing more for this trial."""
        self._directives.settle(trial.trial)
        self._outbox.drop(trial.trial)
        if discard:
            self._trainer.discard(trial)

    def _release(self) -> None:
        held = self._directives.held()
        if not held:
            return
        # Reports go first: after the release the server refuses this attempt's reports.
        for attempt in held:
            self._outbox.flush(attempt.trial)
        try:
            keep_trying(
                lambda: self._server.release(self._lease.lease_id, Renewal(trials=held)), self._drain.overdue, "release"
            )
        except (LostLeaseError, ServerError, UnreachableError) as error:
            log.warning("release_failed", lease=self._lease.lease_id, error=str(error))
        else:
            log.info("lease_released", lease=self._lease.lease_id, trials=[attempt.trial for attempt in held])


def _log_of(lease: Lease, trial: LeasedTrial) -> structlog.typing.FilteringBoundLogger:
    """A logger that names the trial in every line, since several may train at once."""
    keys = {"trial": trial.trial, "number": trial.number, "attempt": trial.attempt}
    bound: structlog.typing.FilteringBoundLogger = log.bind(study=lease.study.study_id, **keys)
    return bound


def _last_line(error: str | None) -> str | None:
    """The last line of an error, for the log; the server stores all of it."""
    return error.strip().splitlines()[-1] if error else None
