"""The client that blocks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self, overload

import httpx
from tenacity import Retrying

from lehr.client import calls, exchange
from lehr.client.call import Call, Result
from lehr.client.calls import TrialOrder
from lehr.client.retries import Retry, TransientAnswer, policy
from lehr.client.watching import OnChange, Watch
from lehr.schedules import Schedule
from lehr.wire.answers import Answer, Leaderboard
from lehr.wire.fleet import Task, Worker
from lehr.wire.forecasts import Forecast
from lehr.wire.front import Aim, Front
from lehr.wire.leases import Claim, FinishBatch, Lease, LeaseAnswer, Renewal, ReportBatch
from lehr.wire.problems import Page
from lehr.wire.ranges import RangeTest, RangeTestRequest
from lehr.wire.schedules import ExportedSchedule, Family, PreviewedSchedule
from lehr.wire.studies import ResolvedStudy, Study, StudyDiagnosis, StudySpec, StudySummary
from lehr.wire.transfer import Transfer, TransferRequest
from lehr.wire.trials import Curve, Purpose, Trial, TrialState


class Client:
    """A connection to a lehr server, for programs with threads or none: one client serves them all.

    `url`: of the server, without `/v1`. `timeout`: seconds to wait for an answer; a long poll waits
    its own time on top. `retry`: how calls that may be repeated are tried again, None for never.

    Every method raises UnreachableError when no answer came, and a ServerError when the answer was
    a problem document: also a NotFoundError, ConflictError, LostLeaseError or InvalidValueError where one fits.
    """

    def __init__(
        self,
        url: str = exchange.DEFAULT_URL,
        *,
        timeout: float = exchange.DEFAULT_TIMEOUT_SECONDS,
        transport: httpx.BaseTransport | None = None,
        retry: Retry | None = Retry(),  # noqa: B008 - frozen
    ) -> None:
        self.url = url
        self._timeout = timeout
        self._retry = retry
        self._http = httpx.Client(transport=transport, **exchange.client_options(url, timeout))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let the connections go. The client is of no use afterwards."""
        self._http.close()

    @overload
    def create_study(
        self,
        spec: StudySpec | Mapping[str, Any],
        *,
        idempotency_key: str | None = None,
        validate_only: Literal[False] = False,
    ) -> Study: ...

    @overload
    def create_study(
        self, spec: StudySpec | Mapping[str, Any], *, idempotency_key: str | None = None, validate_only: Literal[True]
    ) -> ResolvedStudy: ...

    def create_study(
        self,
        spec: StudySpec | Mapping[str, Any],
        *,
        idempotency_key: str | None = None,
        validate_only: bool = False,
    ) -> Study | ResolvedStudy:
        """Post a study. Without a key, one is made for this call, so that its own retries create it once."""
        if validate_only:
            return self._send(calls.validate_study(spec))
        return self._send(calls.create_study(spec, idempotency_key or exchange.fresh_key()))

    def studies(self, *, state: str | None = None) -> Iterator[StudySummary]:
        """All studies in short, page by page as they are read; `study` has the spec and the rest of one."""
        return self._items(lambda cursor: calls.studies(state, calls.PAGE_SIZE, cursor))

    def study(self, study_id: str) -> Study:
        return self._send(calls.study(study_id))

    def pause(self, study_id: str) -> Study:
        """Start no new trials of it; the running ones go on."""
        return self._send(calls.control_study(study_id, "pause"))

    def resume(self, study_id: str) -> Study:
        return self._send(calls.control_study(study_id, "resume"))

    def stop(self, study_id: str) -> Study:
        """Let the running trials end, then confirm and answer."""
        return self._send(calls.control_study(study_id, "stop"))

    def cancel(self, study_id: str) -> Study:
        """End it now."""
        return self._send(calls.control_study(study_id, "cancel"))

    def delete_study(self, study_id: str) -> None:
        """Delete a finished study with its trials. ConflictError while it is not finished."""
        self._send(calls.delete_study(study_id))

    def trials(
        self,
        study_id: str,
        *,
        state: TrialState | None = None,
        purpose: Purpose | None = None,
        evaluates: int | None = None,
        order: TrialOrder | None = None,
        after: int | None = None,
        page_size: int = calls.PAGE_SIZE,
    ) -> Iterator[Trial]:
        """A study's trials, page by page as they are read. `after`: only what changed after that revision.

        `evaluates`: only the trainings of this search trial, on each fold and seed.
        """

        def page(cursor: str | None) -> Call[Page[Trial]]:
            return calls.trials(
                study_id,
                state=state,
                purpose=purpose,
                evaluates=evaluates,
                order=order,
                after=after,
                limit=page_size,
                cursor=cursor,
            )

        return self._items(page)

    def trial(self, study_id: str, number: int) -> Trial:
        return self._send(calls.trial(study_id, number))

    def curve(self, study_id: str, number: int, *, max_points: int | None = None) -> Curve:
        """What a trial has reported; of more than `max_points` reports (default 10000) evenly spread ones."""
        return self._send(calls.curve(study_id, number, max_points))

    def enqueue(
        self, study_id: str, schedule: Schedule | Mapping[str, Any], *, origin: Literal["user", "law"] = "user"
    ) -> Trial:
        """Have a schedule of one's own trained within the study's budget."""
        return self._send(calls.enqueue(study_id, schedule, origin))

    def best(self, study_id: str, *, points: int | None = None) -> Answer:
        """The answer. ConflictError while no trial has completed."""
        return self._send(calls.best(study_id, points))

    def leaderboard(self, study_id: str) -> Leaderboard:
        """The best of each family, at an equal number of trials."""
        return self._send(calls.leaderboard(study_id))

    def diagnosis(self, study_id: str) -> StudyDiagnosis:
        """What is wrong with the search and its best training. A trial's own stands in `trial(…).diagnosis`."""
        return self._send(calls.diagnosis(study_id))

    def create_range_test(
        self, request: RangeTestRequest | Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> RangeTest:
        """Queue a range test alone. `pause`, `resume`, `stop`, `cancel` and `delete` take its id, too."""
        return self._send(calls.create_range_test(request, idempotency_key or exchange.fresh_key()))

    def range_test(self, range_test_id: str) -> RangeTest:
        """A range test by its id, or the one that the study of this id began with."""
        return self._send(calls.range_test(range_test_id))

    def range_test_picture(self, range_test_id: str) -> str:
        """Its curve as SVG. Raises ServerConflictError until its sweeps have ended."""
        return self._send(calls.range_test_picture(range_test_id))

    def range_tests(self, *, state: str | None = None) -> Iterator[RangeTest]:
        """All range tests alone, the newest first."""
        return self._items(lambda cursor: calls.range_tests(state, calls.PAGE_SIZE, cursor))

    def front(self, study_id: str, target: float | None = None, *, aims: Sequence[Aim] = ("steps",)) -> Front:
        """The trials that reach a value of the objective soonest, and those that end better for more steps.

        `target`: default is the target of the answer's front.
        """
        return self._send(calls.front(study_id, target, aims))

    def forecast(
        self,
        study_id: str,
        schedule: Schedule | Mapping[str, Any] | None = None,
        *,
        horizon_steps: int | None = None,
    ) -> Forecast:
        """What a schedule (default: the best) will come to over a horizon (default: the study's), or why not known."""
        return self._send(calls.forecast(study_id, schedule, horizon_steps))

    def transfer(self, study_id: str, request: TransferRequest | Mapping[str, Any]) -> Transfer:
        """The best schedule rescaled to another horizon, batch size or width, with the rules used."""
        return self._send(calls.transfer(study_id, request))

    def families(self) -> list[Family]:
        return (self._send(calls.families())).items

    def preview(
        self,
        schedule: Schedule | Mapping[str, Any],
        horizon_steps: int,
        max_points: int = 1000,
        *,
        study_id: str | None = None,
    ) -> PreviewedSchedule:
        """Rates by step; with a study, what its trainings say of the last loss."""
        return self._send(calls.preview(schedule, horizon_steps, max_points, study_id))

    def export(self, schedule: Schedule | Mapping[str, Any], framework: str, horizon_steps: int) -> ExportedSchedule:
        """The schedule as code, flags or a table for a framework; `lehr.schedules.portable` names all."""
        return self._send(calls.export(schedule, framework, horizon_steps))

    def tasks(self) -> list[Task]:
        return list(self._items(calls.tasks))

    def workers(self) -> list[Worker]:
        return list(self._items(calls.workers))

    def claim(self, request: Claim, *, idempotency_key: str | None = None) -> Lease | None:
        """Some trials to run, or None when there was nothing to do for as long as the claim waits."""
        return self._send(calls.claim(request, idempotency_key or exchange.fresh_key()))

    def renew(self, lease_id: str, request: Renewal) -> LeaseAnswer:
        return self._send(calls.renew(lease_id, request))

    def report(self, lease_id: str, request: ReportBatch) -> LeaseAnswer:
        return self._send(calls.report(lease_id, request))

    def finish(self, lease_id: str, request: FinishBatch) -> LeaseAnswer:
        return self._send(calls.finish(lease_id, request))

    def release(self, lease_id: str, request: Renewal) -> LeaseAnswer:
        return self._send(calls.release(lease_id, request))

    def wait(
        self,
        study_id: str,
        timeout: float | None = None,
        on_change: OnChange | None = None,
        *,
        poll_seconds: float = 1.0,
    ) -> Study:
        """Look at the study until it has finished. Raises WaitTimeoutError after `timeout` seconds."""
        watch = Watch(on_change, timeout, time.monotonic())
        while True:
            study = self.study(study_id)
            if watch.see(study, time.monotonic()):
                return study
            time.sleep(watch.pause_seconds(poll_seconds, time.monotonic()))

    def _send(self, call: Call[Result]) -> Result:
        try:
            if self._retry is None:
                return self._attempt(call)
            result: Result = Retrying(**policy(self._retry, call))(self._attempt, call)
            return result
        except TransientAnswer as transient:
            raise transient.error from None
        except httpx.RequestError as error:
            raise exchange.unreachable(self.url, error) from error

    def _attempt(self, call: Call[Result]) -> Result:
        with self._http.stream(**exchange.request_options(call, self._timeout)) as answer:
            body = exchange.Body(answer)
            for piece in answer.iter_bytes():
                body.add(piece)
        return exchange.read(call, body.whole())

    def _items(self, page_at: Callable[[str | None], Call[Page[Result]]]) -> Iterator[Result]:
        cursor: str | None = None
        while True:
            page = self._send(page_at(cursor))
            yield from page.items
            if page.next_cursor is None:
                return
            cursor = page.next_cursor
