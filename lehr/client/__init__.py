"""A typed client of the server: `Client` blocks, `AsyncClient` awaits; both make the same calls."""

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
