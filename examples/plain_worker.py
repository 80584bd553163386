"""A complete worker without lehr: Python's standard library and the worker protocol (docs/reference/ledger.md)."""

import json
import sys
import time
import urllib.error
import urllib.request
import uuid
from typing import Any

SERVER = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8765"
TASKS = [{"name": "plain:parabola", "metrics": ["loss"]}]
ME = {"id": uuid.uuid4().hex, "name": "plain", "device": "cpu", "tasks": TASKS, "labels": {}}
STEPS = 100


def post(path: str, document: Any, key: str | None = None) -> Any:
    """The response's document, None if it is empty. Repeats the call until the server answers."""
    headers = {"Content-Type": "application/json", **({"Idempotency-Key": key} if key else {})}
    request = urllib.request.Request(SERVER + path, json.dumps(document).encode(), headers)
    while True:
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.loads(answer.read() or "null")
        except urllib.error.HTTPError as error:
            if error.code < 500:
                raise  # 409: the lease is lost; 422: the request is invalid, and the response says why
        except OSError:
            pass
        time.sleep(1)


def train(lease: Any, trial: Any) -> Any:
    """Gradient descent on (x - 3)²: the rate of each step is the schedule's, which the server computes."""
    steps = max(1, round(STEPS * trial["horizon_fraction"]))
    ask = {"schedule": trial["schedule"], "horizon_steps": steps, "max_points": steps}
    rates = post("/v1/schedules/preview", ask)["lr"]
    held, call = {"trial": trial["trial"], "attempt": trial["attempt"]}, f"/v1/leases/{lease['lease_id']}"
    x, beat = 0.0, time.monotonic()
    for step, rate in enumerate(rates):
        x -= rate * 2 * (x - 3)
        if step % 10 == 9 or time.monotonic() - beat > lease["beat_seconds"]:
            # A report renews the lease as a heartbeat does, and its response says whether to continue.
            report = {"step": step, "lr": rate, "metrics": {"loss": (x - 3) ** 2}}
            entry = {**held, "horizon_steps": steps, "reports": [report]}
            directive = post(f"{call}/report", {"trials": [entry]})["trials"][trial["trial"]]
            if directive == "prune":
                return post(f"{call}/finish", {"trials": [{**held, "state": "PRUNED"}]})
            if directive != "continue":
                return None
            beat = time.monotonic()
    return post(f"{call}/finish", {"trials": [{**held, "state": "COMPLETED", "value": (x - 3) ** 2}]})


while True:
    lease = post("/v1/leases", {"worker": ME, "wait_seconds": 25}, key=uuid.uuid4().hex)
    for trial in lease["trials"] if lease else []:
        train(lease, trial)
