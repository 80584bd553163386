"""`lehr demo`: runs a complete study on real data and prints its answer."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from lehr.cli.commands.up import DEFAULT_HOST, running
from lehr.cli.display import output
from lehr.cli.display.output import say
from lehr.cli.display.progress import view
from lehr.cli.display.tables import interval, number, rates
from lehr.cli.failures import FAILED
from lehr.cli.follow import follow
from lehr.cli.local.supervisor import Plan, Supervisor
from lehr.client import Client
from lehr.errors import LehrError
from lehr.terminal import Rows
from lehr.wire.answers import Answer
from lehr.wire.studies import Study
from lehr.wire.trials import Trial

FOLDER = Path(".demo")
MARK = "made-by-lehr-demo"
WORKERS = 2
POINTS = 9
LONGEST_SECONDS = 600.0
"""Ten times what the demo takes on two cores."""
STUDY: dict[str, Any] = {
    "name": "demo",
    "task": {"name": "digits", "params": {"model": "cnn", "epochs": 4, "batch_size": 32, "optimizer": "sgd"}},
    "space": {
        "families": ["constant", "step", "exponential", "linear", "cosine", "one_cycle"],
        "start_lr": {"low": 1e-4, "high": 1.0},
        "end_lr": {"low": 1e-6, "high": 1e-1},
    },
    "objective": {"metric": "val_loss", "direction": "minimize"},
    "sampler": {"name": "tpe", "seed": 0},
    "budget": {"trials": 30, "parallel": 4},
    "confirm": {"top": 3, "seeds": 5},
}


class DemoFolderError(LehrError):
    """The demo's folder contains other files."""


class DemoTimeoutError(LehrError):
    """The demo did not finish in time."""


def demo(
    data: Annotated[
        Path, typer.Option("--data", metavar="DIR", help="Folder for the demo's data; emptied at each run.")
    ] = FOLDER,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the folder, to open it with `lehr up --data DIR`.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print only the answer, as JSON.")] = False,
) -> None:
    """Run a whole study on handwritten digits: submit, search, confirm, answer. Takes about a minute."""
    plan = Plan(DEFAULT_HOST, 0, WORKERS)
    plan.require_programs()
    make_anew(data)
    with running(data, plan) as supervisor, Client(supervisor.url) as client:
        say(f"running a server and {WORKERS} workers on {supervisor.url}")
        study = _search(client, supervisor)
        answer = client.best(study.study_id, points=POINTS)
        trials = list(client.trials(study.study_id, purpose="search", state="COMPLETED", order="value"))
    if not json:
        output.show(_comparison(answer, trials))
    output.document(answer.model_dump(mode="json", exclude={"code"}))
    if keep:
        say(f"kept {data}; open it with `lehr up --data {data}`, then run `lehr best {study.study_id} --code torch`")
    else:
        shutil.rmtree(data)


def make_anew(folder: Path) -> None:
    """Create or empty the folder. Raises DemoFolderError if it contains files that are not from a demo."""
    try:
        if folder.is_dir() and any(folder.iterdir()):
            if not (folder / MARK).is_file():
                raise DemoFolderError(f"{folder} contains files that are not from a demo. Choose another --data.")
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MARK).touch()
    except OSError as error:
        raise DemoFolderError(f"{folder} cannot be used: {error.strerror}.") from error


def _search(client: Client, supervisor: Supervisor) -> Study:
    study = client.create_study(STUDY)
    started = time.monotonic()
    families, trials = len(STUDY["space"]["families"]), STUDY["budget"]["trials"]
    say(f"searching {families} families with {trials} trials of a CNN on scikit-learn's handwritten digits")
    with view() as screen:
        for sighting in follow(client, study.study_id, between=supervisor.tick):
            study = sighting.study
            screen.show(sighting)
            if time.monotonic() - started > LONGEST_SECONDS:
                raise DemoTimeoutError(f"The study is still {study.state} after {LONGEST_SECONDS:g} s. See the logs.")
    if study.state != "COMPLETED":
        say(f"the study is {study.state}: {study.reason}", "red")
        raise typer.Exit(FAILED)
    return study


def _comparison(answer: Answer, trials: Iterable[Trial]) -> Rows:
    """The best trial of each family, then the confirmed results of the winner and of the best constant rate."""
    table = Rows("", "rates", answer.metric, "95% interval")
    best: dict[str, Trial] = {}
    for trial in trials:
        best.setdefault(trial.schedule.family, trial)
    for family, trial in best.items():
        table.add_row(f"best {family}", rates(trial.schedule), number(trial.value), "")
    if answer.confirmation:
        confirmed = answer.confirmation
        what = f"winner, on {confirmed.seeds} fresh seeds: {answer.schedule.family}"
        table.add_row(what, rates(answer.schedule), number(confirmed.mean), Text(interval(confirmed.ci95)))
    if answer.baseline:
        base = answer.baseline
        what = "best constant rate, on the same seeds"
        table.add_row(what, rates(base.schedule), number(base.mean), Text(interval(base.ci95)))
    if answer.gain:
        table.add_row(f"gain: {answer.gain.verdict}", "", f"{answer.gain.mean:+.4g}", Text(interval(answer.gain.ci95)))
    return table
