"""`Directives` keeps the strongest directive of each trial."""

from __future__ import annotations

import pytest

from lehr.errors import ServerError
from lehr.schedules import schedule_from_dict
from lehr.wire.leases import LeasedTrial
from workers.lease.directives import Directives


def directives(*names: str) -> Directives:
    schedule = schedule_from_dict({"family": "constant", "start_lr": 0.1, "end_lr": 0.1})
    return Directives(
        LeasedTrial(
            trial=name,
            number=0,
            attempt=2,
            purpose="search",
            seed=0,
            schedule=schedule,
            horizon_fraction=1.0,
            checkpoint=None,
        )
        for name in names
    )


def test_a_beats_continue_does_not_undo_a_reports_prune() -> None:
    b = directives("t1")
    b.post({"t1": "prune"})
    b.post({"t1": "continue"})
    assert b.directive("t1") == "prune"
    b.post({"t1": "lost"})
    assert b.directive("t1") == "lost"


def test_trials_of_no_concern_are_passed_over() -> None:
    b = directives("t1")
    b.post({"another": "prune"})
    assert b.directive("t1") == "continue"


def test_lost_done_and_settled_trials_are_not_held_any_more() -> None:
    b = directives("t1", "t2", "t3", "t4")
    b.post({"t1": "lost", "t2": "done", "t3": "prune"})
    b.settle("t4")
    assert [(held.trial, held.attempt) for held in b.held()] == [("t3", 2)]


def test_what_the_server_refused_is_raised_in_training() -> None:
    b = directives("t1", "t2")
    b.fail(["t1"], ServerError(422, {"title": "no"}))
    with pytest.raises(ServerError, match="422 no"):
        b.directive("t1")
    assert b.directive("t2") == "continue"
