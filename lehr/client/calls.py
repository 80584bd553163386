"""Describes every call of the REST API, one function each, without sending it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, TypeAdapter

from lehr.client.call import Call, TextCall, encode, path, query
from lehr.schedules import Schedule
from lehr.wire.answers import Answer, Leaderboard
from lehr.wire.fleet import Task, Worker
from lehr.wire.forecasts import Forecast
from lehr.wire.front import Aim, Front
from lehr.wire.leases import Claim, FinishBatch, Lease, LeaseAnswer, Renewal, ReportBatch
from lehr.wire.looks import Look, LookAnswer, LookClaim, LookOrder
from lehr.wire.problems import Page
from lehr.wire.ranges import RangeTest, RangeTestRequest
from lehr.wire.schedules import ExportedSchedule, Family, PreviewedSchedule
from lehr.wire.studies import ResolvedStudy, Study, StudyDiagnosis, StudySpec, StudySummary
from lehr.wire.transfer import Transfer, TransferRequest
from lehr.wire.trials import Curve, Purpose, Trial, TrialState

Control = Literal["pause", "resume", "stop", "cancel"]
TrialOrder = Literal["number", "-number", "value", "-value"]
PAGE_SIZE = 500
"""Items per page when listing: the server's maximum."""

_STUDY = TypeAdapter(Study)
_RESOLVED = TypeAdapter(ResolvedStudy)
_STUDIES = TypeAdapter(Page[StudySummary])
_TRIAL = TypeAdapter(Trial)
_TRIALS = TypeAdapter(Page[Trial])
_CURVE = TypeAdapter(Curve)
_ANSWER = TypeAdapter(Answer)
_LEADERBOARD = TypeAdapter(Leaderboard)
_DIAGNOSIS = TypeAdapter(StudyDiagnosis)
_FRONT = TypeAdapter(Front)
_FORECAST = TypeAdapter(Forecast)
_RANGE_TEST = TypeAdapter(RangeTest)
_RANGE_TESTS = TypeAdapter(Page[RangeTest])
_TRANSFER = TypeAdapter(Transfer)
_FAMILIES = TypeAdapter(Page[Family])
_PREVIEW = TypeAdapter(PreviewedSchedule)
_EXPORT = TypeAdapter(ExportedSchedule)
_TASKS = TypeAdapter(Page[Task])
_WORKERS = TypeAdapter(Page[Worker])
_LEASE: TypeAdapter[Lease | None] = TypeAdapter(Lease | None)
_LOOK = TypeAdapter(Look)
_ORDER: TypeAdapter[LookOrder | None] = TypeAdapter(LookOrder | None)
_LEASE_ANSWER = TypeAdapter(LeaseAnswer)
_NOTHING = TypeAdapter(None)
_TEXT = TypeAdapter(str)


def create_study(spec: StudySpec | Mapping[str, Any], idempotency_key: str) -> Call[Study]:
    return Call("POST", path("studies"), _STUDY, body=_spec(spec), headers=_keyed(idempotency_key))


def validate_study(spec: StudySpec | Mapping[str, Any]) -> Call[ResolvedStudy]:
    return Call("POST", path("studies"), _RESOLVED, params=query(validate_only=True), body=_spec(spec), headers=_JSON)


def create_range_test(request: RangeTestRequest | Mapping[str, Any], idempotency_key: str) -> Call[RangeTest]:
    body = _model(request) if isinstance(request, RangeTestRequest) else encode(dict(request))
    return Call("POST", path("range-tests"), _RANGE_TEST, body=body, headers=_keyed(idempotency_key))


def range_test(range_test_id: str) -> Call[RangeTest]:
    return Call("GET", path("range-tests", range_test_id), _RANGE_TEST)


def range_test_picture(range_test_id: str) -> Call[str]:
    return TextCall("GET", path("range-tests", range_test_id), _TEXT, headers={"Accept": "image/svg+xml"})


