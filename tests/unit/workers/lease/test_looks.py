"""A worker looks at data beside its training, in processes that it can always end."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import pytest

from lehr.errors import ConflictError, UnreachableError
from lehr.wire.looks import Look, LookAnswer, LookClaim, LookOrder
from workers.lease import looks
from workers.lease.drain import Drain
from workers.lease.looks import Looks


class Server:
    """Gives out the orders one after the other, and keeps what it is answered."""

    def __init__(self, *orders: LookOrder | Exception) -> None:
        self.orders = list(orders)
        self.answers: SimpleQueue[LookAnswer] = SimpleQueue()

    def claim_look(self, claim: LookClaim) -> LookOrder | None:
        order = self.orders.pop(0) if self.orders else None
        if isinstance(order, Exception):
            raise order
        return order

    def answer_look(self, look_id: str, answer: LookAnswer) -> Look:
        self.answers.put(answer)
        raise ConflictError("too late")


def order(task: str = "tabular", **params: Any) -> LookOrder:
    return LookOrder(look_id="l", task=task, params=params)


def working(server: Server, data_dir: Path, drain: Drain | None = None) -> Looks:
    return Looks(server, "w", ["tabular"], data_dir, drain or Drain())


def test_looks_go_on_after_failures_of_the_server_and_answers_that_come_too_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looks, "RETRY_SECONDS", 0.1)
    (tmp_path / "a.csv").write_text("x,y\n" + "".join(f"{row},{row % 3 * 0.5}\n" for row in range(40)))
    server = Server(UnreachableError(), order(file="a.csv"), order(file="b.csv"), order("digits"))
    with working(server, tmp_path):
        first, second, third = (server.answers.get(timeout=60) for _ in range(3))
    assert first.data is not None
    assert (first.data.rows, first.data.target) == (40, "y")
    assert "not on this worker's machine" in str(second.error)
    assert third.data is not None
    assert third.data.rows == 1797


def test_a_look_that_takes_too_long_is_ended_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "LOOK_SECONDS", 0.5)
    monkeypatch.setattr(looks, "interpreter", lambda *_: [sys.executable, "-c", "import time; time.sleep(60)"])
    server = Server(order())
    with working(server, tmp_path):
        told = server.answers.get(timeout=20)
    assert "ended by signal 9; it may take 0.5 seconds" in str(told.error)


def test_a_drain_ends_a_look_at_once_without_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = tmp_path / "started"
    code = f"import pathlib, time; pathlib.Path({str(started)!r}).touch(); time.sleep(60)"
    monkeypatch.setattr(looks, "interpreter", lambda *_: [sys.executable, "-c", code])
    server, drain = Server(order()), Drain()
    with working(server, tmp_path, drain) as running:
        while not started.exists():
            time.sleep(0.05)
        drain.request()
        began = time.monotonic()
        running._thread.join(10)
    assert time.monotonic() - began < 2
    with pytest.raises(Empty):
        server.answers.get_nowait()


def test_what_a_task_prints_is_no_part_of_the_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = json.dumps({"source": "s", "rows": 1})
    monkeypatch.setattr(looks, "interpreter", lambda *_: [sys.executable, "-c", f"print({'no json' + seen!r})"])
    server = Server(order())
    with working(server, tmp_path):
        told = server.answers.get(timeout=20)
    assert told.data is None
    assert "Invalid JSON" in str(told.error)


def test_a_worker_whose_tasks_tell_nothing_of_data_asks_for_no_looks(tmp_path: Path) -> None:
    with Looks(Server(), "w", [], tmp_path, Drain()) as running:
        assert not running._thread.is_alive()
