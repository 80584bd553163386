"""Text from users and servers reaches the terminal without control sequences."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime

import pytest
import structlog
from rich.live import Live
from rich.table import Table

from lehr.terminal import CleanConsole, clean
from lehr.wire.training import TrainingProgress, in_cells
from tests.unit.cli.conftest import Stub, lehr
from tests.unit.client.stub import page, study
from workers.monitor.logs import configure_logs

HOSTILE = "a\x1b]52;c;cHduZWQ=\x07\x1b[2J\x9b31m\u202egnp\u2066\x7f\rz"
FORBIDDEN = "\x1b\x07\x9b\u202e\u2066\x7f\r"


def safe(text: str) -> bool:
    return not set(text) & set(FORBIDDEN) and "gnp" in text


@pytest.mark.parametrize("arguments", [("status",), ("status", "s1")])
def test_names_and_reasons_are_printed_without_control_characters(stub: Stub, arguments: tuple[str, ...]) -> None:
    hostile = study(name=HOSTILE, reason=HOSTILE, state="FAILED")
    stub.on("GET /v1/studies", page(hostile))
    stub.on("GET /v1/studies/s1", hostile)
    stub.on("GET /v1/studies/s1/trials", page())
    result = lehr(*arguments, "--server", stub.url)
    assert result.exit_code == 0, result.stderr
    assert safe(result.stdout)


def test_json_escapes_them_so_that_programs_read_the_same_name(stub: Stub) -> None:
    stub.on("GET /v1/tasks", page({"name": HOSTILE, "params_schema": None, "metrics": [], "live": True, "workers": 1}))
    said = lehr("tasks", "--json", "--server", stub.url).stdout
    assert safe(said)
    assert json.loads(said)[0]["name"] == HOSTILE


def test_errors_and_questions_are_clean(stub: Stub) -> None:
    stub.on("GET /v1/tasks", {"type": "about:blank", "title": HOSTILE, "status": 400, "detail": HOSTILE}, status=400)
    assert safe(lehr("tasks", "--server", stub.url).stderr)
    stub.on("GET /v1/studies", page(study(name=HOSTILE)))
    asked = lehr("delete", "s1", "--server", stub.url)
    assert safe(asked.stderr)
    assert "DELETE /v1/studies/s1" not in stub.bodies


def test_a_live_table_is_clean_and_still_redrawn() -> None:
    text = io.StringIO()
    console = CleanConsole(file=text, force_terminal=True, width=80, color_system=None)
    table = Table()
    table.add_row(HOSTILE)
    with Live(table, console=console, auto_refresh=False) as live:
        live.refresh()
    assert "gnp" in text.getvalue()
    assert "\x1b]52" not in text.getvalue()
    assert "\x1b[2J" not in text.getvalue()
    assert "\x1b[1A" in text.getvalue(), "the console's own commands stay"


def test_a_workers_log_is_clean(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        configure_logs("info", "console")
        structlog.get_logger("test").info("claim_refused", error=HOSTILE)
    finally:
        structlog.reset_defaults()
    assert safe(capsys.readouterr().err)


@pytest.mark.parametrize("speed", [5e-324, 1e-300, 1e-9, 0.0, 1e308])
def test_no_speed_breaks_the_list_of_workers(stub: Stub, speed: float) -> None:
    told = TrainingProgress(steps_done=40, horizon_steps=100_000, steps_per_second=speed)
    cells = in_cells(told)
    assert cells[0] == "40/100000 0%"
    assert len(cells[1]) < 10
    now = datetime.now(UTC).isoformat()
    about = {"study_id": "s1", "trial": "t", "number": 17, "family": "cosine", "step": None, "horizon_steps": None}
    worker = {
        "id": "w", "name": "box/0", "device": "cpu", "tasks": ["digits"], "labels": {}, "live": True,
        "running_trials": 1, "last_seen_at": now, "training": [about | {"progress": {**told.model_dump(), "at": now}}],
    }  # fmt: skip
    stub.on("GET /v1/workers", page(worker))
    result = lehr("workers", "--server", stub.url)
    assert result.exit_code == 0, result.stderr
    assert "box/0" in result.stdout


def test_lines_and_ordinary_letters_are_kept() -> None:
    assert clean("é\t漢\n🙂 שלום") == "é\t漢\n🙂 שלום"
