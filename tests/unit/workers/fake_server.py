"""A small fake of the lehr server over real HTTP: trials, leases, fencing, and faults on demand."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

COSINE = {"family": "cosine", "start_lr": 0.1, "end_lr": 0.001}
TASK = {"name": "digits", "params": {"model": "mlp", "epochs": 3, "batch_size": 64}}
OBJECTIVE = {"metric": "val_accuracy", "direction": "maximize"}


@dataclass
class FakeTrial:
    trial: str
    schedule: dict[str, Any] = field(default_factory=lambda: dict(COSINE))
    seed: int = 0
    fold: dict[str, int] | None = None
    purpose: str = "search"
    attempt: int = 0
    state: str = "WAITING"
    lease_id: str | None = None
    expires: float = 0.0
    directive: str = "continue"
    reports: dict[int, dict[str, Any]] = field(default_factory=dict)
    report_calls: int = 0
    repeated_steps: int = 0
    checkpoint: str | None = None
    value: float | None = None
    error: str | None = None
    execution: dict[str, Any] | None = None
    finishes: int = 0
    releases: int = 0
    beats: list[float] = field(default_factory=list)
    progress: list[Any] = field(default_factory=list)


class FakeServer:
    """The server, with three kinds of faults.

    `lost_replies[call]`: how many calls are processed but get no answer. `refusals[call]`: statuses with which the next
    calls are refused. `down`: connections close without an answer.
    """

    def __init__(self, *trials: FakeTrial, task: dict[str, Any] | None = None) -> None:
        self.trials = {trial.trial: trial for trial in trials}
        self.task = task or TASK
        self.objective = dict(OBJECTIVE)
        self.lease_seconds = 60.0
        self.beat_seconds = 15.0
        self.calls: Counter[str] = Counter()
        self.order: list[str] = []
        self.claims: list[tuple[str, dict[str, Any]]] = []
        self.told_data: list[dict[str, Any]] = []
        self.lost_replies: Counter[str] = Counter()
        self.refusals: dict[str, deque[int]] = {}
        self.down = False
        self.lock = threading.RLock()
        self._leases: dict[str, dict[str, Any]] = {}
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.down = True
        self._http.shutdown()
        self._http.server_close()

    def wait_until(self, condition: Any, seconds: float = 30.0) -> None:
        until = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < until, f"waited {seconds} s in vain; calls {self.calls}, trials {self.trials}"
            time.sleep(0.01)

    def answer(self, call: str, lease_id: str, body: dict[str, Any], key: str | None) -> tuple[int, dict[str, Any]]:
        if call == "leases":
            return self._claim(body, key)
        with self.lock:
            answers = {}
            for entry in body["trials"]:
                trial = self.trials[entry["trial"]]
                ours = trial.lease_id == lease_id and trial.attempt == entry["attempt"]
                answers[trial.trial] = (
                    getattr(self, f"_{call}")(trial, entry) if ours else self._stale(trial, entry, call)
                )
            if all(answer == "lost" for answer in answers.values()):
                return 409, {"type": "lost-lease", "title": "lease lost", "status": 409}
            return 200, {"expires_at": self._expiry(), "trials": answers}

    def _claim(self, body: dict[str, Any], key: str | None) -> tuple[int, dict[str, Any]]:
        assert key
        with self.lock:
            self.claims.append((key, body))
            if key in self._leases:
                return 200, self._leases[key]
        until = time.monotonic() + body["wait_seconds"]
        while True:
            with self.lock:
                waiting = [t for t in self.trials.values() if t.state == "WAITING" or self._expired(t)]
                if waiting:
                    return 200, self._lease(waiting[: body["max_trials"]], key)
            if time.monotonic() > until or self.down:
                return 204, {}
            time.sleep(0.02)

    def _expired(self, trial: FakeTrial) -> bool:
        return trial.state == "RUNNING" and time.monotonic() > trial.expires

    def _lease(self, trials: list[FakeTrial], key: str) -> dict[str, Any]:
        lease_id = f"lease-{len(self._leases)}"
        for trial in trials:
            trial.state, trial.lease_id, trial.attempt = "RUNNING", lease_id, trial.attempt + 1
            trial.expires = time.monotonic() + self.lease_seconds
        self._leases[key] = {
            "lease_id": lease_id,
            "expires_at": self._expiry(),
            "beat_seconds": self.beat_seconds,
            "study": {"study_id": "study-1", "task": self.task, "objective": self.objective},
            "trials": [
                {
                    "trial": trial.trial,
                    "number": number,
                    "attempt": trial.attempt,
                    "purpose": trial.purpose,
                    "seed": trial.seed,
                    "schedule": trial.schedule,
                    "horizon_fraction": 1.0,
                    "checkpoint": trial.checkpoint,
                    "fold": trial.fold,
                }
                for number, trial in enumerate(trials)
            ],
        }
        return self._leases[key]

    def _renew(self, trial: FakeTrial, entry: dict[str, Any]) -> str:
        trial.beats.append(time.monotonic())
        trial.progress.append(entry["progress"])
        trial.expires = time.monotonic() + self.lease_seconds
        return trial.directive

    def _report(self, trial: FakeTrial, entry: dict[str, Any]) -> str:
        trial.report_calls += 1
        if entry.get("data") is not None:
            self.told_data.append(entry["data"])
        trial.checkpoint = entry["checkpoint"] or trial.checkpoint
        for report in entry["reports"]:
            trial.repeated_steps += report["step"] in trial.reports
            trial.reports[report["step"]] = report
        return trial.directive

    def _finish(self, trial: FakeTrial, entry: dict[str, Any]) -> str:
        trial.state, trial.value, trial.error = entry["state"], entry["value"], entry["error"]
        trial.execution = entry["execution"]
        trial.finishes += 1
        trial.progress.append(entry["progress"])
        return "done"

    def _release(self, trial: FakeTrial, _entry: dict[str, Any]) -> str:
        trial.state, trial.lease_id = "WAITING", None
        trial.releases += 1
        return "done"

    def _stale(self, _trial: FakeTrial, _entry: dict[str, Any], _call: str) -> str:
        return "lost"

    def _expiry(self) -> str:
        return datetime.now(UTC).isoformat()


def _handler(server: FakeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            parts = self.path.strip("/").split("/")
            call, lease_id = parts[-1], parts[-2]
            with server.lock:
                server.calls[call] += 1
                server.order.append(call)
                refused = server.refusals.get(call)
                status = refused.popleft() if refused else 0
            if server.down:
                self.close_connection = True
                return
            if status:
                self._reply(status, {"title": "refused", "status": status, "detail": "by the test"})
                return
            status, document = server.answer(call, lease_id, body, self.headers.get("Idempotency-Key"))
            with server.lock:
                lost = server.lost_replies[call] > 0
                server.lost_replies[call] -= lost
            if lost:
                self.close_connection = True
                return
            self._reply(status, document)

        def _reply(self, status: int, document: dict[str, Any]) -> None:
            content = b"" if status == 204 else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json" if status < 400 else "application/problem+json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Silent."""

    return Handler
