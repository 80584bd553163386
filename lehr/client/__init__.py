"""A typed client of the REST API: the synchronous `Client` and the asyncio `AsyncClient`, with the same methods."""

from lehr.client.asynchronous import AsyncClient
from lehr.client.blocking import Client
from lehr.client.problems import (
    RefusedByServerError,
    ServerConflictError,
    ServerIdempotencyError,
    ServerLostLeaseError,
    ServerNotFoundError,
)
from lehr.client.retries import Retry
from lehr.client.watching import WaitTimeoutError

__all__ = [
    "AsyncClient",
    "Client",
    "RefusedByServerError",
    "Retry",
    "ServerConflictError",
    "ServerIdempotencyError",
    "ServerLostLeaseError",
    "ServerNotFoundError",
    "WaitTimeoutError",
]