def range_tests(state: str | None, limit: int, cursor: str | None) -> Call[Page[RangeTest]]:
    return Call("GET", path("range-tests"), _RANGE_TESTS, params=query(state=state, limit=limit, cursor=cursor))


def studies(state: str | None, limit: int, cursor: str | None) -> Call[Page[StudySummary]]:
    return Call("GET", path("studies"), _STUDIES, params=query(state=state, limit=limit, cursor=cursor))


def study(study_id: str) -> Call[Study]:
    return Call("GET", path("studies", study_id), _STUDY)


def control_study(study_id: str, control: Control) -> Call[Study]:
    return Call("POST", path("studies", study_id, control), _STUDY)


def delete_study(study_id: str) -> Call[None]:
    return Call("DELETE", path("studies", study_id), _NOTHING)


def trials(
    study_id: str,
    *,
    state: TrialState | None,
    purpose: Purpose | None,
    evaluates: int | None,
    order: TrialOrder | None,
    after: int | None,
    limit: int,
    cursor: str | None,
) -> Call[Page[Trial]]:
    params = query(
        state=state, purpose=purpose, evaluates=evaluates, order=order, after=after, limit=limit, cursor=cursor
    )
    return Call("GET", path("studies", study_id, "trials"), _TRIALS, params=params)


def trial(study_id: str, number: int) -> Call[Trial]:
    return Call("GET", path("studies", study_id, "trials", number), _TRIAL)


def curve(study_id: str, number: int, max_points: int | None) -> Call[Curve]:
    place = path("studies", study_id, "trials", number, "curve")
    return Call("GET", place, _CURVE, params=query(max_points=max_points))


def enqueue(study_id: str, schedule: Schedule | Mapping[str, Any], origin: Literal["user", "law"]) -> Call[Trial]:
    """Not repeatable: each request that arrives enqueues another trial."""
    # The default is not sent, since servers older than this field reject it.
    optional = {} if origin == "user" else {"origin": origin}
    body = encode({"schedule": _schedule(schedule), **optional})
    return Call("POST", path("studies", study_id, "trials"), _TRIAL, body=body, headers=_JSON, repeatable=False)


def best(study_id: str, points: int | None) -> Call[Answer]:
    return Call("GET", path("studies", study_id, "best"), _ANSWER, params=query(points=points))


def leaderboard(study_id: str) -> Call[Leaderboard]:
    return Call("GET", path("studies", study_id, "leaderboard"), _LEADERBOARD)


def diagnosis(study_id: str) -> Call[StudyDiagnosis]:
    return Call("GET", path("studies", study_id, "diagnosis"), _DIAGNOSIS)


def front(study_id: str, target: float | None, aims: Sequence[Aim]) -> Call[Front]:
    # The default is not sent, since servers older than this parameter reject it.
    sent = () if tuple(aims) == ("steps",) else tuple(aims)
    params = query(target=target) | ({"aim": list(sent)} if sent else {})
    return Call("GET", path("studies", study_id, "front"), _FRONT, params=params)


def forecast(study_id: str, schedule: Schedule | Mapping[str, Any] | None, horizon_steps: int | None) -> Call[Forecast]:
    """Repeatable: it changes nothing."""
    document = None if schedule is None else _schedule(schedule)
    request = {"schedule": document, "horizon_steps": horizon_steps}
    return Call("POST", path("studies", study_id, "forecast"), _FORECAST, body=encode(request), headers=_JSON)


def transfer(study_id: str, request: TransferRequest | Mapping[str, Any]) -> Call[Transfer]:
    """Repeatable: it changes nothing."""
    body = _model(request) if isinstance(request, TransferRequest) else encode(dict(request))
    return Call("POST", path("studies", study_id, "transfer"), _TRANSFER, body=body, headers=_JSON)


def families() -> Call[Page[Family]]:
    return Call("GET", path("schedules", "families"), _FAMILIES)


