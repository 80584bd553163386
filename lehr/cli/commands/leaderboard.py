"""`lehr leaderboard`: ranks a study's families."""

from __future__ import annotations

from rich.text import Text

from lehr.cli import settings
from lehr.cli.commands.studies import StudyArgument
from lehr.cli.display import output
from lehr.cli.display.output import JsonOption, say
from lehr.cli.display.tables import interval, number, rates
from lehr.cli.inputs.study_names import find_study
from lehr.cli.settings import ServerOption
from lehr.client import Client
from lehr.terminal import Rows
from lehr.wire.answers import Leaderboard


def leaderboard(study: StudyArgument, json: JsonOption = False, server: ServerOption = settings.DEFAULT_SERVER) -> None:
    """Rank the families by their best trial: the answer's family first, then at an equal number of trials."""
    with Client(server) as client:
        board = client.leaderboard(find_study(client, study).study_id)
    if json:
        output.document(board.model_dump(mode="json"))
        return
    output.show(board_table(board))
    output.warn(board.warnings)
    counts = {entry.equal_budget.trials for entry in board.items if entry.equal_budget}
    first = "" if board.answer is None else f"the answer, trial {board.answer}, comes first; the others are "
    if counts:
        say(f"{first}ranked by the expected best of {counts.pop()} trials of each family")


def board_table(board: Leaderboard) -> Rows:
    heads = (
        "", "family", "trials", "at equal budget", "95%", "trial", "in the search", "rates", "confirmed", "95% interval"
    )  # fmt: skip
    table = Rows(*heads, spare=("95%", "95% interval", "trials"))
    for entry in board.items:
        equal, confirmed, best = entry.equal_budget, entry.confirmation, entry.best
        table.add_row(
            str(entry.rank), entry.family, str(entry.trials),
            number(equal.mean) if equal else "", Text(interval(equal.interval95) if equal else ""),
            str(best.trial) if best else "", number(best.value) if best else "", rates(best.schedule) if best else "",
            number(confirmed.mean) if confirmed else "", Text(interval(confirmed.ci95) if confirmed else ""),
        )  # fmt: skip
    return table
