"""Looks at data that lies with the workers, asked for over the server, on both databases."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from lehr.client import Client
from lehr.errors import ConflictError, InvalidValueError, NotFoundError
from tests.contract.test_data_of_studies import DATA
from tests.support.ledgers import FakeClock, FakeWorker
from tests.support.live import listening

SCHEMA = {
    "type": "object",
    "properties": {"file": {"type": "string", "default": "people.csv"}, "rows": {"type": "integer", "maximum": 9}},
    "additionalProperties": False,
}
TABLE = {"name": "my:table", "params_schema": SCHEMA, "metrics": ["val_loss"], "looks": True}
OTHER = {"name": "my:other", "metrics": ["val_loss"]}


@pytest.fixture
def worker(client: TestClient) -> FakeWorker:
    """Offers one task whose data can be looked at, and one whose cannot."""
    worker = FakeWorker(client, tasks=[TABLE, OTHER])
    assert worker.claim() is None
    return worker


def ask(client: TestClient, task: str = "my:table", **params: Any) -> Any:
    return client.post(f"/v1/tasks/{task}/look", json={"params": params, "wait_seconds": 0})


def claim(client: TestClient, worker: str = "w-1", tasks: tuple[str, ...] = ("my:table",)) -> Any:
    answer = client.post("/v1/looks/claim", json={"worker": worker, "tasks": list(tasks), "wait_seconds": 0})
    assert answer.status_code in (200, 204), answer.text
    return answer.json() if answer.status_code == 200 else None


def answer(client: TestClient, look: str, worker: str = "w-1", **answered: Any) -> Any:
    return client.post(f"/v1/looks/{look}/answer", json={"worker": worker, **(answered or {"data": DATA})})


def test_a_worker_takes_a_look_and_what_it_saw_is_shown(client: TestClient, worker: FakeWorker) -> None:
    asked = ask(client)
    assert asked.status_code == 202, asked.text
    place = asked.headers["Location"]
    assert (asked.json()["state"], asked.json()["params"]) == ("WAITING", {"file": "people.csv"})
    order = claim(client)
    assert order == {"look_id": asked.json()["look_id"], "task": "my:table", "params": {"file": "people.csv"}}
    assert client.get(place).json()["state"] == "RUNNING"
    assert answer(client, order["look_id"]).status_code == 200
    found = client.get(place).json()
    assert (found["state"], found["data"], found["error"]) == ("COMPLETED", DATA, None)
    assert answer(client, order["look_id"]).json() == found, "a repeated answer changes nothing"
    assert claim(client) is None


def test_why_data_cannot_be_read_is_told(client: TestClient, worker: FakeWorker) -> None:
    place = ask(client).headers["Location"]
    answer(client, claim(client)["look_id"], error="no such file")
    found = client.get(place).json()
    assert (found["state"], found["data"], found["error"]) == ("FAILED", None, "no such file")


def test_each_look_goes_to_one_worker_that_has_the_task_the_oldest_first(
    client: TestClient, worker: FakeWorker, clock: FakeClock
) -> None:
    looks = []
    for _ in range(2):
        looks.append(ask(client).json()["look_id"])
        clock.advance(1)
    assert claim(client, tasks=("my:other",)) is None
    assert claim(client)["look_id"] == looks[0]
    assert claim(client)["look_id"] == looks[0], "a claim whose answer was lost is repeated"
    assert claim(client, "w-2")["look_id"] == looks[1]
    assert claim(client, "w-3") is None
    refused = answer(client, looks[0], "w-2")
    assert refused.status_code == 409
    assert answer(client, looks[0]).status_code == 200


def test_a_look_that_nobody_answers_ends_and_is_forgotten(
    client: TestClient, worker: FakeWorker, clock: FakeClock
) -> None:
    waiting, taken = (ask(client).headers["Location"] for _ in range(2))
    look = claim(client)["look_id"]
    taken, waiting = (taken, waiting) if taken.endswith(look) else (waiting, taken)
    clock.advance(121)
    assert claim(client, "w-2") is None
    assert answer(client, look).status_code == 409
    assert "no worker claimed it within 120 seconds" in client.get(waiting).json()["error"]
    assert "no worker answered within 120 seconds" in client.get(taken).json()["error"]
    clock.advance(480)
    assert client.get(taken).status_code == 404


def test_no_more_than_a_hundred_looks_are_kept(client: TestClient, worker: FakeWorker, clock: FakeClock) -> None:
    for _ in range(100):
        assert ask(client).status_code == 202
    refused = ask(client)
    assert refused.status_code == 429
    (fault,) = refused.json()["errors"]
    assert (fault["bound"], fault["value"]) == ("at most 100 in 600 seconds", 100)
    clock.advance(601)
    worker.claim()
    assert ask(client).status_code == 202


def test_what_cannot_be_looked_at_is_refused(client: TestClient, worker: FakeWorker, clock: FakeClock) -> None:
    assert ask(client, "no:such").status_code == 404
    without = ask(client, "my:other")
    assert without.status_code == 422
    assert without.json()["errors"][0]["message"] == "this task has no data to look at"
    offline = ask(client, "tabular")
    assert offline.status_code == 409
    assert "no live worker offers the task tabular" in offline.json()["detail"]
    clock.advance(1000)
    gone = ask(client)
    assert gone.status_code == 404
    assert "no live worker offers it" in gone.json()["detail"]


@pytest.mark.parametrize(
    ("params", "field"),
    [({"rows": 10}, "params.rows"), ({"flie": "x"}, "params"), ({"file": 1}, "params.file")],
)
def test_parameters_are_checked_before_a_worker_is_asked(
    client: TestClient, worker: FakeWorker, params: dict[str, Any], field: str
) -> None:
    refused = ask(client, **params)
    assert refused.status_code == 422
    assert [fault["field"] for fault in refused.json()["errors"]] == [field]
    assert claim(client) is None


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/tasks/my:table/look", {"parameters": {}}),
        ("/v1/tasks/my:table/look", {"wait_seconds": 31}),
        ("/v1/tasks/my:table/look", {"params": {"file": "x" * 70_000}}),
        ("/v1/tasks/MY/look", {}),
        ("/v1/looks/claim", {"worker": "w", "tasks": []}),
        ("/v1/looks/claim", {"worker": "w", "tasks": ["a"], "wait_seconds": 61}),
        ("/v1/looks/x/answer", {"worker": "w"}),
        ("/v1/looks/x/answer", {"worker": "w", "data": DATA, "error": "both"}),
        ("/v1/looks/x/answer", {"worker": "w", "error": "x" * 4001}),
    ],
)
def test_bad_requests_are_refused(client: TestClient, worker: FakeWorker, path: str, body: dict[str, Any]) -> None:
    refused = client.post(path, json=body)
    assert refused.status_code == 422, refused.text
    assert refused.json()["errors"][0]["remedy"]


LONG: dict[str, Any] = {
    "task": {"name": "digits", "params": {"model": "mlp", "epochs": 1000}},
    "objective": {"metric": "val_accuracy", "direction": "maximize"},
    "budget": {"trials": 1},
}
ROWS = "".join(f"{row},{row % 7 or ''},{'hi' if row % 2 else 'lo'}\n" for row in range(40))


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "datasets"
    for name in ("cat", "dog"):
        (folder / "pets" / name).mkdir(parents=True)
        for place in range(3):
            Image.fromarray(np.full((8, 8, 3), place, np.uint8)).save(folder / "pets" / name / f"{place}.png")
    (folder / "people.csv").write_text(f"id,age,y\n{ROWS}")
    return folder


@pytest.fixture
def server(database_url: str, data_dir: Path) -> Iterator[str]:
    """A server with a worker that has the data."""
    with listening(database_url) as url:
        command = [sys.executable, "-m", "workers", "--server", url, "--device", "cpu", "--data-dir", str(data_dir)]
        command += ["--tasks", "tabular,images,digits", "--checkpoints", str(data_dir.parent / "checkpoints")]
        worker = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 90
            while not httpx.get(f"{url}/v1/workers").json()["items"]:
                assert worker.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.2)
            yield url
        finally:
            worker.kill()
            worker.wait()


def of_this_machine(*arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "lehr.cli", "data", "look", *arguments, "--json"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {**json.loads(shown), "source": ""}


@pytest.mark.timeout(300)
def test_a_worker_sees_what_a_look_on_its_machine_sees(server: str, data_dir: Path) -> None:
    with Client(server) as client:
        table = client.look("tabular", {"file": "people.csv", "drop": ["id"]}, wait_seconds=30)
        assert table.state == "COMPLETED", table.error
        assert table.data is not None
        assert table.data.model_dump(mode="json") | {"source": ""} == {
            **of_this_machine(str(data_dir / "people.csv"), "--drop", "id"),
            "left_out": ["column 'id': the parameter `drop` names it"],
        }
        pictures = client.look("images", {"data": "folder", "folder": "pets"}, wait_seconds=30)
        assert pictures.data is not None, pictures.error
        assert pictures.data.model_dump(mode="json") | {"source": ""} == of_this_machine(str(data_dir / "pets"))
        missing = client.look("tabular", {"file": "none.csv"}, wait_seconds=30)
        assert (missing.state, missing.data) == ("FAILED", None)
        assert "'none.csv' is not on this worker's machine" in str(missing.error)
        assert "Traceback" not in str(missing.error)
        assert client.find_look(missing.look_id) == missing
        study = client.create_study({**LONG, "name": "long"})
        while not client.study(study.study_id).progress.trials["RUNNING"]:
            time.sleep(0.2)
        busy = client.look("tabular", {"file": "people.csv"}, wait_seconds=30)
        assert busy.state == "COMPLETED", "a worker that trains looks as well"
        assert client.cancel(study.study_id).state == "CANCELLED"
        digits = client.look("digits", wait_seconds=30)
        assert digits.data is not None, digits.error
        assert (digits.data.rows, digits.data.classes_count) == (1797, 10)
        with pytest.raises(ConflictError, match="no live worker offers the task text"):
            client.look("text")
        with pytest.raises(NotFoundError):
            client.look("no:such")
        with pytest.raises(InvalidValueError, match=r"params\.file"):
            client.look("tabular", {"file": "../secret.csv"})
