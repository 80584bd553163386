"""Commands that control a study, and those that list tasks and workers."""

from __future__ import annotations

from typing import Annotated

import typer

from lehr.cli import settings
from lehr.cli.commands.studies import StudyArgument
from lehr.cli.display import output, tables
from lehr.cli.display.output import JsonOption, say
from lehr.cli.inputs.study_file import parse, read_study
from lehr.cli.inputs.study_names import find_study
from lehr.cli.settings import ServerOption
from lehr.client import Client
from lehr.client.calls import Control


def pause(study: StudyArgument, server: ServerOption = settings.DEFAULT_SERVER) -> None:
    """Pause a study: running trials finish, no new ones start."""
    _control(study, "pause", server)


def resume(study: StudyArgument, server: ServerOption = settings.DEFAULT_SERVER) -> None:
    """Resume a paused study."""
    _control(study, "resume", server)


def stop(study: StudyArgument, server: ServerOption = settings.DEFAULT_SERVER) -> None:
    """Stop searching: let running trials finish, then confirm and answer."""
    _control(study, "stop", server)


def cancel(study: StudyArgument, server: ServerOption = settings.DEFAULT_SERVER) -> None:
    """Cancel a study at once."""
    _control(study, "cancel", server)


def delete(
    study: StudyArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Skip the confirmation prompt.")] = False,
    server: ServerOption = settings.DEFAULT_SERVER,
) -> None:
    """Delete a finished study and all its trials."""
    with Client(server) as client:
        found = find_study(client, study, newest_of_name=False)
        if not yes:
            output.confirm(f"Delete study {found.name} ({found.study_id}) and all its trials?")
        client.delete_study(found.study_id)
    say(f"deleted study {found.name} ({found.study_id})")


def enqueue(
    study: StudyArgument,
    schedule: Annotated[
        str,
        typer.Argument(
            metavar="SCHEDULE|FILE|-",
            help='A schedule as JSON, such as \'{"family": "constant", …}\', or a file with one; - for stdin.',
        ),
    ],
    json: JsonOption = False,
    server: ServerOption = settings.DEFAULT_SERVER,
) -> None:
    """Train a schedule of your own within the study's budget. Prints the trial's number."""
    inline = schedule.lstrip().startswith("{")
    document = parse(schedule, "the schedule") if inline else read_study(schedule)
    with Client(server) as client:
        trial = client.enqueue(find_study(client, study, newest_of_name=False).study_id, document)
    output.document(trial.model_dump(mode="json")) if json else output.write(str(trial.number))


def tasks(json: JsonOption = False, server: ServerOption = settings.DEFAULT_SERVER) -> None:
    """List the tasks that can be trained."""
    with Client(server) as client:
        found = client.tasks()
    if json:
        output.document([task.model_dump(mode="json") for task in found])
    elif found:
        output.show(tables.tasks_table(found))
    else:
        say("no tasks yet; workers register them. Start a worker with `lehr worker`.")


def workers(json: JsonOption = False, server: ServerOption = settings.DEFAULT_SERVER) -> None:
    """List the workers and what they train."""
    with Client(server) as client:
        found = client.workers()
    if json:
        output.document([worker.model_dump(mode="json") for worker in found])
    elif found:
        output.show(tables.workers_table(found))
        if any(worker.running_trials for worker in found):
            output.show(tables.training_table(found))
    else:
        say("no workers yet; start one with `lehr worker`")


def _control(study: str, control: Control, server: str) -> None:
    with Client(server) as client:
        found = find_study(client, study, newest_of_name=False)
        changed = getattr(client, control)(found.study_id)
    say(f"study {changed.name} ({changed.study_id}) is {changed.state}")
