"""Configures the worker's log: one line per change of state, with a fixed event name and keys."""

from __future__ import annotations

import logging
import os
import sys
import threading
from typing import Any, Literal, TextIO, cast

import structlog

from lehr.terminal import clean
from lehr.tracebacks import short_traceback, without_passwords
from workers.monitor.live_table import CurrentErrors

log = structlog.get_logger(__name__)


def configure_logs(level: str, style: Literal["console", "json"], *, watched: bool = False) -> None:
    """Log to standard error from `level` on. `watched`: omit progress lines, since the live table shows progress."""
    renderer = (
        structlog.processors.JSONRenderer()
        if style == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    structlog.configure(
        processors=[
            *([_without_progress] if watched else []),
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            render_exceptions,
            _safe,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", CurrentErrors())),
        cache_logger_on_first_use=True,
    )


render_exceptions = structlog.processors.ExceptionRenderer(lambda info: short_traceback(info[1]))
"""Renders tracebacks with bounded length and without variables, which may hold secrets."""


def _without_progress(_logger: Any, _method: str, keys: structlog.typing.EventDict) -> structlog.typing.EventDict:
    if keys["event"] == "trial_progress":
        raise structlog.DropEvent
    return keys


def _safe(_logger: Any, _method: str, keys: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return {key: clean(without_passwords(value)) if isinstance(value, str) else value for key, value in keys.items()}


def end_with_any_thread() -> None:
    """End the worker when any thread dies, since without heartbeats or reports it would train in vain.

    Its trials are then leased again.
    """

    def end(failure: threading.ExceptHookArgs) -> None:
        log.error("thread_died", thread=failure.thread.name if failure.thread else None, exc_info=failure.exc_value)
        os._exit(1)

    threading.excepthook = end
