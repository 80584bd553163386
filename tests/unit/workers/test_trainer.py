"""`storable_error` shortens an error to what the server accepts, and keeps its end."""

from __future__ import annotations

from lehr.wire.leases import MAX_ERROR_CHARACTERS, TrialFinish
from workers.trainer import storable_error


def test_a_long_traceback_loses_its_beginning() -> None:
    error = storable_error("first line\n" + "x" * MAX_ERROR_CHARACTERS + "\nRuntimeError: the cause")
    assert len(error) == MAX_ERROR_CHARACTERS
    assert error.startswith("[beginning cut off]\n")
    assert error.endswith("\nRuntimeError: the cause")


def test_what_databases_cannot_hold_is_escaped() -> None:
    error = storable_error("ValueError: \x00 and \udc80")
    assert TrialFinish(trial="t1", attempt=1, state="FAILED", error=error).error == "ValueError: \\0 and \\udc80"
