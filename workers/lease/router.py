"""Where trials of several leases are trained side by side: each is handed in at its own lease."""

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
    """The channel of a trainer: of one lease, and of those of the same study that were claimed for places it had free.

    `_works`: leases with the names of their trials that have not ended.
    """

    def __init__(
        self,
        work: LeaseWork,
        prefetcher: LeasePrefetcher,
        drain: Drain,
        want_processes: Callable[[str, int], object] | None = None,
    ) -> None:
        """`want_processes`: is told in how many processes at once the study is trained best."""
        self._study = work.study.study_id
        self._want_processes = want_processes or (lambda study, processes: None)
        self._prefetcher = prefetcher
        self._drain = drain
        self._works: dict[LeaseWork, set[str]] = {}
        self._of: dict[str, LeaseWork] = {}
        self._take_in(work)

    def close(self) -> None:
        """Give back what has no result."""
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
            of_it = {trial: some for trial, some in reports.items() if self._of[trial] is work}
            if of_it:
                work.put_all(of_it)

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
            of_it = [(trial, outcome) for trial, outcome in outcomes if self._of[trial.trial] is work]
            if of_it:
                work.end_all(of_it)
                left.difference_update(trial.trial for trial, _ in of_it)
            if not left:
                # One study may keep a router busy for days, lease after lease.
                del self._works[work]
                work.close()

    def _take_in(self, work: LeaseWork) -> list[LeasedTrial]:
        self._works[work] = {trial.trial for trial in work.trials}
        # Who was given back, and comes again with the next lease, is of that one.
        self._of.update({trial.trial: work for trial in work.trials})
        return work.trials
