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

LOOK_AGAIN_SECONDS = 1.0
"""How often a waiting claim looks for work that another server made free."""

router = APIRouter(prefix="/v1/leases", tags=["worker protocol"], route_class=StrictRoute)
bulk = APIRouter(prefix="/v1/leases", tags=["worker protocol"], route_class=BulkRoute)


# The one asynchronous call: hundreds of workers may wait here, and a thread for each would starve the rest.
@router.post("", response_model=Lease, responses={204: {"description": "nothing to do"}})
async def claim(request: Request, claim: Claim, services: Provided, idempotency_key: IdempotencyKey = None) -> Any:
    """Ask for trials; waits up to `wait_seconds` for them. A repeated Idempotency-Key gets the same lease again."""
    if await run_sync(services.fleet.see, claim.worker):
        await run_sync(services.admission.check_waiting, task_names(claim))
    patience_ends = asyncio.get_running_loop().time() + claim.wait_seconds
    while True:
        lease = await run_sync(services.claims.claim, claim, idempotency_key, limiter=services.claim_threads)
        if lease is not None:
            return lease
        left = patience_ends - asyncio.get_running_loop().time()
        if left <= 0 or services.signal.is_closing or await request.is_disconnected():
            return Response(status_code=204)
        await services.signal.wait(min(left, LOOK_AGAIN_SECONDS))


@router.post("/{lease_id}/renew")
def renew(lease_id: LeaseId, renewal: Renewal, services: Provided) -> LeaseAnswer:
    """A beat: keep the lease of these trials."""
    return services.beats.renew(lease_id, renewal)


@bulk.post("/{lease_id}/report")
def report(lease_id: LeaseId, batch: ReportBatch, services: Provided) -> LeaseAnswer:
    """Metrics of running trials; the answer says what each is to do next."""
    return services.beats.report(lease_id, batch)


@bulk.post("/{lease_id}/finish")
def finish(lease_id: LeaseId, batch: FinishBatch, services: Provided) -> LeaseAnswer:
    """The trials' results. Repeated, it answers the same."""
    answer = services.finishes.finish(lease_id, batch)
    services.signal.notify()
    return answer


@router.post("/{lease_id}/release")
def release(lease_id: LeaseId, renewal: Renewal, services: Provided) -> LeaseAnswer:
    """Give back what is not finished; another worker goes on from its checkpoint."""
    answer = services.beats.release(lease_id, renewal)
    services.signal.notify()
    return answer
