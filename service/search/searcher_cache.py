"""Caches a searcher per study between calls, so that a call reads only the trials that changed since the last one.

There are two separate kinds. One chooses schedules, outside any transaction, and is used by one claim at a time
(`turn`). The other judges running trials under their study's lock.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakValueDictionary

from lehr.schedules import schedule_from_dict
from service.ranges.bounds import found_bounds, searched_space
from service.search.observations import Suggestion
from service.search.registry import curve_pruner
from service.search.results import changed_trials, observations, reports_of
from service.search.searcher import Searcher
from service.store.database import Transaction
from service.store.seeds import search_seed
from service.store.tables import StudyRow, TrialRow

CAPACITY = 256
"""Maximum number of cached searchers. Each holds at most a few thousand small records."""

PRUNERS_REMEMBERED = 4096

TURN_SECONDS = 5.0
"""How long a claim waits for another claim that uses the same search."""

ASK_SECONDS = 10.0
"""Time limit for a slow sampler per claim; a quick one chooses the remaining schedules."""


@dataclass
class CachedSearcher:
    """A searcher, and the study's revision up to which it knows everything.

    `found`: the range test's bounds at the time the searcher was created. The test may have run in another process.
    """

    searcher: Searcher
    found: dict[str, Any] | None
    revision: int = -1


@dataclass(frozen=True)
class Asked:
    """Suggestions for the study's next trials, from the number `first` on, whose rows do not exist yet."""

    searcher: Searcher
    first: int
    suggestions: Sequence[Suggestion]

    def give_back(self, first_unused: int) -> None:
        """Make the searcher forget the suggestions from this number on, for which no trial was created."""
        for number in range(max(first_unused, self.first), self.first + len(self.suggestions)):
            self.searcher.forget(number)


class _Kept:
    """An LRU cache of at most `capacity` searchers."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._warm: OrderedDict[str, CachedSearcher] = OrderedDict()
        self._guard = threading.Lock()

    def of(self, study: StudyRow) -> CachedSearcher:
        with self._guard:
            warm = self._warm.pop(study.id, None)
            if warm is None or warm.found != found_bounds(study):
                warm = CachedSearcher(_searcher(study), found_bounds(study))
            self._warm[study.id] = warm
            while len(self._warm) > self._capacity:
                self._warm.popitem(last=False)
        return warm

    def forget(self, study_id: str) -> None:
        with self._guard:
            self._warm.pop(study_id, None)


class _Turn:
    """A lock that is removed once nobody holds or awaits it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()


