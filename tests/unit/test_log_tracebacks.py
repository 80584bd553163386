"""The log of an error is a bounded traceback, without variables or passwords."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from lehr.tracebacks import MOST_CHARACTERS, short_traceback, without_passwords
from service.logs import ShortFormatter
from service.store.database import Database

LOG_AN_ERROR = """
import sys, structlog
from {module} import {configure}
{configure}("info", "{style}")

def fail(depth, token="hunter2-in-a-variable", table=list(range(100_000))):
    if depth:
        try:
            fail(depth - 1)
        except ValueError as error:
            raise ValueError(f"at {{depth}}") from error
    raise ValueError("https://me:hunter2@example.org does not answer")

try:
    fail(int(sys.argv[1]))
except ValueError as error:
    structlog.get_logger().error("failed", exc_info=error)
"""
PROGRAMS = [("service.logs", "configure"), ("workers.monitor.logs", "configure_logs")]


def logged(module: str, configure: str, style: str, depth: int) -> str:
    script = LOG_AN_ERROR.format(module=module, configure=configure, style=style)
    done = subprocess.run(
        [sys.executable, "-c", script, str(depth)], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stderr


@pytest.mark.parametrize("style", ["console", "json"])
@pytest.mark.parametrize(("module", "configure"), PROGRAMS)
@pytest.mark.parametrize("depth", [0, 60])
def test_an_error_leaves_a_short_traceback_without_variables(
    module: str, configure: str, style: str, depth: int
) -> None:
    lines = logged(module, configure, style, depth)
    assert "failed" in lines
    assert "ValueError: " + ("at 60" if depth else "https://me:***@example.org") in lines
    assert "hunter2" not in lines
    assert len(lines) < 2 * MOST_CHARACTERS
    assert lines.count("\n") < 300


def test_uvicorns_tracebacks_are_as_short() -> None:
    record = logging.LogRecord("uvicorn.error", logging.ERROR, "", 0, "failed", (), _raised(5_000))
    assert len(ShortFormatter().format(record)) < 2 * MOST_CHARACTERS


@pytest.mark.parametrize("style", ["console", "json"])
def test_the_servers_lines_carry_no_controls_and_no_passwords(style: str) -> None:
    script = (
        "import structlog\nfrom service.logs import configure\n"
        f"configure('info', '{style}')\n"
        r"name = 'a\x1b]52;c;eA==\x07b\u202ec\x9bd'"
        "\n"
        "structlog.get_logger().info('event', name=name, names=[name], at={name: name}, "
        "error=ValueError(name), url='http://me:hunter2@host')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr.count("a]52;c;eA==bcd") == 5
    assert "hunter2" not in done.stderr
    assert not any(control in done.stderr for control in ("\x1b", "\x07", "\x9b", "\u202e", "\\x", "\\u"))


def test_uvicorns_lines_carry_no_controls() -> None:
    record = logging.LogRecord("uvicorn.error", logging.WARNING, "", 0, "%s", ("a\x1b[2Jb\u202ec",), None)
    assert ShortFormatter().format(record) == "a[2Jbc"


def test_a_message_of_any_size_is_cut_to_its_end() -> None:
    traceback = short_traceback(ValueError("x" * 1_000_000 + "the end"))
    assert len(traceback) < MOST_CHARACTERS + 100
    assert traceback.endswith("the end")
    assert "characters left out" in traceback


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://lehr:p%40ss@db/lehr", "postgresql://lehr:***@db/lehr"),
        ("postgresql://lehr:p/ss@db/lehr", "postgresql://lehr:***@db/lehr"),
        ("postgresql://db/lehr?user=me&password=p%40ss&x=1", "postgresql://db/lehr?user=me&password=***&x=1"),
        ("https://:token@host:8000/x", "https://:***@host:8000/x"),
        ("https://token@host:8000/x", "https://***@host:8000/x"),
        ("https://host:8000/a@b", "https://host:8000/a@b"),
        ("https://host/a@b", "https://host/a@b"),
    ],
)
def test_passwords_in_urls_are_left_out(url: str, shown: str) -> None:
    assert without_passwords(f"at {url} now") == f"at {shown} now"


def test_an_error_of_the_database_does_not_show_the_statements_values(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/lehr.sqlite")
    secret = "hunter2"
    with database.read() as transaction, pytest.raises(Exception, match="no such table") as failed:
        transaction.connection.execute(text("SELECT * FROM absent WHERE secret = :secret"), {"secret": secret})
    shown = short_traceback(failed.value)
    assert "parameters hidden" in shown
    assert f"'{secret}'" not in shown
    database.close()


def _raised(depth: int) -> tuple[type[BaseException], BaseException, None]:
    error: BaseException = ValueError("innermost")
    for at in range(depth):
        outer = ValueError(f"at {at}")
        outer.__cause__ = error
        error = outer
    return type(error), error, None
