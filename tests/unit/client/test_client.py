"""Both clients send, retry and raise the same against a scripted server."""

from __future__ import annotations

import asyncio
import inspect
import json
import math
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from lehr.client import AsyncClient, Client, Retry, WaitTimeoutError
from lehr.client.exchange import client_options
from lehr.errors import (
    ConflictError,
    IdempotencyError,
    InvalidValueError,
    LostLeaseError,
    NotFoundError,
    ServerError,
    UnreachableError,
)
from lehr.schedules import Constant
from lehr.wire.leases import Claim, FinishBatch, Renewal, TrialAttempt, TrialFinish, WorkerInfo
from lehr.wire.ranges import RangeTestRequest
from lehr.wire.studies import StudySpec
from lehr.wire.transfer import TransferRequest
from tests.unit.client.stub import NOW, Script, page, problem, study, trial

HASTY = Retry(attempts=4, first_pause_seconds=0.001, longest_pause_seconds=0.002)
SPEC: dict[str, Any] = {
    "name": "mine",
    "task": {"name": "digits"},
    "objective": {"metric": "val_accuracy", "direction": "maximize"},
    "budget": {"trials": 10},
}
CLAIM = Claim(worker=WorkerInfo(id="w", name="w", device="cpu", tasks=["digits"]), wait_seconds=25)
HELD = Renewal(trials=[TrialAttempt(trial="t", attempt=1)])


def connect(script: Script, retry: Retry | None = HASTY) -> Client:
    return Client("http://lehr.test", transport=httpx.MockTransport(script), retry=retry)


def answers(*documents: Any) -> Script:
    return Script([each if isinstance(each, httpx.Response | Exception) else httpx.Response(200, json=each)
                   for each in documents])  # fmt: skip


COSINE = {"family": "cosine", "start_lr": 0.1, "end_lr": 0.001}
FORECAST = {
    "study_id": "s1",
    "schedule": COSINE,
    "horizon_steps": 9,
    "knows_enough": False,
    "losses": [],
    "horizons": [],
    "suggestion": None,
}
RANGE_TEST = {
    "range_test_id": "r1",
    "name": "digits",
    "state": "COMPLETED",
    "reason": None,
    "task": {"name": "digits", "params": {}},
    "range_test": {"low": 1e-6, "high": 10.0, "steps": 200, "seeds": 2},
    "sweeps": {"COMPLETED": 2},
    "result": {"found": False, "bounds": {"low": 1e-4, "high": 1.0}, "reason": "no fall", "trials": [0, 1]},
    "created_at": "2026-01-02T03:04:05Z",
    "finished_at": "2026-01-02T03:04:05Z",
}
CALLS: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "create": (lambda client: client.create_study(SPEC, idempotency_key="k"), study()),
    "validate": (lambda client: client.create_study(SPEC, validate_only=True), {"spec": {}, "warnings": []}),
    "study": (lambda client: client.study("s/1"), study()),
    "pause": (lambda client: client.pause("s1"), study()),
    "resume": (lambda client: client.resume("s1"), study()),
    "stop": (lambda client: client.stop("s1"), study()),
    "cancel": (lambda client: client.cancel("s1"), study()),
    "trial": (lambda client: client.trial("s1", 3), trial(3)),
    "enqueue": (lambda client: client.enqueue("s1", Constant(start_lr=0.1, end_lr=0.1)), trial(3)),
    "diagnosis": (lambda client: client.diagnosis("s1"), {"study_id": "s1", "state": "RUNNING", "findings": []}),
    "front": (
        lambda client: client.front("s1", 0.9),
        {
            "study_id": "s1",
            "state": "RUNNING",
            "metric": "val_accuracy",
            "direction": "maximize",
            "target": 0.9,
            "items": [],
            "reached": 0,
            "examined": 3,
        },
    ),
    "front_in_two_aims": (
        lambda client: client.front("s1", 0.9, aims=["steps", "rate_sensitivity"]),
        {
            "study_id": "s1",
            "state": "RUNNING",
            "metric": "val_accuracy",
            "direction": "maximize",
            "target": 0.9,
            "aims": ["steps", "rate_sensitivity"],
            "items": [],
            "reached": 0,
            "examined": 3,
        },
    ),
    "create_range_test": (
        lambda client: client.create_range_test({"task": {"name": "digits"}, "seeds": 2}, idempotency_key="k"),
        RANGE_TEST,
    ),
    "range_test": (lambda client: client.range_test("r/1"), RANGE_TEST),
    "forecast": (lambda client: client.forecast("s1", COSINE, horizon_steps=9), FORECAST),
    "transfer": (
        lambda client: client.transfer("s1", TransferRequest(batch_size=512)),
        {
            "study_id": "s1",
            "trial": 2,
            "origin": COSINE,
            "schedule": COSINE,
            "horizon_steps": 28,
            "factor": 1.0,
            "rescalings": [],
            "groups": {},
            "cautions": [],
            "code": {},
        },
    ),
    "families": (lambda client: client.families(), page()),
    "tasks": (lambda client: client.tasks(), page()),
    "workers": (lambda client: client.workers(), page()),
    "preview": (
        lambda client: client.preview({"family": "constant"}, 9, 3),
        {"step": [0], "lr": [1], "momentum": None},
    ),
    "export": (
        lambda client: client.export(Constant(start_lr=0.1, end_lr=0.1), "optax", 9),
        {"framework": "optax", "code": "x", "exact": True, "form": "own", "note": ""},
    ),
    "renew": (lambda client: client.renew("l1", HELD), {"expires_at": NOW, "trials": {"t": "continue"}}),
    "release": (lambda client: client.release("l1", HELD), {"expires_at": NOW, "trials": {"t": "done"}}),
    "claim": (lambda client: client.claim(CLAIM, idempotency_key="k"), httpx.Response(204)),
}