@dataclass
class SearcherCache:
    """The searchers of this process. `clock`: in seconds, for the time limit of a claim."""

    capacity: int = CAPACITY
    clock: Callable[[], float] = time.monotonic
    _pruners: OrderedDict[str, bool] = field(default_factory=OrderedDict)
    _guard: threading.Lock = field(default_factory=threading.Lock)
    _turns: WeakValueDictionary[str, _Turn] = field(default_factory=WeakValueDictionary)

    def __post_init__(self) -> None:
        self._asking, self._judging = _Kept(self.capacity), _Kept(self.capacity)

    @contextmanager
    def turn(self, study_id: str) -> Iterator[bool]:
        """Whether the caller may now use the study's search; False after waiting for TURN_SECONDS.

        Do not wait for it inside a transaction: the claim that has the turn writes to the database next.
        """
        with self._guard:
            turn = self._turns.setdefault(study_id, _Turn())
        is_ours = turn.lock.acquire(timeout=TURN_SECONDS)
        try:
            yield is_ours
        finally:
            if is_ours:
                turn.lock.release()

    def synced(self, transaction: Transaction, study: StudyRow) -> Searcher:
        """The searcher that chooses the study's schedules, up to date with all commits. Needs the turn."""
        warm = self._asking.of(study)
        if warm.searcher.next_number > study.next_number:  # it knows trials that were never created
            self._asking.forget(study.id)
            warm = self._asking.of(study)
        _tell(transaction, study, warm, sure_revision=study.revision)
        return warm.searcher

    def ask(self, searcher: Searcher, first: int, count: int, *, quickly: bool = False) -> Asked:
        """Choose schedules for `count` trials from the number `first` on. Needs the turn, and no transaction.

        A slow sampler chooses at most `most_at_once` of them, and none after ASK_SECONDS.
        """
        ends = self.clock() + ASK_SECONDS
        suggestions: list[Suggestion] = []
        for at in range(count):
            quickly = quickly or at >= searcher.most_at_once or self.clock() > ends
            suggestions.append(searcher.ask(first + at, quickly=quickly))
        return Asked(searcher, first, suggestions)

    def should_prune(self, transaction: Transaction, study: StudyRow, trial: TrialRow) -> bool:
        """Whether the search stops a running trial after its last report. Needs the study's lock."""
        if trial.horizon_steps is None:
            return False
        warm = self._judging.of(study)
        # This report has increased the revision but may still be rolled back, so its changes are read again.
        _tell(transaction, study, warm, sure_revision=study.revision - 1)
        reports = reports_of(transaction, [trial.id], study.spec.objective.metric).get(trial.id, ())
        schedule = schedule_from_dict(trial.schedule)
        return warm.searcher.should_prune(
            trial.number, schedule, trial.horizon_steps, reports, guessed=trial.origin != "sampler"
        )

    def may_prune(self, study_id: str) -> bool:
        """Whether the study may have a pruner, according to the cache; `prunes` gives the exact answer."""
        with self._guard:
            return self._pruners.get(study_id, True)

    def prunes(self, transaction: Transaction, study_id: str) -> bool:
        """Whether the study has a pruner that judges reports; cached, because every report needs it."""
        with self._guard:
            known = self._pruners.get(study_id)
        if known is None:
            known = curve_pruner(transaction.known_study(study_id).spec.pruner.name) is not None
            with self._guard:
                self._pruners[study_id] = known
                while len(self._pruners) > PRUNERS_REMEMBERED:
                    self._pruners.popitem(last=False)
        return known

    def forget(self, study_id: str) -> None:
        """Drop the study's searchers. The next call rebuilds them from the rows."""
        self._asking.forget(study_id)
        self._judging.forget(study_id)


def create_trials(transaction: Transaction, study: StudyRow, suggestions: Sequence[Suggestion]) -> list[TrialRow]:
    """Create the trials that the search suggested, and spend their budget. Needs the study's lock."""
    trials = []
    for suggestion in suggestions:
        trial = new_trial(study, suggestion.schedule.to_dict(), purpose="search", origin="sampler")
        trial.point = dict(suggestion.point)
        trial.queued_at = transaction.now
        study.trials_created += 1
        trials.append(trial)
    transaction.session.add_all(trials)
    return trials


def _tell(transaction: Transaction, study: StudyRow, warm: CachedSearcher, sure_revision: int) -> None:
    """Pass all changed trials to the searcher; `sure_revision`: the last revision that is certainly committed."""
    changed = changed_trials(transaction, study.id, warm.searcher, warm.revision)
    for observation in observations(transaction, study, changed):
        warm.searcher.tell(observation)
    warm.revision = sure_revision


def new_trial(study: StudyRow, schedule: dict[str, Any], *, purpose: str, origin: str) -> TrialRow:
    """A waiting trial with the study's next number, and the seed that a search trial with this number has."""
    trial = TrialRow(
        id=f"{study.id}-{study.next_number}",
        study_id=study.id,
        number=study.next_number,
        purpose=purpose,
        origin=origin,
        state="WAITING",
        seed=search_seed(study.spec.sampler.seed, study.next_number),
        family=schedule["family"],
        schedule=schedule,
        attempt=0,
        losses=0,
        horizon_fraction=1.0,
        revision=study.revision + 1,
    )
    study.next_number += 1
    return trial


def _searcher(study: StudyRow) -> Searcher:
    spec = study.spec
    return Searcher(
        space=searched_space(study).to_space(),
        direction=spec.objective.direction,
        sampler=spec.sampler.name,
        seed=spec.sampler.seed,
        trials_budget=study.budget_trials,
        pruner=spec.pruner.name,
    )
