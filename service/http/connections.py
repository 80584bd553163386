"""Limits the size of a request's line and headers, and the time that a request may take to arrive.

Neither uvicorn nor httptools has such limits: a header of 60 MB blocked the event loop for 17 seconds, and a connection
that sent nothing stayed open forever. (h11, the other parser, limits only sizes, and makes each call slower.)
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Literal, cast

from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from lehr.errors import Fault
from service.http.problems import problem

MAX_HEAD_BYTES = 64 * 1024
"""Limit for a request's line and headers, and for the bytes between two chunks of a body or after it."""
BODY_FACTOR = 10
"""How many times longer the whole body may take than the head, or than a pause within the body."""
LINGER_SECONDS = 2.0
"""How long to keep reading from a client that is still sending: otherwise it would not read the answer."""


class TooLongHeadError(Exception):
    """Stops the parser: the request line and headers are too long."""


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with limits. `app.state.receive_seconds`: the limit for a request's head, and for a pause
    within its body.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._seconds: float = cast("FastAPI", self.config.app).state.receive_seconds
        self._receiving: Literal["head", "body"] | None = None
        self._begun = self._received = self.loop.time()
        self._undelivered = 0  # bytes since the parser last delivered a whole head or part of a body
        self._timer: asyncio.TimerHandle | None = None
        self._is_refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._begin("head")
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        self._received = self.loop.time()
        self._undelivered += len(data)
        super().data_received(data)
        if self._undelivered > MAX_HEAD_BYTES:
            self._refuse_long_head()
        elif self._undelivered and self._receiving is None:
            self._begin("head")  # empty lines, which may precede a request
        if self._receiving is not None and self._timer is None:
            self._watch()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._undelivered = max(self._undelivered, 1)  # this request arrived together with the previous one
        if self._receiving is None:
            self._begin("head")

    def on_headers_complete(self) -> None:
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD_BYTES:
            raise TooLongHeadError
        self._undelivered = 0
        self._begin("body")
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._undelivered = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._undelivered = 0
        self._receiving = None
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Called by uvicorn when the parser has stopped."""
        if self._undelivered > MAX_HEAD_BYTES:
            self._refuse_long_head()
        else:
            self._refuse(400, "bad-request", "this is not an HTTP request")

    def _begin(self, receiving: Literal["head", "body"]) -> None:
        self._receiving = receiving
        self._begun = self.loop.time()

    def _watch(self) -> None:
        self._timer = self.loop.call_at(self._due(), self._check)

    def _due(self) -> float:
        if self._receiving == "head":
            return self._begun + self._seconds
        return min(self._received + self._seconds, self._begun + BODY_FACTOR * self._seconds)

    def _check(self) -> None:
        self._timer = None
        if self._receiving is None or self._is_refused:
            return
        if self._waits_for_an_answer():
            self._begun = self._received = self.loop.time()
        if self.loop.time() < self._due():
            self._watch()
        else:
            self._refuse_slow_request()

    def _waits_for_an_answer(self) -> bool:
        """Whether this request is pipelined behind an unanswered one. Reading is paused until that is answered."""
        return self._is_answering() and (self._receiving == "head" or bool(self.pipeline))

    def _may_answer(self) -> bool:
        """Whether no answer has begun to this request, and none to an earlier request is pending."""
        if self._receiving != "body":
            return not self._is_answering()
        return self._is_answering() and not self.pipeline and not self.cycle.response_started

    def _is_answering(self) -> bool:
        cycle: Any = self.cycle
        return cycle is not None and not cycle.response_complete

    def _refuse_long_head(self) -> None:
        bound, remedy = f"at most {MAX_HEAD_BYTES} bytes", "Shorten the URL or the headers."
        fault = Fault("", "request line and headers are too long", bound, f"more than {MAX_HEAD_BYTES} bytes", remedy)
        self._refuse(431, "head-too-long", "the request line and headers are too long", [fault], LINGER_SECONDS)

    def _refuse_slow_request(self) -> None:
        if self._receiving == "head" and self._undelivered == 0:
            self.transport.close()  # there is no request to answer
            return
        bound = f"head within {self._seconds:g} s, body within {BODY_FACTOR * self._seconds:g} s and without a pause "
        bound += f"of {self._seconds:g} s"
        took = f"{self.loop.time() - self._begun:.1f} s"
        remedy = "Repeat the request. On a slow network, send less at once or raise LEHR_RECEIVE_SECONDS on the server."
        fault = Fault("", f"the request's {self._receiving} did not arrive in time", bound, took, remedy)
        self._refuse(408, "request-timeout", "the request did not arrive in time", [fault])

    def _refuse(
        self, status: int, kind: str, detail: str, faults: Sequence[Fault] = (), linger_seconds: float = 0.0
    ) -> None:
        if self._is_refused or self.transport.is_closing():
            return
        self._is_refused = True
        if not self._may_answer():
            self.transport.close()
            return
        if self._is_answering():
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        answer = problem(status, kind, detail, faults, Connection="close")
        headers = [name + b": " + value + b"\r\n" for name, value in answer.raw_headers]
        self.transport.write(b"".join([STATUS_LINE[status], *headers, b"\r\n", bytes(answer.body)]))
        self.flow.resume_reading()
        self.loop.call_later(linger_seconds, self.transport.close)
