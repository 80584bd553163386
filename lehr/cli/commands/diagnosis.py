"""`lehr diagnose`: reports what is wrong with a study or a trial; also formats findings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lehr.cli import settings
from lehr.cli.display import output
from lehr.cli.display.output import JsonOption, say
from lehr.cli.inputs.study_names import find_study
from lehr.cli.settings import ServerOption
from lehr.client import Client
from lehr.wire.diagnosis import Finding
from lehr.wire.studies import StudyDiagnosis


def diagnose(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="Id, beginning of an id, or name.")],
    trial: Annotated[
        int | None, typer.Option("--trial", min=0, help="Number of the trial to diagnose instead.")
    ] = None,
    json: JsonOption = False,
    server: ServerOption = settings.DEFAULT_SERVER,
) -> None:
    """Report what is wrong with a study, or with one of its trials, and how to fix it."""
    with Client(server) as client:
        study_id = find_study(client, study).study_id
        found = client.diagnosis(study_id) if trial is None else client.trial(study_id, trial)
    findings = found.findings if isinstance(found, StudyDiagnosis) else found.diagnosis
    output.warn(found.warnings)
    if json:
        output.document(None if findings is None else [finding.model_dump(mode="json") for finding in findings])
    elif findings is None:
        say("the trial has not ended yet")
    elif findings:
        show_findings(findings)
    else:
        output.write("no problems found")


def show_findings(findings: Sequence[Finding]) -> None:
    """Print a block for each finding: code and message, remedy, field to change, and evidence."""
    for finding in findings:
        output.show(_finding_details(finding))


def _finding_details(finding: Finding) -> RenderableType:
    facts = Table.grid(padding=(0, 2))
    evidence = ", ".join(f"{name} {value:.4g}" for name, value in finding.evidence.items())
    for label, text in (("fix", finding.remedy), ("field", finding.field or ""), ("evidence", evidence)):
        if text:
            facts.add_row(Text(f"  {label}", style="dim"), Text(text))
    trial = f" (trial {finding.trial})" if finding.trial is not None else ""
    return Group(Text.assemble((finding.code, "bold yellow"), f"{trial}: {finding.message}"), facts)
