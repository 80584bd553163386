"""Builds requests and reads responses, shared by the synchronous and the asyncio client."""

from __future__ import annotations

import ipaddress
import re
import uuid
from typing import Any

import httpx

import lehr
from lehr.client.call import Call, Result
from lehr.client.problems import error_from
from lehr.client.retries import TOO_MANY_REQUESTS, TRANSIENT_STATUSES, TransientAnswer
from lehr.errors import Fault, InvalidValueError, ServerError, UnreachableError

DEFAULT_URL = "http://127.0.0.1:8765"
MAX_ANSWER_BYTES = 1 << 28
"""Several times the largest response of a server, the reports of a large study."""
DEFAULT_TIMEOUT_SECONDS = 30.0


def client_options(url: str, timeout: float) -> dict[str, Any]:
    """Options for httpx. Proxy variables of the environment are ignored for loopback addresses."""
    parsed = _parse(url)
    credentials = (parsed.username, parsed.password) if parsed.userinfo else None
    return {
        # Without credentials, so that httpx does not log them.
        "base_url": parsed.copy_with(userinfo=b""),
        "auth": credentials,
        "timeout": timeout,
        "headers": {
            "User-Agent": f"lehr/{lehr.__version__}",
            "Accept": "application/json, application/problem+json",
            # A small compressed response could expand to fill the memory.
            "Accept-Encoding": "identity",
        },
        "trust_env": not _is_loopback(parsed.host),
    }


def request_options(call: Call[Any], timeout: float) -> dict[str, Any]:
    return {
        "method": call.method,
        "url": call.path,
        "params": call.params or None,
        "headers": dict(call.headers),
        "content": call.body,
        "timeout": httpx.Timeout(timeout, read=timeout + call.patience_seconds),
    }


class Body:
    """Collects a response's content. Raises UnreachableError if it cannot come from a lehr server."""

    def __init__(self, answer: httpx.Response) -> None:
        packed = answer.headers.get("Content-Encoding", "identity")
        if packed.lower() != "identity":
            raise _strange(answer, f"the response is compressed ({packed[:50]!r}), which was not requested")
        self._answer = answer
        self._pieces: list[bytes] = []
        self._size = 0

    def add(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > MAX_ANSWER_BYTES:
            raise _strange(self._answer, f"the response is larger than {MAX_ANSWER_BYTES} bytes")
        self._pieces.append(piece)

    def whole(self) -> httpx.Response:
        answer = self._answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=b"".join(self._pieces))


def _strange(answer: httpx.Response, what: str) -> UnreachableError:
    return UnreachableError(
        f"{answer.request.url}: {what}. Check that this is the URL of a lehr server, and that no proxy compresses "
        "responses."
    )


def read(call: Call[Result], response: httpx.Response) -> Result:
    """The parsed response. Raises ServerError, or TransientAnswer if a retry may help."""
    if response.is_success:
        return call.read(response.status_code, response.content)
    if response.is_redirect:
        # Not followed, since a POST would arrive as a GET.
        # The query is left out: it may contain a token, and is not part of a server URL.
        location = masked(response.headers.get("Location", "the server's new URL").partition("?")[0])
        moved = {"title": "moved", "status": response.status_code, "detail": f"Use {location}."}
        raise ServerError(response.status_code, moved)
    error = error_from(response.status_code, response.content, response.reason_phrase, on_lease=call.on_lease)
    if response.status_code in TRANSIENT_STATUSES or response.status_code == TOO_MANY_REQUESTS:
        raise TransientAnswer(error, _seconds(response.headers.get("Retry-After")))
    raise error


def unreachable(url: str, error: httpx.RequestError) -> UnreachableError:
    reason = str(error) or type(error).__name__
    return UnreachableError(
        f"No response from {masked(url)} ({reason}). Check that the server is running and that this is its URL."
    )


def masked(url: str) -> str:
    """The URL with user name and password replaced by ***, for display.

    >>> masked("https://me:secret@lehr.example:8765/x")
    'https://***@lehr.example:8765/x'
    """
    # Up to the last @, since an unquoted password may contain one, or a slash.
    return re.sub(r"^([A-Za-z][A-Za-z0-9+.-]*://|)[^\n]*@", r"\1***@", url)


def fresh_key() -> str:
    """A new unique idempotency key."""
    return uuid.uuid4().hex


def _parse(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL("")
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise InvalidValueError(
            Fault(
                "server",
                "is not a server URL",
                "http://HOST:PORT or https://HOST",
                masked(url),
                f"For example, {DEFAULT_URL}.",
            )
        )
    return parsed


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _seconds(retry_after: str | None) -> float:
    """Retry-After in seconds; 0 for its other form, a date."""
    try:
        return max(0.0, float(retry_after or 0))
    except ValueError:
        return 0.0