def written(request: httpx.Request) -> tuple[Any, ...]:
    headers = {name: request.headers.get(name) for name in ("content-type", "idempotency-key")}
    return request.method, str(request.url), headers, request.content, request.extensions["timeout"]


@pytest.mark.parametrize("name", CALLS)
def test_both_clients_send_the_same_and_read_the_same(name: str) -> None:
    call, document = CALLS[name]
    blocking, awaiting = answers(document), answers(document)

    async def awaited() -> Any:
        async with AsyncClient("http://lehr.test", transport=httpx.MockTransport(awaiting), retry=HASTY) as client:
            return await call(client)

    assert call(connect(blocking)) == asyncio.run(awaited())
    assert [written(request) for request in blocking.requests] == [written(request) for request in awaiting.requests]


def test_both_clients_have_the_same_methods_with_the_same_parameters() -> None:
    def surface(kind: type) -> dict[str, list[str]]:
        return {
            name: list(inspect.signature(member).parameters)
            for name, member in vars(kind).items()
            if not name.startswith("_") and callable(member)
        }

    assert surface(Client) == surface(AsyncClient)


def test_lists_are_read_page_by_page_to_the_end() -> None:
    script = answers(page(trial(0), trial(1), next_cursor="a b"), page(trial(2)))
    found = list(connect(script).trials("s1", state="COMPLETED", after=7))
    assert [each.number for each in found] == [0, 1, 2]
    assert dict(script.requests[0].url.params) == {"state": "COMPLETED", "after": "7", "limit": "500"}
    assert script.requests[1].url.params["cursor"] == "a b"


def test_awaited_lists_are_read_page_by_page_to_the_end() -> None:
    async def numbers() -> list[int]:
        script = answers(page(trial(0), next_cursor="c"), page(trial(1)))
        async with AsyncClient("http://lehr.test", transport=httpx.MockTransport(script)) as client:
            return [each.number async for each in client.trials("s1")]

    assert asyncio.run(numbers()) == [0, 1]


def test_range_tests_are_listed_by_both_clients() -> None:
    pages = page(RANGE_TEST, next_cursor="c"), page({**RANGE_TEST, "range_test_id": "r2"})

    async def awaited() -> list[str]:
        async with AsyncClient("http://lehr.test", transport=httpx.MockTransport(answers(*pages))) as client:
            return [each.range_test_id async for each in client.range_tests()]

    script = answers(*pages)
    assert [each.range_test_id for each in connect(script).range_tests(state="COMPLETED")] == ["r1", "r2"]
    assert dict(script.requests[0].url.params) == {"state": "COMPLETED", "limit": "500"}
    assert asyncio.run(awaited()) == ["r1", "r2"]


def test_a_range_tests_picture_is_asked_for_and_read_as_text_by_both_clients() -> None:
    drawn = httpx.Response(200, content="<svg>µ</svg>".encode(), headers={"content-type": "image/svg+xml"})

    async def awaited() -> str:
        async with AsyncClient("http://lehr.test", transport=httpx.MockTransport(Script([drawn]))) as client:
            return await client.range_test_picture("r1")

    script = Script([drawn])
    assert connect(script).range_test_picture("r1") == asyncio.run(awaited()) == "<svg>µ</svg>"
    request = script.requests[0]
    assert (request.url.path, request.headers["accept"]) == ("/v1/range-tests/r1", "image/svg+xml")


