"""`lehr submit`, `lehr watch` and `lehr best`: submit a study, follow it, and show its answer."""

from __future__ import annotations

from json import dumps
from typing import Annotated, Any

import typer

from lehr.cli import settings
from lehr.cli.commands.diagnosis import show_findings
from lehr.cli.display import output, tables
from lehr.cli.display.output import JsonOption, say
from lehr.cli.display.progress import view
from lehr.cli.failures import FAILED, INTERRUPTED
from lehr.cli.follow import follow
from lehr.cli.inputs.flags import naming
from lehr.cli.inputs.study_file import read_study
from lehr.cli.inputs.study_names import find_study, find_whole_study
from lehr.cli.settings import ServerOption
from lehr.client import Client, ServerConflictError
from lehr.client.exchange import masked
from lehr.errors import Fault, InvalidValueError
from lehr.schedules.portable import export
from lehr.wire.answers import Answer
from lehr.wire.studies import Study

WATCH_TIMEOUT_SECONDS = 10.0
PICTURE_POINTS = 200

StudyArgument = Annotated[str, typer.Argument(metavar="STUDY", help="Id, beginning of an id, or name.")]


def submit(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="Study as YAML or JSON; - for stdin.")],
    watch: Annotated[bool, typer.Option("--watch", help="Follow the study until it finishes.")] = False,
    validate_only: Annotated[
        bool, typer.Option("--validate-only", help="Check the study without creating it.")
    ] = False,
    json: JsonOption = False,
    server: ServerOption = settings.DEFAULT_SERVER,
) -> None:
    """Submit a study. Prints its id."""
    spec = read_study(file)
    with Client(server) as client:
        if validate_only:
            _validate(client, spec, json)
            return
        study = client.create_study(spec)
        output.warn(study.warnings)
        output.hint(f"study {study.name} is {study.state}; follow it with:", _again("watch", study, server))
        if not watch:
            output.document(study.model_dump(mode="json")) if json else output.write(study.study_id)
            return
        if not json:
            output.write(study.study_id)
    _watch(study, server, json)


def watch(study: StudyArgument, json: JsonOption = False, server: ServerOption = settings.DEFAULT_SERVER) -> None:
    """Follow a study until it finishes. Ctrl-C stops following, not the study."""
    with Client(server) as client:
        found = find_whole_study(client, study)
    _watch(found, server, json)


def best(
    study: StudyArgument,
    code: Annotated[
        str | None,
        typer.Option(
            "--code",
            metavar="FRAMEWORK",
            help="Print code for this framework: torch, optax, … (see `lehr export --help`).",
        ),
    ] = None,
    points: Annotated[int | None, typer.Option("--points", min=1, help="Maximum number of rates to print.")] = None,
    json: JsonOption = False,
    server: ServerOption = settings.DEFAULT_SERVER,
) -> None:
    """Show the best schedule, how certain that is, and code that uses it."""
    with Client(server) as client, naming({"points": "--points"}):
        answer = client.best(find_study(client, study).study_id, points=points or (None if json else PICTURE_POINTS))
    if code is not None:
        _write_code(answer, code)
    elif json:
        output.document(answer.model_dump(mode="json"))
    else:
        _show_answer(answer)


def _write_code(answer: Answer, framework: str) -> None:
    """Print the code that the server sent, or export it here if it sent none for this framework."""
    if framework in answer.code:
        output.write(answer.code[framework])
        return
    if answer.horizon_steps is None:
        bound = "a study whose number of steps is known"
        remedy = "Wait until a trial has reported."
        raise InvalidValueError(Fault("--code", "is not available yet", bound, framework, remedy))
    with naming({"framework": "--code"}):
        exported = export(answer.schedule, framework, answer.horizon_steps)
    output.write(exported.code)
    say(exported.note if exported.exact else f"not exact: {exported.note}")


def _validate(client: Client, spec: dict[str, Any], json: bool) -> None:
    resolved = client.create_study(spec, validate_only=True)
    output.warn(resolved.warnings)
    say("the study is valid; nothing was created")
    if json:
        output.document(resolved.model_dump(mode="json"))


def _watch(study: Study, server: str, json: bool) -> None:
    """Show progress until the study ends, then the answer; exit with 1 unless the study completed."""
    last = study
    # No retries in the client: `follow` itself retries, and meanwhile shows that the server does not respond.
    try:
        with Client(server, timeout=WATCH_TIMEOUT_SECONDS, retry=None) as client, view() as screen:
            for sighting in follow(client, study.study_id):
                last = sighting.study
                screen.show(sighting)
    except KeyboardInterrupt:
        output.hint("\nthe study keeps running; follow it again with:", _again("watch", study, server))
        raise typer.Exit(INTERRUPTED) from None
    _conclude(last, server, json)


def _conclude(study: Study, server: str, json: bool) -> None:
    if json:
        output.document(study.model_dump(mode="json"))
    else:
        try:
            with Client(server) as client:
                _show_answer(client.best(study.study_id, points=PICTURE_POINTS))
            output.hint("for the complete answer, run:", f"{_again('best', study, server)} --json")
        except ServerConflictError as error:
            say(f"study {study.name} is {study.state}: {error.problem.get('detail')}")
    if study.state == "COMPLETED" and study.reason:
        say(f"the search stopped before using all its trials: {study.reason}")
    if study.state != "COMPLETED":
        say(f"study {study.name} is {study.state}" + (f": {study.reason}" if study.reason else ""), "red")
        raise typer.Exit(FAILED)


def _show_answer(answer: Answer) -> None:
    output.show(tables.answer_details(answer))
    show_findings(answer.diagnosis)
    output.warn(answer.warnings)
    # On one line, so that it can be pasted.
    output.write(dumps(answer.schedule.to_dict()))


def _again(command: str, study: Study, server: str) -> str:
    flag = "" if server == settings.DEFAULT_SERVER else f" --server {masked(server)}"
    return f"lehr {command} {study.study_id}{flag}"
