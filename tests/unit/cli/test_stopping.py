"""How commands show a search that a stop rule ended."""

from __future__ import annotations

from tests.unit.cli.conftest import Stub, lehr
from tests.unit.cli.test_commands import ANSWER
from tests.unit.client.stub import page, study

REASON = "budget.target: val_accuracy 0.97 of trial 2 reaches 0.97"
CONVERGENCE = {
    "trials": 24, "expected_improvement": 0.001, "noise": 0.01, "regret_bound": 0.02, "converged": True,
    "method": "by hand",
}  # fmt: skip


def test_a_search_that_stopped_by_a_rule_says_which_and_what_it_believed(stub: Stub) -> None:
    stub.on("GET /v1/studies/s1", study(state="COMPLETED", reason=REASON, convergence=CONVERGENCE))
    stub.on("GET /v1/studies/s1/trials", page())
    stub.on("GET /v1/studies/s1/best", ANSWER)
    assert f"before using all its trials: {REASON}" in lehr("watch", "s1", "--server", stub.url).stderr
    shown = lehr("status", "s1", "--server", stub.url).stdout
    assert "budget.target" in shown
    assert "yes, after 24 trials" in shown
    assert "regret at most 0.02" in " ".join(shown.split())
