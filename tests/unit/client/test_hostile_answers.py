"""Both clients abort a response that is larger than memory allows."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable, Iterator

import httpx
import pytest

from lehr.client import AsyncClient, Client
from lehr.client.exchange import MAX_ANSWER_BYTES
from lehr.errors import UnreachableError

MEBIBYTE = b" " * (1 << 20)


def endless() -> Iterator[bytes]:
    while True:
        yield MEBIBYTE


async def endless_awaited() -> AsyncIterator[bytes]:
    while True:
        yield MEBIBYTE


def packed(request: httpx.Request) -> httpx.Response:
    assert request.headers["Accept-Encoding"] == "identity"
    content = gzip.compress(gzip.compress(MEBIBYTE * 64))
    return httpx.Response(200, headers={"Content-Encoding": "gzip, gzip"}, stream=httpx.ByteStream(content))


def test_a_packed_answer_is_not_unpacked() -> None:
    with Client("http://me:secret@lehr.test", transport=httpx.MockTransport(packed)) as client:
        with pytest.raises(UnreachableError, match=r"http://lehr\.test/\S+: the response is compressed") as caught:
            client.study("s1")
        assert "secret" not in str(caught.value)


def test_an_answer_without_end_is_left() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=endless())

    client = Client("http://lehr.test", transport=httpx.MockTransport(answer))
    with client, pytest.raises(UnreachableError, match=f"larger than {MAX_ANSWER_BYTES} bytes"):
        client.study("s1")


def test_the_awaiting_client_leaves_them_too() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=endless_awaited())

    async def ask(answers: Callable[[httpx.Request], httpx.Response]) -> None:
        async with AsyncClient("http://lehr.test", transport=httpx.MockTransport(answers)) as client:
            await client.study("s1")

    with pytest.raises(UnreachableError, match="the response is compressed"):
        asyncio.run(ask(packed))
    with pytest.raises(UnreachableError, match="larger than"):
        asyncio.run(ask(answer))
