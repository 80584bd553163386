"""Builds the services that the endpoints use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from anyio import CapacityLimiter
from fastapi import Depends, Request

from service.documents.studies import Documents
from service.fleet import Fleet
from service.forecast.forecast_cache import Forecasts
from service.ledger.claims import Claims
from service.ledger.finishes import Finishes
from service.ledger.heartbeats import Heartbeats
from service.ledger.lifecycle import LeaseTerms
from service.metrics import Metrics
from service.search.searcher_cache import SearcherCache
from service.settings import Settings
from service.store.database import Clock, Database
from service.store.identifiers import new_id
from service.studies.admission import Admission
from service.studies.commands import Studies
from service.studies.looks import Looks
from service.work_signal import WorkSignal

CLAIM_THREADS = 20
"""The number of threads for claims, which may wait for a slow sampler and must not block heartbeats and reports."""


@dataclass(frozen=True)
class Services:
    """The services of one server process."""

    database: Database
    studies: Studies
    claims: Claims
    claim_threads: CapacityLimiter
    heartbeats: Heartbeats
    finishes: Finishes
    fleet: Fleet
    admission: Admission
    looks: Looks
    documents: Documents
    forecasts: Forecasts
    signal: WorkSignal
    look_signal: WorkSignal
    metrics: Metrics

    def end_waits(self) -> None:
        """Answer every call that waits: the server ends."""
        self.signal.close()
        self.look_signal.close()

    @classmethod
    def of(cls, settings: Settings, clock: Clock | None = None) -> Services:
        database = Database(settings.database, clock)
        terms = LeaseTerms(settings.lease_seconds, settings.beat_seconds)
        searches = SearcherCache()
        fleet = Fleet(database, settings.lease_seconds)
        return cls(
            database=database,
            studies=Studies(database, searches, fleet, new_id, settings.max_trials),
            claims=Claims(database, searches, terms, new_id),
            claim_threads=CapacityLimiter(CLAIM_THREADS),
            heartbeats=Heartbeats(database, searches, terms),
            finishes=Finishes(database),
            fleet=fleet,
            admission=Admission(database, fleet),
            looks=Looks(database, fleet, new_id),
            documents=Documents(fleet),
            forecasts=Forecasts(),
            signal=WorkSignal(),
            look_signal=WorkSignal(),
            metrics=Metrics(database),
        )


# Asynchronous only to avoid a thread for reading an attribute.
async def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


Provided = Annotated[Services, Depends(_services)]
