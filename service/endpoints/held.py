"""The calls on a lease: renew, report, finish, release."""

from __future__ import annotations

from fastapi import APIRouter

from lehr.wire.leases import FinishBatch, LeaseAnswer, Renewal, ReportBatch
from service.endpoints.parameters import LeaseId
from service.services import Provided, Services
from service.strict_json import StrictRoute

router = APIRouter(prefix="/v1/leases", tags=["worker protocol"], route_class=StrictRoute)


@router.post("/{lease_id}/renew")
def renew(lease_id: LeaseId, renewal: Renewal, services: Provided) -> LeaseAnswer:
    """A beat: keep the lease of these trials."""
    return services.beats.renew(lease_id, renewal)


@router.post("/{lease_id}/report")
def report(lease_id: LeaseId, batch: ReportBatch, services: Provided) -> LeaseAnswer:
    """Metrics of running trials; the answer says what each is to do next."""
    return services.beats.report(lease_id, batch)


@router.post("/{lease_id}/finish")
def finish(lease_id: LeaseId, batch: FinishBatch, services: Provided) -> LeaseAnswer:
    """The trials' results. Repeated, it answers the same."""
    answer = services.finishes.finish(lease_id, batch)
    _wake(services)
    return answer


@router.post("/{lease_id}/release")
def release(lease_id: LeaseId, renewal: Renewal, services: Provided) -> LeaseAnswer:
    """Give back what is not finished; another worker goes on from its checkpoint."""
    answer = services.beats.release(lease_id, renewal)
    _wake(services)
    return answer


def _wake(services: Services) -> None:
    services.signal.notify()
