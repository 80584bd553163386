"""When an outbox sends its reports, tested with fake servers."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import Any, cast

from lehr.wire.leases import LeaseAnswer, LeasedTrial, Report, ReportBatch, TrialAttempt
from tests.unit.workers.fake_server import COSINE
from workers.lease.directives import Directives
from workers.lease.outbox import Outbox

HELD = TrialAttempt(trial="t", attempt=1)
TRIAL = LeasedTrial.model_validate(
    {"trial": "t", "number": 0, "attempt": 1, "purpose": "search", "seed": 0, "schedule": COSINE}
    | {"horizon_fraction": 1.0, "checkpoint": None}
)


class Server:
    """A server that takes `seconds` for each call. `received`: the steps reported by each call."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.received: list[list[int]] = []

    def report(self, _lease_id: str, batch: ReportBatch) -> LeaseAnswer:
        time.sleep(self._seconds)
        self.received.append([report.step for trial in batch.trials for report in trial.reports])
        return LeaseAnswer(expires_at=datetime.now(UTC), trials={"t": "continue"})


def test_reports_gather_for_longer_where_the_server_takes_long_and_wait_no_more_at_a_trials_end() -> None:
    server = Server(0.05)
    with Outbox(cast("Any", server), "lease", Directives([TRIAL]), threading.Event()) as outbox:
        outbox.open(HELD, 40)
        for step in range(40):
            outbox.put_all({"t": [Report(step=step, lr=0.1)]})
            time.sleep(0.05)
        begun = time.monotonic()
        assert outbox.flush("t")
        assert time.monotonic() - begun < 0.4
    # In 2 s or more: the first call comes after 0.1 s, the others are 0.5 s apart, not 0.1 s.
    assert len(server.received) <= 6
    assert [step for steps in server.received for step in steps] == list(range(40))
