"""Forwards the training process's log lines to the worker's log."""

from __future__ import annotations

import logging
from typing import Any

import structlog

from workers.child.link import Link
from workers.child.messages import Logged
from workers.monitor.logs import render_exceptions

_PLAIN = (str, int, float, bool, type(None))


def forward_logs(level: str, link: Link) -> None:
    """Send every log line of at least `level` to the worker, with its bound keys."""

    def forward(_logger: Any, method: str, keys: structlog.typing.EventDict) -> str:
        event = str(keys.pop("event"))
        plain = {key: value if isinstance(value, _PLAIN) else repr(value) for key, value in keys.items()}
        link.send(Logged(method, event, plain))
        raise structlog.DropEvent

    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, render_exceptions, forward],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
    )
