"""The search runs before a study's lock is taken: a slow sampler blocks no other call, and budgets stay exact."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest

from lehr.space import Space
from lehr.wire.leases import FinishBatch
from lehr.wire.search_methods import SAMPLERS
from service.search.observations import Observation
from service.search.samplers.base import SearchView
from service.search.samplers.random import RandomSampler
from service.search.searcher import Searcher
from service.search.searcher_cache import ASK_SECONDS, SearcherCache
from service.services import Services
from tests.contract.test_concurrency import all_at_once, claim_as, create
from tests.support.ledgers import FakeWorker, serving, settings_for, study_spec

PATIENCE = 20.0


class Slow(RandomSampler):
    """Chooses a schedule once it may."""

    asked, may_choose = Event(), Event()

    def draw(self, view: SearchView) -> Any:
        self.asked.set()
        assert self.may_choose.wait(PATIENCE)
        return super().draw(view)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Slow]]:
    monkeypatch.setitem(SAMPLERS, "random", f"{__name__}:Slow")
    Slow.asked.clear()
    Slow.may_choose.clear()
    yield Slow
    Slow.may_choose.set()


def test_while_a_sampler_chooses_other_studies_are_served_and_its_own_takes_reports(
    database_url: str, slow: type[Slow]
) -> None:
    with serving(database_url) as client, ThreadPoolExecutor(1) as pool:
        worker = FakeWorker(client)
        client.post("/v1/studies", json=study_spec(sampler={"name": "qmc", "seed": 0}, warm_start="off"))
        held = worker.claim()
        assert held is not None
        own = client.post("/v1/studies", json=study_spec(priority=9, warm_start="off")).json()["study_id"]
        claim = pool.submit(FakeWorker(client, "w-2").claim, 1)
        assert slow.asked.wait(PATIENCE)
        assert worker.renew(held).status_code == 200
        assert worker.report(held, 10, 0.5).status_code == 200
        assert worker.finish(held).status_code == 200
        assert client.post(f"/v1/studies/{own}/pause").status_code == 200
        assert client.post(f"/v1/studies/{own}/resume").status_code == 200
        assert not claim.done()
        slow.may_choose.set()
        lease = claim.result(PATIENCE)
    assert lease is not None
    assert [trial["number"] for trial in lease["trials"]] == [0]


def test_what_a_study_was_asked_for_and_no_longer_needs_is_asked_for_again_later(
    database_url: str, slow: type[Slow]
) -> None:
    """Cancelled while its search was asked, it makes no trial; paused and resumed, it makes the same ones."""
    with serving(database_url) as client, ThreadPoolExecutor(1) as pool:
        study = client.post("/v1/studies", json=study_spec(warm_start="off")).json()["study_id"]
        claim = pool.submit(FakeWorker(client).claim, 2)
        assert slow.asked.wait(PATIENCE)
        client.post(f"/v1/studies/{study}/pause")
        slow.may_choose.set()
        assert claim.result(PATIENCE) is None
        client.post(f"/v1/studies/{study}/resume")
        first = FakeWorker(client).claim(2)
        again = client.post("/v1/studies", json=study_spec(warm_start="off")).json()["study_id"]
        second = FakeWorker(client).claim(2, study=again)
    assert first is not None
    assert second is not None
    assert [trial["schedule"] for trial in first["trials"]] == [trial["schedule"] for trial in second["trials"]]


@pytest.mark.parametrize("sampler", ["surrogate", "cmaes", "grid"])
def test_32_claimers_of_two_servers_spend_the_budget_exactly(database_url: str, sampler: str) -> None:
    servers = [Services.of(settings_for(database_url)) for _ in range(2)]
    create(servers[0], budget={"trials": 20, "parallel": 100}, sampler={"name": sampler, "seed": 0}, warm_start="off")
    calls = [lambda n=n: claim_as(servers[n % 2], f"w-{n}", max_trials=3) for n in range(32)]
    leases = [lease for lease in all_at_once(calls) if lease is not None]
    trials = [trial for lease in leases for trial in lease["trials"]]
    assert sorted(trial["number"] for trial in trials) == list(range(20))
    assert len({str(trial["schedule"]) for trial in trials}) == 20
    for server in servers:
        server.database.close()


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_one_worker_is_given_the_same_schedules_for_the_same_seed(database_url: str, sampler: str) -> None:
    services = Services.of(settings_for(database_url))
    assert _search(services, sampler) == _search(services, sampler)
    services.database.close()


def _search(services: Services, sampler: str) -> list[Any]:
    create(services, sampler={"name": sampler, "seed": 3}, budget={"trials": 18, "parallel": 8}, warm_start="off")
    schedules = []
    for _ in range(3):
        lease = claim_as(services, "w-1", max_trials=6)
        assert lease is not None
        results = [
            {
                "trial": trial["trial"],
                "attempt": 1,
                "state": "COMPLETED",
                "value": 1.0 - abs(trial["schedule"]["start_lr"] - 0.1),
            }
            for trial in lease["trials"]
        ]
        services.finishes.finish(lease["lease_id"], FinishBatch.model_validate({"trials": results}))
        schedules += [trial["schedule"] for trial in lease["trials"]]
    return schedules


def test_a_claim_that_asks_for_long_is_given_the_rest_by_the_quick_sampler() -> None:
    seconds = iter([0.0, 1.0, 2.0, *[ASK_SECONDS + 1] * 6])
    asked = SearcherCache(clock=lambda: next(seconds)).ask(_told("surrogate"), 20, 6)
    choosy, quick = _told("surrogate"), _told("surrogate")
    wanted = [choosy.ask(number, quickly=number >= 22) for number in range(20, 26)]
    assert list(asked.suggestions) == wanted
    assert wanted != [quick.ask(number, quickly=True) for number in range(20, 26)]


def test_a_slow_sampler_chooses_only_some_of_a_large_claim_whatever_the_machine() -> None:
    asked = SearcherCache().ask(_told("gp"), 20, 7)
    limited = _told("gp")
    assert list(asked.suggestions) == [limited.ask(number, quickly=number >= 24) for number in range(20, 27)]


def test_suggestions_that_are_given_back_are_made_again() -> None:
    searches, searcher = SearcherCache(), _told("grid")
    first = searches.ask(searcher, 20, 5)
    first.give_back(22)
    assert searches.ask(searcher, 22, 3).suggestions == first.suggestions[2:]


def _told(sampler: str) -> Searcher:
    """A search of 20 results."""
    searcher = Searcher(Space.of(families=["constant", "cosine"]), "minimize", sampler, 0, trials_budget=60)
    for number in range(20):
        suggestion = searcher.ask(number, quickly=True)
        loss = abs(suggestion.schedule.max_lr - 0.1)
        searcher.tell(Observation(number, suggestion.schedule.family, suggestion.point, "COMPLETED", loss))
    return searcher
