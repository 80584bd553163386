"""`lehr front`."""

from __future__ import annotations

import json

from tests.unit.cli.conftest import Stub, lehr
from tests.unit.client.stub import study


def test_the_front_is_a_table_or_a_document(stub: Stub) -> None:
    item = {"trial": 4, "schedule": {"family": "constant", "start_lr": 0.1, "end_lr": 0.1}, "value": 0.93, "steps": 60}
    front = {"study_id": "s1", "state": "RUNNING", "metric": "val_accuracy", "direction": "maximize", "target": 0.9}
    stub.on("GET /v1/studies/s1", study())
    stub.on("GET /v1/studies/s1/front", {**front, "items": [item], "reached": 2, "examined": 9})
    shown = lehr("front", "s1", "--target", "0.9", "--server", stub.url)
    assert "constant" in shown.stdout
    assert "60" in shown.stdout
    assert "2 of 9 trials reached val_accuracy 0.9" in shown.stderr
    document = json.loads(lehr("front", "s1", "--target", "0.9", "--json", "--server", stub.url).stdout)
    assert document["items"][0]["trial"] == 4


def test_without_a_target_the_servers_is_taken_and_shown(stub: Stub) -> None:
    front = {"study_id": "s1", "state": "RUNNING", "metric": "val_accuracy", "direction": "maximize", "target": 0.75}
    stub.on("GET /v1/studies/s1", study())
    stub.on("GET /v1/studies/s1/front", {**front, "items": [], "reached": 0, "examined": 9})
    shown = lehr("front", "s1", "--server", stub.url)
    assert shown.exit_code == 0
    assert "0 of 9 trials reached val_accuracy 0.75" in shown.stderr
