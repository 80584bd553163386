"""`lehr transfer`."""

from __future__ import annotations

import json

from tests.unit.cli.conftest import Stub, lehr
from tests.unit.client.stub import study

SCHEDULE = {"family": "cosine", "start_lr": 0.2, "end_lr": 0.002, "warmup_fraction": 0.0}
MOVED = {
    "study_id": "s1", "trial": 2, "origin": SCHEDULE, "schedule": SCHEDULE, "horizon_steps": 28, "factor": 8.0,
    "rescalings": [{"dimension": "batch_size", "origin": 64, "target": 512, "rule": "linear", "factor": 8.0,
                    "formula": "lr' = lr B'/B", "source": "Goyal", "rests_on": "SGD"}],
    "groups": {"hidden": 1.0}, "cautions": ["mind the gap"], "code": {},
}  # fmt: skip


def test_a_transfer_shows_rule_source_and_schedule(stub: Stub) -> None:
    stub.on("GET /v1/studies/s1", study())
    stub.on("POST /v1/studies/s1/transfer", MOVED)
    options = ("--batch-size", "512", "--rule", "batch=linear", "--from", "batch=64", "--from", "steps=220")
    result = lehr("transfer", "s1", *options, "--server", stub.url)
    assert result.exit_code == 0, result.stderr
    assert "28 steps" in result.stdout
    assert "linear" in result.stdout
    assert json.loads(result.stdout.splitlines()[-1]) == SCHEDULE
    assert "mind the gap" in result.stderr
    (body,) = stub.bodies["POST /v1/studies/s1/transfer"]
    assert body["batch_rule"] == "linear"
    assert body["origin"] == {"batch_size": 64, "horizon_steps": 220}
    assert json.loads(lehr("transfer", "s1", "--width", "8", "--json", "--server", stub.url).stdout)["factor"] == 8


def test_what_is_not_understood_is_refused_before_anything_is_sent(stub: Stub) -> None:
    for wrong in (("--rule", "speed=fast"), ("--from", "batch=many"), ("--from", "batch")):
        result = lehr("transfer", "s1", *wrong, "--server", stub.url)
        assert result.exit_code == 2, wrong
    assert stub.bodies == {}
