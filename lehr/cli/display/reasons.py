"""Why trials of a study failed, for people: each reason once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import islice

from rich.text import Text

from lehr.cli.display import output
from lehr.client import Client
from lehr.terminal import Rows
from lehr.wire.studies import Study
from lehr.wire.trials import Trial

MOST_READ = 100
"""Failed trials that are looked at: a study may have thousands, and few reasons."""


def show_reasons(client: Client, study: Study) -> None:
    """Print them, if any trial failed."""
    if study.progress.trials.get("FAILED"):
        failed = islice(client.trials(study.study_id, state="FAILED", page_size=MOST_READ), MOST_READ)
        output.show(reasons_table(failed))


def reasons_table(failed: Iterable[Trial]) -> Rows:
    numbers: dict[str, list[int]] = defaultdict(list)
    for trial in failed:
        numbers[_reason(trial)].append(trial.number)
    table = Rows("failed", "because")
    for reason, which in numbers.items():
        others = f" and {len(which) - 1} more" if len(which) > 1 else ""
        table.add_row(f"{which[0]}{others}", Text(reason, style="red"))
    return table


def _reason(trial: Trial) -> str:
    """The error's last line, which names it; all of it is in the trial's document."""
    lines = (trial.error or "").strip().splitlines()
    return lines[-1] if lines else "nobody said why"
