"""`lehr status`: lists studies, or shows one."""

from __future__ import annotations

from itertools import islice
from typing import Annotated

import typer

from lehr.cli import settings
from lehr.cli.commands.diagnosis import show_findings
from lehr.cli.display import output, tables
from lehr.cli.display.output import JsonOption, say
from lehr.cli.display.reasons import show_reasons
from lehr.cli.inputs.study_names import find_whole_study
from lehr.cli.settings import ServerOption
from lehr.client import Client
from lehr.wire.studies import Study

SHOWN_RUNNING = 16


def status(
    study: Annotated[str | None, typer.Argument(metavar="[STUDY]", help="Id, beginning of an id, or name.")] = None,
    json: JsonOption = False,
    server: ServerOption = settings.DEFAULT_SERVER,
) -> None:
    """List all studies, or show one: its counts, best schedule, warnings, and why trials failed."""
    with Client(server) as client:
        if study is not None:
            found = find_whole_study(client, study)
            if json:
                output.document(found.model_dump(mode="json"))
                return
            output.show(tables.study_details(found))
            _show_running(client, found)
            show_reasons(client, found)
            if found.best is not None:
                diagnosis = client.diagnosis(found.study_id)
                show_findings(diagnosis.findings)
                output.warn(diagnosis.warnings)
            return
        studies = list(client.studies())
    if json:
        output.document([summary.model_dump(mode="json") for summary in studies])
    elif studies:
        output.show(tables.studies_table(studies))
    else:
        say("no studies yet; submit one with `lehr submit FILE`")


def _show_running(client: Client, study: Study) -> None:
    """Print the study's running trials, up to SHOWN_RUNNING."""
    if study.progress.trials.get("RUNNING"):
        running = islice(client.trials(study.study_id, state="RUNNING", page_size=SHOWN_RUNNING), SHOWN_RUNNING)
        output.show(tables.running_table(running))
