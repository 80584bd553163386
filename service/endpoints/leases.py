"""The worker protocol: claim a lease, renew it, report, finish, release."""

from __future__ import annotations

import asyncio
from typing import Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request, Response

from lehr.wire.leases import Claim, FinishBatch, Lease, LeaseAnswer, Renewal, ReportBatch
from service.endpoints.parameters import IdempotencyKey, LeaseId
from service.http.strict_json import BulkRoute, StrictRoute
from service.ledger.claims import task_names
from service.services import Provided

POLL_SECONDS = 1.0
"""How often a waiting claim checks for work that another server process made available."""

router = APIRouter(prefix="/v1/leases", tags=["worker protocol"], route_class=StrictRoute)
bulk = APIRouter(prefix="/v1/leases", tags=["worker protocol"], route_class=BulkRoute)


# The only asynchronous call: hundreds of workers may wait here, and a thread for each would block other calls.
@router.post("", response_model=Lease, responses={204: {"description": "no trial is available"}})
async def claim(request: Request, claim: Claim, services: Provided, idempotency_key: IdempotencyKey = None) -> Any:
    """Claim trials, and wait up to `wait_seconds` for them. A repeated Idempotency-Key returns the same lease."""
    if await run_sync(services.fleet.see, claim.worker):
        await run_sync(services.admission.check_waiting, task_names(claim))
    deadline = asyncio.get_running_loop().time() + claim.wait_seconds
    while True:
        lease = await run_sync(services.claims.claim, claim, idempotency_key, limiter=services.claim_threads)
        if lease is not None:
            return lease
        remaining = deadline - asyncio.get_running_loop().time()
        if remaining <= 0 or services.signal.is_closing or await request.is_disconnected():
            return Response(status_code=204)
        await services.signal.wait(min(remaining, POLL_SECONDS))


@router.post("/{lease_id}/renew")
def renew(lease_id: LeaseId, renewal: Renewal, services: Provided) -> LeaseAnswer:
    """Extend the lease of these trials (the heartbeat)."""
    return services.heartbeats.renew(lease_id, renewal)


@bulk.post("/{lease_id}/report")
def report(lease_id: LeaseId, batch: ReportBatch, services: Provided) -> LeaseAnswer:
    """Report metrics of running trials. The answer has a directive for each trial."""
    return services.heartbeats.report(lease_id, batch)


@bulk.post("/{lease_id}/finish")
def finish(lease_id: LeaseId, batch: FinishBatch, services: Provided) -> LeaseAnswer:
    """Record the results of trials. A repeated call gets the same answer."""
    answer = services.finishes.finish(lease_id, batch)
    services.signal.notify()
    return answer


@router.post("/{lease_id}/release")
def release(lease_id: LeaseId, renewal: Renewal, services: Provided) -> LeaseAnswer:
    """Return unfinished trials to the queue. Another worker resumes each from its checkpoint."""
    answer = services.heartbeats.release(lease_id, renewal)
    services.signal.notify()
    return answer
