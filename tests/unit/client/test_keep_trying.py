"""Calls are retried until they are answered, given up, or refused permanently."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import pairwise

import pytest

from lehr.client.retries import keep_trying
from lehr.errors import LehrError, LostLeaseError, ServerError, UnreachableError


def failing(*errors: LehrError) -> tuple[Callable[[], str], list[float]]:
    """A call that raises these one after the other, then answers; and when it was called."""
    left, calls = list(errors), []

    def call() -> str:
        calls.append(time.monotonic())
        if left:
            raise left.pop(0)
        return "answer"

    return call, calls


@pytest.mark.parametrize(
    "error",
    [UnreachableError(), ServerError(500, {}), ServerError(503, {}), ServerError(429, {}), ServerError(421, {})],
)
def test_what_may_pass_is_tried_again(error: LehrError) -> None:
    call, calls = failing(error, error)
    assert keep_trying(call, threading.Event()) == "answer"
    assert len(calls) == 3


@pytest.mark.parametrize("error", [LostLeaseError(), ServerError(422, {}), ServerError(404, {}), ValueError()])
def test_what_cannot_pass_is_raised_at_once(error: LehrError) -> None:
    call, calls = failing(error, error)
    with pytest.raises(type(error)):
        keep_trying(call, threading.Event())
    assert len(calls) == 1


def test_giving_up_ends_the_pause_and_raises_the_last_error() -> None:
    give_up = threading.Event()
    call, calls = failing(*[UnreachableError()] * 1000)
    threading.Timer(0.3, give_up.set).start()
    began = time.monotonic()
    with pytest.raises(UnreachableError):
        keep_trying(call, give_up)
    assert time.monotonic() - began < 1.0
    assert len(calls) < 50


def test_pauses_are_drawn_anew_each_time() -> None:
    call, calls = failing(*[UnreachableError()] * 4)
    keep_trying(call, threading.Event())
    pauses = [round(b - a, 3) for a, b in pairwise(calls)]
    assert len(set(pauses)) > 2
