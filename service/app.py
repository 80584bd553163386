"""The composition root: settings in, application out."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import structlog
from anyio.to_thread import run_sync
from fastapi import FastAPI, Request, Response
from sqlalchemy.exc import SQLAlchemyError

from lehr import __version__
from service import problems
from service.database import Clock
from service.endpoints import fleet, leases, operations, schedules, studies, trials
from service.ledger.lost import sweep
from service.services import Services
from service.settings import Settings

SWEEP_SECONDS = 1.0
"""How often leases are looked through for expired ones."""

log = structlog.get_logger("lehr.server")


def create_app(settings: Settings, clock: Clock | None = None) -> FastAPI:
    """The server over the settings' database, which must have the newest schema. `clock` is for tests."""
    services = Services.of(settings, clock)

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        services.signal.bind(asyncio.get_running_loop())
        sweeper = asyncio.create_task(_sweep_for_ever(services))
        yield
        sweeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sweeper
        services.database.close()

    app = FastAPI(
        title="lehr",
        version=__version__,
        description="Finds the learning-rate schedule to train a model with.",
        lifespan=lifespan,
        redirect_slashes=False,
    )
    app.state.services = services
    app.state.max_body_bytes = settings.max_body_bytes
    problems.install(app)
    for part in (studies, trials, leases, schedules, fleet, operations):
        app.include_router(part.router)
    app.middleware("http")(_measuring(services))
    return app


async def _sweep_for_ever(services: Services) -> None:
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        try:
            lost = await run_sync(sweep, services.database)
        except SQLAlchemyError as error:
            log.error("sweep_failed", error=str(error))
            continue
        if lost:
            services.metrics.lost_leases.inc(lost)
            services.signal.notify()


def _measuring(
    services: Services,
) -> Callable[[Request, Callable[[Request], Awaitable[Response]]], Awaitable[Response]]:
    async def measure(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
        started = time.perf_counter()
        response = await answer(request)
        route = getattr(request.scope.get("route"), "path", "unmatched")
        services.metrics.requests.labels(request.method, route, response.status_code).inc()
        services.metrics.seconds.labels(request.method, route).observe(time.perf_counter() - started)
        return response

    return measure
