"""Shows why trials of a study failed, grouped by reason."""

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
"""The most failed trials to read: a study may have thousands, but few distinct reasons."""


def show_reasons(client: Client, study: Study) -> None:
    """Print the reasons, if any trial failed."""
    if study.progress.trials.get("FAILED"):
        failed = islice(client.trials(study.study_id, state="FAILED", page_size=MOST_READ), MOST_READ)
        output.show(reasons_table(failed))


def reasons_table(failed: Iterable[Trial]) -> Rows:
    numbers: dict[str, list[int]] = defaultdict(list)
    for trial in failed:
        numbers[_reason(trial)].append(trial.number)
    table = Rows("failed", "reason")
    for reason, which in numbers.items():
        others = f" and {len(which) - 1} more" if len(which) > 1 else ""
        table.add_row(f"{which[0]}{others}", Text(reason, style="red"))
    return table


def _reason(trial: Trial) -> str:
    """The last line of the error, which names it; the trial's document has the whole error."""
    lines = (trial.error or "").strip().splitlines()
    return lines[-1] if lines else "unknown"
