"""A server in this process over a test's database, on a clock that tests set."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection
from starlette.testclient import TestClient

from service.app import create_app
from service.settings import Settings

LEASE_SECONDS = 60.0
TEST_HOST = "testserver"
"""Starlette's TestClient calls the server by this name."""


class FakeClock:
    """Stands still until it is told to move."""

    def __init__(self) -> None:
        self.time = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self, connection: Connection) -> datetime:
        return self.time

    def advance(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


def settings_for(url: str, **changes: Any) -> Settings:
    usual = {"lease_seconds": LEASE_SECONDS, "beat_seconds": 15.0, "log_level": "error", "allowed_hosts": TEST_HOST}
    return Settings.model_validate({"database": url, **usual, **changes})


@contextmanager
def serving(url: str, clock: FakeClock | None = None, **changes: Any) -> Iterator[TestClient]:
    with TestClient(create_app(settings_for(url, **changes), clock), raise_server_exceptions=False) as client:
        yield client


def study_spec(**changes: Any) -> dict[str, Any]:
    """A small study; `changes` replace whole top-level fields, None included."""
    spec: dict[str, Any] = {
        "name": "small",
        "task": {"name": "digits", "params": {"model": "mlp"}},
        "space": {
            "families": ["constant", "cosine"],
            "start_lr": {"low": 1e-3, "high": 1.0},
            "end_lr": {"low": 1e-5, "high": 1e-2},
        },
        "objective": {"metric": "val_accuracy", "direction": "maximize"},
        "sampler": {"name": "random", "seed": 0},
        "budget": {"trials": 4, "parallel": 4},
        "confirm": None,
    }
    return {**spec, **changes}


UNKNOWN_TASK: dict[str, Any] = {"name": "any:task", "params": {"model": "mlp"}}
"""A task that the server knows nothing of, so that any parameter and metric will do; every FakeWorker offers it."""

_keys = itertools.count()


class FakeWorker:
    """Speaks the worker protocol by hand."""

    def __init__(self, client: TestClient, name: str = "w-1", tasks: list[Any] | None = None) -> None:
        self.client = client
        self.name = name
        self.tasks = tasks or ["digits", UNKNOWN_TASK["name"]]

    def claim(
        self, max_trials: int = 1, key: str | None = None, wait_seconds: float = 0, *, study: str | None = None
    ) -> dict[str, Any] | None:
        answer = self.client.post(
            "/v1/leases",
            json={
                "worker": {"id": self.name, "name": self.name, "device": "cpu", "tasks": self.tasks, "labels": {}},
                "max_trials": max_trials,
                "wait_seconds": wait_seconds,
                "study": study,
            },
            headers={"Idempotency-Key": key or f"key-{next(_keys)}"},
        )
        assert answer.status_code in (200, 204), answer.text
        return answer.json() if answer.status_code == 200 else None

    def renew(self, lease: dict[str, Any], trials: list[dict[str, Any]] | None = None) -> Any:
        return self._call(lease, "renew", [_told(trial) for trial in trials or lease["trials"]])

    def release(self, lease: dict[str, Any], trials: list[dict[str, Any]] | None = None) -> Any:
        return self._call(lease, "release", [named(trial) for trial in trials or lease["trials"]])

    def report(self, lease: dict[str, Any], step: int, value: float, **changes: Any) -> Any:
        report = {"step": step, "epoch": 1.0, "lr": 0.1, "train_loss": 0.5, "metrics": {"val_accuracy": value}}
        entries = [{**named(trial), "horizon_steps": 100, "reports": [report], **changes} for trial in lease["trials"]]
        return self._call(lease, "report", entries)

    def finish(self, lease: dict[str, Any], state: str = "COMPLETED", value: float | None = 0.5, **changes: Any) -> Any:
        result = {"state": state, "value": value if state in ("COMPLETED", "PRUNED") else None, "error": None}
        return self._call(lease, "finish", [{**named(trial), **result, **changes} for trial in lease["trials"]])

    def _call(self, lease: dict[str, Any], verb: str, entries: list[dict[str, Any]]) -> Any:
        return self.client.post(f"/v1/leases/{lease['lease_id']}/{verb}", json={"trials": entries})


def named(trial: dict[str, Any]) -> dict[str, Any]:
    return {"trial": trial["trial"], "attempt": trial["attempt"]}


def _told(trial: dict[str, Any]) -> dict[str, Any]:
    """What a beat says of a trial: how it goes, where the test gives it."""
    return named(trial) | ({"progress": trial["progress"]} if "progress" in trial else {})
