"""A stub server with scripted responses, and documents as the real server writes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import httpx

NOW = "2026-01-02T03:04:05Z"
Answer = httpx.Response | Exception


class Script:
    """Answers each request with the next of `answers`, the last one for ever; keeps the requests."""

    def __init__(self, answers: Iterable[Answer | Callable[[httpx.Request], httpx.Response]]) -> None:
        self._answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        answer = self._answers[min(len(self.requests), len(self._answers) - 1)]
        self.requests.append(request)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            # A response is read once; a script may give the same one again.
            return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)
        return answer(request)


def study(**changes: Any) -> dict[str, Any]:
    progress = {"trials": {"COMPLETED": 3}, "planned": 10, "finished": 3, "fraction": 0.3, "eta_seconds": 7.0}
    document: dict[str, Any] = {
        "study_id": "s1", "name": "mine", "state": "RUNNING", "spec": {"objective": {"metric": "val_accuracy"}},
        "warnings": [], "progress": progress, "best": None, "horizon_steps": 220, "revision": 4,
        "created_at": NOW, "started_at": NOW, "finished_at": None,
    }  # fmt: skip
    return document | changes


def trial(number: int, **changes: Any) -> dict[str, Any]:
    document: dict[str, Any] = {
        "study_id": "s1", "trial": f"s1-{number}", "number": number, "purpose": "search", "origin": "sampler",
        "state": "COMPLETED", "schedule": {"family": "constant", "start_lr": 0.1, "end_lr": 0.1}, "seed": 0,
        "horizon_fraction": 1.0, "value": 0.9, "attempt": 1, "losses": 0, "worker": "w", "step": 219,
        "horizon_steps": 220, "diagnosis": None, "error": None, "revision": number + 1, "queued_at": NOW,
        "started_at": NOW, "finished_at": NOW,
    }  # fmt: skip
    return document | changes


def page(*items: dict[str, Any], next_cursor: str | None = None) -> dict[str, Any]:
    return {"items": list(items), "next_cursor": next_cursor}


def problem(status: int, title: str = "refused", **members: Any) -> httpx.Response:
    document = {"type": "about:blank", "title": title, "status": status, "detail": "no", "errors": [], **members}
    return httpx.Response(status, json=document, headers={"Content-Type": "application/problem+json"})
