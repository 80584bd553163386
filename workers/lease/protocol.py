"""The five calls of the worker protocol, as an interface."""

from __future__ import annotations

from typing import Protocol

from lehr.wire.leases import Claim, FinishBatch, Lease, LeaseAnswer, Renewal, ReportBatch


class LeaseServer(Protocol):
    """The part of `lehr.client.Client` that workers use. Safe to call from several threads at once.

    Every call raises UnreachableError when the server does not answer, LostLeaseError when the lease no longer holds
    any of the named trials, and ServerError for any other refusal.
    """

    def claim(self, request: Claim, *, idempotency_key: str) -> Lease | None: ...

    def renew(self, lease_id: str, request: Renewal) -> LeaseAnswer: ...

    def report(self, lease_id: str, request: ReportBatch) -> LeaseAnswer: ...

    def finish(self, lease_id: str, request: FinishBatch) -> LeaseAnswer: ...

    def release(self, lease_id: str, request: Renewal) -> LeaseAnswer: ...
