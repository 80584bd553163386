"""Configures logging: each line has a fixed event name, then keys. Tracebacks are short and show no variables."""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import Any, TextIO, cast

import structlog
from structlog.typing import ExcInfo

from lehr.terminal import clean
from lehr.tracebacks import short_traceback, without_passwords

UNHANDLED = "Exception in ASGI application"
"""The start of uvicorn's traceback of an error that has already been answered and logged."""


def configure(level: str, form: str) -> None:
    """Log structured lines to stderr, in the format `console` or `json`."""
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.ExceptionRenderer(_short),
            _safe,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", Unfailing(sys.stderr))),
        cache_logger_on_first_use=True,
    )


def uvicorn_logging(level: str) -> dict[str, Any]:
    """The configuration of uvicorn's logging for `logging.config`: to stderr, with tracebacks as short as lehr's."""
    here = __name__
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"short": {"()": f"{here}.ShortFormatter", "fmt": "%(levelname)s: %(message)s"}},
        "filters": {"once": {"()": f"{here}.WithoutLoggedErrors"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "short", "filters": ["once"]}},
        "loggers": {"uvicorn": {"handlers": ["stderr"], "level": level.upper(), "propagate": False}},
    }


class ShortFormatter(logging.Formatter):
    """Formats records as safe lines with short tracebacks."""

    def format(self, record: logging.LogRecord) -> str:
        return safe_line(super().format(record))

    def formatException(self, ei: Any) -> str:
        return _short(ei)


class WithoutLoggedErrors(logging.Filter):
    """Drops the second traceback of an error that `problems` has answered and logged."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith(UNHANDLED)


class Unfailing:
    """A stream that ignores a full disk or a closed pipe, so that no call fails because of its log line."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.flush()


def safe_line(text: str) -> str:
    """The text without control characters and without passwords in URLs."""
    return clean(without_passwords(text))


def _safe(_logger: Any, _method: str, keys: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return {key: _safe_value(value) for key, value in keys.items()}


def _safe_value(value: Any) -> Any:
    if isinstance(value, dict):
        return {_safe_value(name): _safe_value(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_safe_value(member) for member in value]
    if isinstance(value, BaseException):
        return safe_line(str(value))
    return safe_line(value) if isinstance(value, str) else value


def _short(exc_info: ExcInfo) -> str:
    return short_traceback(exc_info[1])
