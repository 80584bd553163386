"""`Client`: the synchronous client of the REST API."""

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
from lehr.client.looks import Looks
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


class Client(Looks):
    """A synchronous client of a lehr server. One client can be shared by several threads.

    `url`: the server URL, without `/v1`. `timeout`: seconds to wait for a response; long polls add their own wait.
    `retry`: how repeatable calls are retried; None for never.

    Every method raises UnreachableError if the server does not respond, and a ServerError if it responds with a problem
    document. It is also a NotFoundError, ConflictError, LostLeaseError or InvalidValueError if one of these applies.
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
        """Close the connections. The client cannot be used afterwards."""
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
        """Create a study. Without an idempotency key, one is generated, so that retries of this call create it once."""
        if validate_only:
            return self._send(calls.validate_study(spec))
        return self._send(calls.create_study(spec, idempotency_key or exchange.fresh_key()))

    def studies(self, *, state: str | None = None) -> Iterator[StudySummary]:
        """Iterate over summaries of all studies, fetching page by page; `study` returns all fields of one."""
        return self._items(lambda cursor: calls.studies(state, calls.PAGE_SIZE, cursor))

    def study(self, study_id: str) -> Study:
        return self._send(calls.study(study_id))

    def pause(self, study_id: str) -> Study:
        """Pause a study: running trials finish, no new ones start."""
        return self._send(calls.control_study(study_id, "pause"))

    def resume(self, study_id: str) -> Study:
        return self._send(calls.control_study(study_id, "resume"))

    def stop(self, study_id: str) -> Study:
        """Stop searching: let running trials finish, then confirm and answer."""
        return self._send(calls.control_study(study_id, "stop"))

    def cancel(self, study_id: str) -> Study:
        """Cancel a study at once."""
        return self._send(calls.control_study(study_id, "cancel"))

    def delete_study(self, study_id: str) -> None:
        """Delete a finished study and all its trials. Raises ConflictError if it has not finished."""
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
        """Iterate over a study's trials, fetching page by page. `after`: only trials changed after this revision.

        `evaluates`: only the evaluations of this search trial, one for each fold and seed.
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
        """A trial's reports, evenly thinned to at most `max_points` (default 10000)."""
        return self._send(calls.curve(study_id, number, max_points))

    def enqueue(
        self, study_id: str, schedule: Schedule | Mapping[str, Any], *, origin: Literal["user", "law"] = "user"
    ) -> Trial:
        """Train a schedule of your own within the study's budget."""
        return self._send(calls.enqueue(study_id, schedule, origin))

    def best(self, study_id: str, *, points: int | None = None) -> Answer:
        """The best schedule so far. Raises ConflictError if no trial has completed."""
        return self._send(calls.best(study_id, points))

    def leaderboard(self, study_id: str) -> Leaderboard:
        """The families of a study, ranked at an equal number of trials."""
        return self._send(calls.leaderboard(study_id))

    def diagnosis(self, study_id: str) -> StudyDiagnosis:
        """What is wrong with the search and its best training. For a single trial, see `trial(…).diagnosis`."""
        return self._send(calls.diagnosis(study_id))

    def create_range_test(
        self, request: RangeTestRequest | Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> RangeTest:
        """Create a standalone range test. `pause`, `resume`, `stop`, `cancel` and `delete_study` accept its id."""
        return self._send(calls.create_range_test(request, idempotency_key or exchange.fresh_key()))

    def range_test(self, range_test_id: str) -> RangeTest:
        """A range test by its own id, or by the id of the study that ran it."""
        return self._send(calls.range_test(range_test_id))

    def range_test_picture(self, range_test_id: str) -> str:
        """A range test's curve as SVG. Raises ServerConflictError until its sweeps have ended."""
        return self._send(calls.range_test_picture(range_test_id))

    def range_tests(self, *, state: str | None = None) -> Iterator[RangeTest]:
        """Iterate over all standalone range tests, newest first."""
        return self._items(lambda cursor: calls.range_tests(state, calls.PAGE_SIZE, cursor))

    def front(self, study_id: str, target: float | None = None, *, aims: Sequence[Aim] = ("steps",)) -> Front:
        """The trials that reach a target value soonest, and those that end better but take more steps.

        `target`: by default, the target of the answer's front.
        """
        return self._send(calls.front(study_id, target, aims))

    def forecast(
        self,
        study_id: str,
        schedule: Schedule | Mapping[str, Any] | None = None,
        *,
        horizon_steps: int | None = None,
    ) -> Forecast:
        """Predict the final loss of a schedule (default: the best) over a horizon (default: the study's)."""
        return self._send(calls.forecast(study_id, schedule, horizon_steps))

    def transfer(self, study_id: str, request: TransferRequest | Mapping[str, Any]) -> Transfer:
        """Rescale the best schedule to another horizon, batch size or width."""
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
        """The rates of a schedule by step; with a study, also the predicted final loss."""
        return self._send(calls.preview(schedule, horizon_steps, max_points, study_id))

    def export(self, schedule: Schedule | Mapping[str, Any], framework: str, horizon_steps: int) -> ExportedSchedule:
        """Export a schedule as code, flags or a table; `lehr.schedules.portable.FRAMEWORKS` lists the frameworks."""
        return self._send(calls.export(schedule, framework, horizon_steps))

    def tasks(self) -> list[Task]:
        return list(self._items(calls.tasks))

    def workers(self) -> list[Worker]:
        return list(self._items(calls.workers))

    def claim(self, request: Claim, *, idempotency_key: str | None = None) -> Lease | None:
        """Claim trials to run. Returns None if there was no work within the claim's `wait_seconds`."""
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
        """Poll the study until it has finished. Raises WaitTimeoutError after `timeout` seconds."""
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
