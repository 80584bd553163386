"""Routes each trial's events to the lease that holds it, when trials of several leases train together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from lehr.wire.data import DataSummary
from lehr.wire.leases import Directive, LeasedTrial, Report
from lehr.wire.trials import Execution
from workers.lease.drain import Drain
from workers.lease.prefetch import LeasePrefetcher
from workers.lease.work import LeaseWork
from workers.trainer import Outcome


class LeaseRouter:
    """The trainer's channel for one lease, and for later leases of the same study that filled its free places.

    `_works`: the names of the unfinished trials, by lease.
    """

    def __init__(
        self,
        work: LeaseWork,
        prefetcher: LeasePrefetcher,
        drain: Drain,
        want_processes: Callable[[str, int], object] | None = None,
    ) -> None:
        """`want_processes`: called with the study and the number of processes in which it trains fastest."""
        self._study = work.study.study_id
        self._want_processes = want_processes or (lambda study, processes: None)
        self._prefetcher = prefetcher
        self._drain = drain
        self._works: dict[LeaseWork, set[str]] = {}
        self._of: dict[str, LeaseWork] = {}
        self._take_in(work)

    def close(self) -> None:
        """Release all trials without a result."""
        while self._works:
            work, _ = self._works.popitem()
            work.close()

    @property
    def draining(self) -> bool:
        return self._drain.requested.is_set()

    def want(self, places: int) -> None:
        if not self.draining:
            self._prefetcher.want(places)

    def arrivals(self) -> list[LeasedTrial]:
        work = None if self.draining else self._prefetcher.take(self._study)
        return [] if work is None else self._take_in(work)

    def start(self, trial: LeasedTrial, execution: Execution) -> None:
        self._want_processes(self._study, execution.processes)
        self._of[trial.trial].start(trial, execution)

    def explain(self, trial: LeasedTrial, execution: Execution) -> None:
        self._of[trial.trial].explain(trial, execution)

    def open(self, trial: LeasedTrial, horizon_steps: int, data: DataSummary | None = None) -> None:
        self._of[trial.trial].open(trial, horizon_steps, data)

    def step(self, trial: str, step: int) -> None:
        self._of[trial].step(trial, step)

    def put(self, trial: str, reports: Sequence[Report]) -> None:
        self.put_all({trial: reports})

    def put_all(self, reports: Mapping[str, Sequence[Report]]) -> None:
        for work in self._works:
            own = {trial: new for trial, new in reports.items() if self._of[trial] is work}
            if own:
                work.put_all(own)

    def pending(self, trial: str) -> list[Report]:
        return self._of[trial].pending(trial)

    def announce(self, trial: str, checkpoint: str) -> None:
        self._of[trial].announce(trial, checkpoint)

    def directive(self, trial: str) -> Directive:
        return self._of[trial].directive(trial)

    def end(self, trial: LeasedTrial, outcome: Outcome) -> None:
        self.end_all([(trial, outcome)])

    def end_all(self, outcomes: Sequence[tuple[LeasedTrial, Outcome]]) -> None:
        for work, left in list(self._works.items()):
            own = [(trial, outcome) for trial, outcome in outcomes if self._of[trial.trial] is work]
            if own:
                work.end_all(own)
                left.difference_update(trial.trial for trial, _ in own)
            if not left:
                # A router may serve one study for days, so finished leases must not pile up.
                del self._works[work]
                work.close()

    def _take_in(self, work: LeaseWork) -> list[LeasedTrial]:
        self._works[work] = {trial.trial for trial in work.trials}
        # A released trial may come back with a later lease, and then belongs to that lease.
        self._of.update({trial.trial: work for trial in work.trials})
        return work.trials
