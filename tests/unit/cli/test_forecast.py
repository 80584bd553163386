"""`lehr forecast`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.unit.cli.conftest import Stub, lehr
from tests.unit.client.stub import study, trial

COSINE = {"family": "cosine", "start_lr": 0.1, "end_lr": 0.001}
KNOWN = {"name": "val_loss", "value": 0.42, "interval90": [0.4, 0.44], "curves": 9, "error": 0.01, "doubt": None}
DOUBT = {"code": "few_curves", "message": "3 trainings have completed; a forecast needs 5"}
FORECAST: dict[str, Any] = {
    "study_id": "s1", "schedule": COSINE, "horizon_steps": 220, "knows_enough": True, "losses": [KNOWN],
    "horizons": [{"horizon_steps": steps, "value": 0.4, "interval90": [0.3, 0.5]} for steps in (110, 220, 440)],
    "suggestion": {"schedule": COSINE, "value": 0.41, "interval90": [0.39, 0.43]},
}  # fmt: skip


def test_what_is_known_is_shown_with_its_interval_for_longer_trainings_too(stub: Stub, tmp_path: Path) -> None:
    stub.on("GET /v1/studies/s1", study())
    stub.on("POST /v1/studies/s1/forecast", FORECAST)
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(COSINE))
    shown = lehr("forecast", "s1", "--schedule", str(file), "--horizon", "220", "--server", stub.url)
    for text in ("val_loss", "[0.4, 0.44]", "9 trainings", "440"):
        assert text in shown.stdout
    assert json.loads(shown.stdout.splitlines()[-1])["family"] == "cosine"
    assert json.loads(lehr("forecast", "s1", "--json", "--server", stub.url).stdout)["losses"] == [KNOWN]


def test_the_suggested_schedule_is_trained_where_that_is_asked_for(stub: Stub) -> None:
    stub.on("GET /v1/studies/s1", study())
    stub.on("POST /v1/studies/s1/forecast", FORECAST, {**FORECAST, "suggestion": None})
    stub.on("POST /v1/studies/s1/trials", trial(9, origin="law", state="WAITING"))
    assert "suggested schedule as trial 9" in lehr("forecast", "s1", "--enqueue", "--server", stub.url).stderr
    refused = lehr("forecast", "s1", "--enqueue", "--server", stub.url)
    assert refused.exit_code != 0
    assert "nothing was enqueued" in refused.stderr


def test_what_is_not_known_is_said_with_its_reason(stub: Stub) -> None:
    unknown = {**KNOWN, "value": None, "interval90": None, "doubt": DOUBT}
    told = {**FORECAST, "knows_enough": False, "losses": [unknown], "horizons": [], "suggestion": None}
    stub.on("GET /v1/studies/s1", study())
    stub.on("POST /v1/studies/s1/forecast", told)
    shown = lehr("forecast", "s1", "--server", stub.url)
    assert shown.exit_code == 0
    assert "val_loss is not known: 3 trainings have completed; a forecast needs 5" in shown.stderr
