"""How commands show the constraints of an answer."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from lehr.cli.display.tables import answer_details
from lehr.schedules import Cosine
from lehr.wire.answers import Answer, Feasibility
from lehr.wire.objectives import ConstraintStanding


def test_a_constraint_is_shown_with_its_bound_its_mean_and_whether_it_is_broken() -> None:
    told = {"ci95": None, "runs": 3, "broken": 1}
    standings = [
        ConstraintStanding(metric="cost", at_least=None, at_most=0.5, mean=0.4, satisfied=True, **told),
        ConstraintStanding(metric="speed", at_least=1.0, at_most=2.0, mean=2.5, satisfied=False, **told),
    ]
    answer = Answer(
        study_id="s", state="COMPLETED", metric="val_accuracy", direction="maximize", trial=3, value=0.9,
        feasibility=Feasibility(code="refuted", message="this is the nearest", constraints=standings),
        schedule=Cosine(start_lr=0.1, end_lr=0.0), horizon_steps=None, confirmation=None, baseline=None, gain=None,
        lr=None, code={},
    )  # fmt: skip
    console = Console(width=100, record=True, file=StringIO())
    console.print(answer_details(answer))
    text = console.export_text()
    assert "cost <= 0.5 " in text
    assert "speed >= 1 and <= 2: violated" in text
    assert "constraints: this is the nearest" in text