def preview(
    schedule: Schedule | Mapping[str, Any], horizon_steps: int, max_points: int, study_id: str | None
) -> Call[PreviewedSchedule]:
    document = {"schedule": _schedule(schedule), "horizon_steps": horizon_steps, "max_points": max_points}
    if study_id is not None:
        document["study_id"] = study_id
    return Call("POST", path("schedules", "preview"), _PREVIEW, body=encode(document), headers=_JSON)


def export(schedule: Schedule | Mapping[str, Any], framework: str, horizon_steps: int) -> Call[ExportedSchedule]:
    document = {"schedule": _schedule(schedule), "horizon_steps": horizon_steps, "framework": framework}
    return Call("POST", path("schedules", "export"), _EXPORT, body=encode(document), headers=_JSON)


def tasks(cursor: str | None) -> Call[Page[Task]]:
    return Call("GET", path("tasks"), _TASKS, params=query(limit=PAGE_SIZE, cursor=cursor))


def workers(cursor: str | None) -> Call[Page[Worker]]:
    return Call("GET", path("workers"), _WORKERS, params=query(limit=PAGE_SIZE, cursor=cursor))


def look(task: str, params: Mapping[str, Any], wait_seconds: float) -> Call[Look]:
    """Not repeatable: each request that arrives is a look of its own."""
    body = encode({"params": dict(params), "wait_seconds": wait_seconds})
    place, wait = path("tasks", task, "look"), wait_seconds
    return Call("POST", place, _LOOK, body=body, headers=_JSON, repeatable=False, patience_seconds=wait)


def find_look(look_id: str) -> Call[Look]:
    return Call("GET", path("looks", look_id), _LOOK)


def claim_look(claim: LookClaim) -> Call[LookOrder | None]:
    """A repeated claim gets the look again that this worker has not answered yet."""
    wait = claim.wait_seconds
    return Call("POST", path("looks", "claim"), _ORDER, body=_model(claim), headers=_JSON, patience_seconds=wait)


def answer_look(look_id: str, answer: LookAnswer) -> Call[Look]:
    return Call("POST", path("looks", look_id, "answer"), _LOOK, body=_model(answer), headers=_JSON)


def claim(request: Claim, idempotency_key: str) -> Call[Lease | None]:
    """A repeated claim with the same idempotency key returns the same lease, never a second one."""
    headers = _keyed(idempotency_key)
    return Call(
        "POST", path("leases"), _LEASE, body=_model(request), headers=headers, patience_seconds=request.wait_seconds
    )


def renew(lease_id: str, request: Renewal) -> Call[LeaseAnswer]:
    return _lease_call(lease_id, "renew", request)


def report(lease_id: str, request: ReportBatch) -> Call[LeaseAnswer]:
    return _lease_call(lease_id, "report", request)


def finish(lease_id: str, request: FinishBatch) -> Call[LeaseAnswer]:
    return _lease_call(lease_id, "finish", request)


def release(lease_id: str, request: Renewal) -> Call[LeaseAnswer]:
    return _lease_call(lease_id, "release", request)


def _lease_call(lease_id: str, verb: str, request: BaseModel) -> Call[LeaseAnswer]:
    place = path("leases", lease_id, verb)
    return Call("POST", place, _LEASE_ANSWER, body=_model(request), headers=_JSON, on_lease=True)


_JSON = {"Content-Type": "application/json"}


def _keyed(idempotency_key: str) -> dict[str, str]:
    return {**_JSON, "Idempotency-Key": idempotency_key}


def _model(model: BaseModel) -> bytes:
    return encode(model.model_dump(mode="json"))


def _spec(spec: StudySpec | Mapping[str, Any]) -> bytes:
    """A mapping is sent as it is: the server validates it and reports errors field by field."""
    return _model(spec) if isinstance(spec, StudySpec) else encode(dict(spec))


def _schedule(schedule: Schedule | Mapping[str, Any]) -> dict[str, Any]:
    return schedule.to_dict() if isinstance(schedule, Schedule) else dict(schedule)