def test_a_page_is_read_only_when_it_is_needed() -> None:
    script = answers(page(trial(0), next_cursor="c"), page(trial(1)))
    next(connect(script).trials("s1"))
    assert len(script.requests) == 1


@pytest.mark.parametrize("status", [502, 503, 504, 429])
def test_a_passing_failure_is_tried_again(status: int) -> None:
    script = answers(problem(status), httpx.ReadTimeout("slow"), study())
    assert connect(script).study("s1").study_id == "s1"
    assert len(script.requests) == 3


def test_the_retries_of_one_creation_carry_one_key_and_two_creations_carry_two() -> None:
    script = answers(httpx.ReadError("cut"), study(), study())
    client = connect(script)
    client.create_study(SPEC)
    client.create_study(SPEC)
    first, again, second = (request.headers["Idempotency-Key"] for request in script.requests)
    assert first == again != second


def test_retries_end() -> None:
    script = answers(httpx.ConnectError("refused"))
    with pytest.raises(UnreachableError, match=r"http://lehr\.test.*refused"):
        connect(script).study("s1")
    assert len(script.requests) == 4


def test_the_last_answer_is_what_is_raised_when_retries_end() -> None:
    with pytest.raises(ServerError) as caught:
        connect(answers(problem(503, "busy"))).study("s1")
    assert (caught.value.status, caught.value.problem["title"]) == (503, "busy")


def test_nothing_is_tried_again_when_the_caller_does_that() -> None:
    script = answers(problem(503), study())
    with pytest.raises(ServerError):
        connect(script, retry=None).study("s1")
    assert len(script.requests) == 1


def test_an_enqueue_that_may_have_arrived_is_not_sent_again() -> None:
    script = answers(httpx.ReadTimeout("slow"), trial(3))
    with pytest.raises(UnreachableError):
        connect(script).enqueue("s1", {"family": "constant"})
    assert len(script.requests) == 1


def test_an_enqueue_that_never_arrived_is_sent_again() -> None:
    script = answers(httpx.ConnectError("refused"), trial(3))
    assert connect(script).enqueue("s1", {"family": "constant"}).number == 3


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (problem(404), NotFoundError),
        (problem(409), ConflictError),
        (problem(409, type="urn:lehr:idempotency-conflict"), IdempotencyError),
        (problem(422, type="urn:lehr:idempotency-conflict"), IdempotencyError),
        (problem(422), InvalidValueError),
        (problem(400), InvalidValueError),
        (problem(500), ServerError),
        (problem(418), ServerError),
        (httpx.Response(500, text="<html>oops</html>"), ServerError),
        (httpx.Response(301, headers={"Location": "https://lehr.test"}), ServerError),
        (httpx.Response(200, text="<html>a proxy's page</html>"), ServerError),
        (httpx.Response(200, json={"hello": "world"}), ServerError),
    ],
)
def test_an_answer_becomes_the_error_that_fits_and_keeps_its_document(answer: httpx.Response, kind: type) -> None:
    with pytest.raises(kind) as caught:
        connect(answers(answer)).study("s1")
    error = caught.value
    assert isinstance(error, ServerError)
    assert error.status == answer.status_code
    assert error.problem["title"]


def test_a_conflict_on_a_lease_is_a_lost_lease() -> None:
    with pytest.raises(LostLeaseError) as caught:
        connect(answers(problem(409, trials={"t": "lost"}))).renew("l1", HELD)
    assert isinstance(caught.value, ServerError)
    assert caught.value.problem["trials"] == {"t": "lost"}


def test_refused_values_are_faults_with_bound_and_value() -> None:
    fault = {"field": "budget.trials", "message": "is 0", "bound": ">= 1", "value": 0, "remedy": "Give more."}
    with pytest.raises(InvalidValueError) as caught:
        connect(answers(problem(422, errors=[fault]))).create_study(SPEC)
    (found,) = caught.value.faults
    assert (found.field, found.bound, found.value, found.remedy) == ("budget.trials", ">= 1", 0, "Give more.")
    assert "budget.trials" in str(caught.value)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_cannot_carry_never_leave(number: float) -> None:
    script = answers(study())
    with pytest.raises(InvalidValueError, match="finite"):
        connect(script).create_study(SPEC | {"priority": number})
    assert script.requests == []


