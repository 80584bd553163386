"""Builds the FastAPI application from the settings, and runs its periodic sweep of leases and searches."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from importlib import import_module

import structlog
from anyio.to_thread import run_sync
from fastapi import APIRouter, FastAPI

from lehr import __version__
from service.http import problems
from service.http.metrics_middleware import Measuring
from service.http.openapi import DescribedApp
from service.http.origins import OriginChecks
from service.ledger.grace import Grace
from service.ledger.lost_leases import sweep
from service.ledger.overdue_searches import end_overdue
from service.services import Services
from service.settings import Settings
from service.store.database import Clock, Database

SWEEP_SECONDS = 1.0
"""How often expired leases are taken back, and searches past their time limit are stopped."""

ENDPOINTS = (
    "leases",
    "studies",
    "range_tests",
    "trials",
    "schedules",
    "fleet",
    "looks",
    "operations",
)
"""The files of `service/endpoints`, in the order of the OpenAPI document. All their routers are served."""

log = structlog.get_logger("lehr.server")


def create_app(settings: Settings, clock: Clock | None = None) -> FastAPI:
    """The application. The settings' database must have the newest schema. `clock` is for tests."""
    services = Services.of(settings, clock)

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        services.signal.bind(asyncio.get_running_loop())
        services.look_signal.bind(asyncio.get_running_loop())
        closing = asyncio.Event()
        sweeper = asyncio.create_task(_sweep(services, closing))
        yield
        # Awaited, not cancelled: a cancelled sweep would continue in its thread with a closed database.
        closing.set()
        await sweeper
        services.database.close()

    app = DescribedApp(
        title="lehr",
        version=__version__,
        description="Finds the best learning-rate schedule for training a model.",
        lifespan=lifespan,
        redirect_slashes=False,
    )
    app.state.services = services
    app.state.max_body_bytes = settings.max_body_bytes
    app.state.max_report_bytes = settings.max_report_bytes
    app.state.receive_seconds = settings.receive_seconds
    routers = _routers()
    app.state.routes = [route for router in routers for route in router.routes]
    problems.install(app)
    for router in routers:
        app.include_router(router)
    app.add_middleware(OriginChecks, hosts=(settings.host, *settings.allowed_hosts))
    app.add_middleware(Measuring, metrics=services.metrics)
    return app


def _routers() -> list[APIRouter]:
    modules = [import_module(f"service.endpoints.{name}") for name in ENDPOINTS]
    return [value for module in modules for value in vars(module).values() if isinstance(value, APIRouter)]


async def _sweep(services: Services, closing: asyncio.Event) -> None:
    grace = Grace(services.claims.terms.lease_seconds)
    has_failed = False
    while not closing.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(closing.wait(), SWEEP_SECONDS)
            return
        try:
            lost = await run_sync(_take_lost, services.database, grace)
            ended = await run_sync(end_overdue, services.database)
        except Exception as error:
            if not has_failed:
                log.error("sweep_failed", exc_info=error)
            has_failed = True
            continue
        has_failed = False
        if lost:
            services.metrics.lost_leases.inc(lost)
        if lost or ended:
            services.signal.notify()


def _take_lost(database: Database, grace: Grace) -> int:
    with database.read() as transaction:
        now = transaction.now
    return sweep(database) if grace.is_over(now) else 0
