"""The five calls of the worker protocol that a worker makes (DESIGN.md, section 5)."""

from __future__ import annotations

from typing import Protocol

from lehr.wire.leases import Claim, FinishBatch, Lease, LeaseAnswer, Renewal, ReportBatch


class LeaseServer(Protocol):
    """What `lehr.client.Client` offers workers. Safe to call from several threads at once.

    Every call raises UnreachableError without an answer, LostLeaseError when every trial named
    is lost, and ServerError for any other refusal.
    """

    def claim(self, request: Claim, *, idempotency_key: str) -> Lease | None: ...

    def renew(self, lease_id: str, request: Renewal) -> LeaseAnswer: ...

    def report(self, lease_id: str, request: ReportBatch) -> LeaseAnswer: ...

    def finish(self, lease_id: str, request: FinishBatch) -> LeaseAnswer: ...

    def release(self, lease_id: str, request: Renewal) -> LeaseAnswer: ...