def test_a_spec_and_its_document_are_sent_alike() -> None:
    script = answers(study())
    client = connect(script)
    spec = StudySpec.model_validate_json(json.dumps(SPEC))
    client.create_study(spec)
    sent = json.loads(script.requests[0].content)
    assert StudySpec.model_validate_json(json.dumps(sent)) == spec


def test_a_range_test_request_and_its_document_are_sent_alike() -> None:
    script = answers(RANGE_TEST, RANGE_TEST)
    document = {"task": {"name": "digits"}, "seeds": 2}
    with connect(script) as client:
        client.create_range_test(RangeTestRequest.model_validate(document))
        client.create_range_test(document)
    sent, written = (json.loads(request.content) for request in script.requests)
    assert RangeTestRequest.model_validate(sent) == RangeTestRequest.model_validate(written)


def test_nothing_to_do_is_none() -> None:
    script = answers(httpx.Response(204))
    assert connect(script).claim(CLAIM) is None
    assert script.requests[0].headers["Idempotency-Key"]


def test_a_long_poll_is_awaited_longer_than_other_answers() -> None:
    script = answers(httpx.Response(204))
    connect(script).claim(CLAIM)
    assert script.requests[0].extensions["timeout"] == {"connect": 30.0, "read": 55.0, "write": 30.0, "pool": 30.0}


def test_a_diverged_finish_is_sent_with_null() -> None:
    script = answers({"expires_at": NOW, "trials": {"t": "done"}})
    batch = FinishBatch(trials=[TrialFinish(trial="t", attempt=1, state="DIVERGED")])
    connect(script).finish("l1", batch)
    assert json.loads(script.requests[0].content)["trials"][0]["value"] is None


def test_an_id_cannot_reach_past_its_place() -> None:
    script = answers(study())
    connect(script).study("a/../b?c#d")
    assert script.requests[0].url.raw_path == b"/v1/studies/a%2F..%2Fb%3Fc%23d"


def test_a_server_may_live_below_a_path() -> None:
    script = answers(study())
    Client("https://lehr.test/team/lehr/", transport=httpx.MockTransport(script)).study("s1")
    assert str(script.requests[0].url) == "https://lehr.test/team/lehr/v1/studies/s1"


@pytest.mark.parametrize("url", ["", "lehr.test", "ftp://lehr.test", "http://", "http://[::1", "8765"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidValueError, match="URL"):
        Client(url)


@pytest.mark.parametrize(
    ("url", "expected"),
    [("http://127.0.0.1:1", False), ("http://localhost:1", False), ("http://[::1]:1", False), ("http://h.test", True)],
)
def test_proxies_never_stand_between_this_machine_and_itself(url: str, expected: bool) -> None:
    assert client_options(url, 1.0)["trust_env"] is expected


def test_waiting_tells_each_change_once_and_returns_the_end() -> None:
    same = study(revision=1)
    script = answers(same, same, study(revision=2), study(revision=3, state="COMPLETED"))
    seen: list[int] = []
    last = connect(script).wait("s1", on_change=lambda each: seen.append(each.revision), poll_seconds=0)
    assert (last.state, seen) == ("COMPLETED", [1, 2, 3])


def test_waiting_in_vain_raises_with_what_was_seen_last() -> None:
    with pytest.raises(WaitTimeoutError, match="3 of 10") as caught:
        connect(answers(study())).wait("s1", timeout=0.01, poll_seconds=0.002)
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.study.state == "RUNNING"


def test_awaiting_the_end_is_the_same() -> None:
    async def wait() -> str:
        script = answers(study(), study(revision=9, state="FAILED"))
        async with AsyncClient("http://lehr.test", transport=httpx.MockTransport(script)) as client:
            return (await client.wait("s1", poll_seconds=0)).state

    assert asyncio.run(wait()) == "FAILED"


class Echo(BaseHTTPRequestHandler):
    """Answers each study with its own id, so that mixed-up answers show."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = json.dumps(study(study_id=self.path.rsplit("/", 1)[1])).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Nothing: the test's output stays clean."""


def test_one_client_serves_many_threads_over_real_sockets() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    wrong: list[str] = []
    try:
        with Client(f"http://127.0.0.1:{server.server_port}") as client:

            def ask(name: str) -> None:
                wrong.extend(name for _ in range(20) if client.study(name).study_id != name)

            threads = [threading.Thread(target=ask, args=(f"s{index}",)) for index in range(8)]
            for each in threads:
                each.start()
            for each in threads:
                each.join()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert wrong == []
