"""A trial in the hands of a training script."""

from __future__ import annotations

import logging
import math
import threading
import traceback
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self, SupportsFloat

from pydantic import ValidationError

from lehr.client import Client
from lehr.errors import ConflictError, Fault, InvalidValueError, LostLeaseError, NotFoundError
from lehr.schedules import Plateau, PlateauState, Schedule
from lehr.schedules.steps import progress_at
from lehr.script.keeper import Keeper
from lehr.script.patience import keep_trying
from lehr.wire.leases import MAX_ERROR_CHARACTERS, FinishBatch, FinishState, Lease, Renewal, Report, TrialFinish
from lehr.wire.trials import Fold, Purpose

log = logging.getLogger("lehr.script")


class ScriptTrial:
    """One training: `schedule` over `horizon_steps` steps, from the random `seed`, with the study's `params`.

    Set the rate of each step before it is taken: `lr(step)`, and `momentum(step)` unless that is None. Report
    metrics as they come, the study's objective among them; what it was last counts. Stop where `should_stop` says so.

    A trial ends when the next one is asked for: COMPLETED, or as it was pruned, diverged or lost. As a context manager
    it ends with its block, and an exception in there is its failure, not the script's.
    """

    def __init__(self, client: Client, lease: Lease, horizon_steps: int) -> None:
        (leased,) = lease.trials
        self.study_id: str = lease.study.study_id
        self.number: int = leased.number
        self.attempt: int = leased.attempt
        self.purpose: Purpose = leased.purpose
        self.seed: int = leased.seed
        self.fold: Fold | None = leased.fold
        """Which part of the data to hold out to validate on: `fold.index` of `fold.count`. None: the script's own."""
        self.schedule: Schedule = leased.schedule
        self.params: Mapping[str, Any] = lease.study.task.get("params") or {}
        self.metric: str = str(lease.study.objective["metric"])
        """The objective's name."""
        self.horizon_steps = horizon_steps
        self.report_every_steps: int | None = leased.report_every_steps
        """Of a range test: report the training loss at least this often; nothing else need be evaluated. Where
        `val_loss` is told too, now and then, the bounds hang on it, and hold the best rate more often."""
        self.checkpoint: str | None = leased.checkpoint
        """Where an earlier attempt said that it had saved the training."""
        self._client = client
        self._lease_id = lease.lease_id
        self._keeper = Keeper(client, lease, horizon_steps)
        self._plateau = PlateauState(self.schedule) if isinstance(self.schedule, Plateau) else None
        self._awaited = {self.metric, *([self._plateau.plateau.metric] if self._plateau else [])}
        self._value: float | None = None
        self._train_loss: float | None = None
        self._last_step = -1
        self._divergence: str | None = None
        self._ended = False
        self._keeper.start()

    def lr(self, step: int) -> float:
        """The rate of a step, counted from 0. That of a `plateau` depends on what was reported before."""
        if self._plateau is not None:
            return self._plateau.lr_at(progress_at(step, self.horizon_steps))
        return self.schedule.lr(step, self.horizon_steps)

    def momentum(self, step: int) -> float | None:
        """The momentum of a step (Adam's first beta); None where the schedule leaves it alone."""
        return self.schedule.momentum(step, self.horizon_steps)

    @property
    def should_stop(self) -> bool:
        """Whether the rest of the training would be for nothing: pruned, cancelled, lost, or diverged."""
        return self._ended or self._divergence is not None or self._keeper.directive != "continue"

    def report(
        self,
        step: int,
        metrics: Mapping[str, SupportsFloat] | None = None,
        *,
        train_loss: SupportsFloat | None = None,
        epoch: float | None = None,
        checkpoint: str | None = None,
    ) -> None:
        """Tell how the training stands after a step. It is sent by a thread of its own, so this costs no time.

        A training loss or an objective that is no finite number makes the trial DIVERGED, which is a result.
        `checkpoint`: where the training was saved, for the attempt that goes on should this process be lost.

        Raises InvalidValueError for what cannot be reported, ConflictError when the trial has ended, and ServerError
        when the server refused an earlier report.
        """
        if self._keeper.refusal is not None:
            raise self._keeper.refusal
        if self._ended:
            raise ConflictError(f"trial {self.number} has ended: ask for the next one")
        values = {name: float(value) for name, value in (metrics or {}).items()}
        loss = None if train_loss is None else float(train_loss)
        self._keeper.put(self._written(step, values, loss, epoch), checkpoint)
        self._last_step = max(self._last_step, step)
        self._train_loss = self._train_loss if loss is None else loss
        self._value = values.get(self.metric, self._value)
        self._awaited -= values.keys()
        if self._plateau is not None and self._plateau.plateau.metric in values:
            self._plateau.step(values[self._plateau.plateau.metric])
        for name, value in (("train_loss", loss), (self.metric, values.get(self.metric))):
            if value is not None and not math.isfinite(value) and self._divergence is None:
                self._divergence = f"{name} became {value} at step {step}"

    def _written(self, step: int, values: Mapping[str, float], loss: float | None, epoch: float | None) -> Report:
        metrics = {name: _finite(value) for name, value in values.items()}
        try:
            return Report(step=step, epoch=epoch, lr=self.lr(step), train_loss=_finite(loss), metrics=metrics)
        except ValidationError as error:
            found = error.errors(include_url=False)
            raise InvalidValueError(
                [
                    Fault(
                        "report." + ".".join(map(str, each["loc"])),
                        each["msg"],
                        "what the worker protocol says",
                        each["input"],
                        "Correct it.",
                    )
                    for each in found
                ]
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> bool:
        self.end(error)
        if isinstance(error, Exception):
            log.error("trial %d failed", self.number, exc_info=error)
            return True
        return False

    def end(self, error: BaseException | None = None) -> None:
        """Tell the trial's result; waits until the server has heard it. Does nothing for a trial that has ended.

        `error`: why the training ended. An exception makes the trial FAILED; with anything else that ends a program,
        such as KeyboardInterrupt, it is given back for another attempt, unless its last step was reported.
        """
        if self._ended:
            return
        self._ended = True
        try:
            self._keeper.flush()
            if self._keeper.directive in ("continue", "prune"):
                self._settle(error)
        except (LostLeaseError, NotFoundError):
            log.warning("trial %d was lost: another process has it, or its study is gone", self.number)
        finally:
            self._keeper.close()

    def _settle(self, error: BaseException | None) -> None:
        never = threading.Event()
        if not isinstance(error, Exception | None) and self._last_step < self.horizon_steps - 1:
            back = Renewal(trials=[self._keeper.held])
            keep_trying(lambda: self._client.release(self._lease_id, back), never)
            return
        failure = error if isinstance(error, Exception) else self._keeper.refusal
        state, value, text = self._result(failure)
        held = self._keeper.held
        result = TrialFinish(trial=held.trial, attempt=held.attempt, state=state, value=value, error=text)
        keep_trying(lambda: self._client.finish(self._lease_id, FinishBatch(trials=[result])), never)

    def _result(self, error: Exception | None) -> tuple[FinishState, float | None, str | None]:
        """State, value and error, as the wire has them."""
        if error is not None:
            return "FAILED", None, _storable("".join(traceback.format_exception(error)))
        if self._divergence is not None:
            return "DIVERGED", None, self._divergence
        if self._keeper.directive == "prune" and self._last_step < self.horizon_steps - 1:
            return "PRUNED", self._value, None
        if self.purpose == "range_test" and self._train_loss is not None:
            return "COMPLETED", self._train_loss, None  # a sweep is judged by its curve alone
        if self._value is None or self._awaited:
            name = min(self._awaited)
            return "FAILED", None, f"the script never reported {name}: trial.report(step, {{{name!r}: …}})"
        return "COMPLETED", self._value, None


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _storable(text: str) -> str:
    """The text's end, where a traceback names the exception, without what the wire refuses."""
    text = text.replace("\x00", "\\0").encode("utf-8", "backslashreplace").decode()
    return text[-MAX_ERROR_CHARACTERS:]
