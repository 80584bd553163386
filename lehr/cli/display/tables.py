"""Formats studies, trials, answers, tasks and workers as tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lehr.cli.display.data_lines import data_lines
from lehr.cli.display.output import out
from lehr.cli.display.plot import draw
from lehr.schedules import Schedule
from lehr.space.equality import same_schedule
from lehr.terminal import Rows
from lehr.wire.answers import Answer
from lehr.wire.fleet import Task, Worker
from lehr.wire.front import Front
from lehr.wire.objectives import ConstraintStanding
from lehr.wire.studies import Study, StudySummary
from lehr.wire.training import CELLS, LONGEST_SECONDS, in_cells
from lehr.wire.trials import Trial

STATE_STYLES = {
    "COMPLETED": "green", "RUNNING": "cyan", "CONFIRMING": "cyan", "STOPPING": "cyan", "PAUSED": "yellow",
    "PRUNED": "yellow", "DIVERGED": "magenta", "CANCELLED": "yellow", "FAILED": "red",
}  # fmt: skip
FRONT_ROWS = 5
"""The most rows of an answer's front to show; `lehr front` shows all."""
PLOT_WIDTH = 60
PLOT_LABELS = 12
"""The width of the labels beside a plot."""
VERDICTS = {
    "better": "better than the best constant rate",
    "tie": "a tie with the best constant rate: the difference may be chance",
    "worse": "worse than the best constant rate",
}


def state_text(state: str) -> Text:
    return Text(state, style=STATE_STYLES.get(state, ""))


def number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def interval(bounds: tuple[float, float] | None) -> str:
    return f"[{bounds[0]:.4g}, {bounds[1]:.4g}]" if bounds else ""


def duration(seconds: float | None) -> str:
    if seconds is None or not seconds < LONGEST_SECONDS:
        return "?"
    return str(timedelta(seconds=round(max(0.0, seconds))))


def rates(schedule: Schedule) -> str:
    """The schedule's rates from first to last: `0.01 → 0.12 → 0.0003`."""
    through = [schedule.start_lr, *([schedule.peak_lr] if schedule.peak_lr is not None else []), schedule.end_lr]
    return " → ".join(
        f"{rate:.3g}" for rate in (through[:1] if schedule.family == "constant" and len(through) < 3 else through)
    )


def best_text(study: Study) -> str:
    metric = study.spec.get("objective", {}).get("metric", "value")
    best = study.best
    if best is None:
        return f"best {metric}: none yet"
    known = best.confirmation
    where = f"on {known.seeds} fresh seeds" if known else "in the search, not confirmed,"
    value = known.mean if known else best.value
    return f"best {metric} {value:.4g} {where} by trial {best.trial}: {best.schedule.family} {rates(best.schedule)}"


def studies_table(studies: Iterable[StudySummary]) -> Rows:
    heads = ("study", "name", "state", "done", "best", "time left", "created")
    table = Rows(*heads, ids=("study",), spare=("created", "time left"))
    for study in studies:
        done = f"{study.progress.finished}/{study.progress.planned}"
        left = "" if study.finished_at else duration(study.progress.eta_seconds)
        created = study.created_at.astimezone().strftime("%Y-%m-%d %H:%M")
        table.add_row(study.study_id, Text(study.name), state_text(study.state), done, _best(study), left, created)
    return table


def _best(study: StudySummary) -> str:
    if study.best is None:
        return ""
    known, family = study.best.confirmation, study.best.schedule.family
    return f"{known.mean:.4g} {family}" if known else f"{study.best.value:.4g} {family} (search)"


def study_details(study: Study) -> RenderableType:
    facts = Table.grid(padding=(0, 2))
    counts = ", ".join(f"{count} {state}" for state, count in study.progress.trials.items() if count)
    rows: dict[str, RenderableType] = {
        "study": Text(f"{study.study_id}  {study.name}"),
        "state": Text.assemble(state_text(study.state), f"  {study.reason}" if study.reason else ""),
        "trainings": f"{study.progress.finished} of {study.progress.planned} done ({study.progress.fraction:.0%})",
        "trials": counts or "none yet",
        "time left": "" if study.finished_at else duration(study.progress.eta_seconds),
        "best": Text(best_text(study).removeprefix("best ")),
        "converged": Text(_convergence_text(study)),
        "data": Text(_data_text(study)),
    }
    for name, value in rows.items():
        if value:
            facts.add_row(Text(name, style="dim"), value)
    warnings = [Text(f"warning: {warning.message}", style="yellow") for warning in study.warnings]
    return Group(facts, *warnings)


def _data_text(study: Study) -> str:
    return "" if study.data is None else "\n".join(data_lines(study.data))


def _convergence_text(study: Study) -> str:
    known = study.convergence
    if known is None:
        return ""
    yes = "yes" if known.converged else "no"
    expected = f"expected improvement {known.expected_improvement:.2g}, noise {known.noise:.2g}"
    return f"{yes}, after {known.trials} trials: {expected}, regret at most {known.regret_bound:.2g}"


def trials_table(trials: Iterable[Trial], metric: str) -> Rows:
    heads = ("trial", "purpose", "family", "rates", "state", metric, "took")
    table = Rows(*heads, spare=("took", "purpose", "rates"))
    for trial in trials:
        took = trial.finished_at - trial.started_at if trial.finished_at and trial.started_at else None
        table.add_row(
            str(trial.number), trial.purpose, trial.schedule.family, rates(trial.schedule), state_text(trial.state),
            number(trial.value), f"{took.total_seconds():.1f} s" if took else "",
        )  # fmt: skip
    return table


def answer_details(answer: Answer) -> RenderableType:
    """The answer with its confirmation, comparisons, remarks, front, and a plot of its rates."""
    table = Rows("", answer.metric, "95% interval")
    how = f", mean of {answer.evaluations.count} evaluations" if answer.evaluations else ""
    table.add_row(f"in the search (trial {answer.trial}{how})", number(answer.value), "")
    if answer.confirmation:
        confirmed = answer.confirmation
        table.add_row(f"confirmed on {confirmed.seeds} seeds", number(confirmed.mean), Text(interval(confirmed.ci95)))
    if answer.baseline:
        rate = f"best constant rate {answer.baseline.schedule.start_lr:.3g}"
        table.add_row(rate, number(answer.baseline.mean), Text(interval(answer.baseline.ci95)))
    _add_constraints(table, answer)
    is_constant = answer.baseline is not None and same_schedule(answer.baseline.schedule, answer.schedule)
    if answer.gain and not is_constant:
        table.add_row("gain over it", f"{answer.gain.mean:+.4g}", Text(interval(answer.gain.ci95)))
    for other in answer.comparisons:
        name = f"baseline {other.schedule.family} (trial {other.trial})"
        table.add_row(name, number(other.mean), Text(interval(other.ci95)))
        if other.gain:
            verdict = f"gain over it: {other.gain.verdict}"
            table.add_row(verdict, f"{other.gain.mean:+.4g}", Text(interval(other.gain.ci95)))
    parts: list[RenderableType] = [Text(f"{answer.schedule.family} {rates(answer.schedule)}", style="bold"), table]
    parts += [Text(line) for line in _remarks(answer, is_constant=is_constant)]
    if (front := _front(answer)) is not None:
        parts.append(front)
    if answer.lr and len(answer.lr.step) > 1:
        parts.append(Text("\n".join(plot(answer.lr.step, answer.lr.value, height=8))))
    return Group(*parts)


def _remarks(answer: Answer, *, is_constant: bool) -> Iterator[str]:
    if answer.feasibility:
        yield f"constraints: {answer.feasibility.message}"
    if answer.gain:
        verdict = "the answer is the best constant rate itself" if is_constant else VERDICTS[answer.gain.verdict]
        yield f"verdict: {verdict}"
    if answer.recommendation:
        yield f"why this one: {answer.recommendation.message}"


def _add_constraints(table: Rows, answer: Answer) -> None:
    for constraint in answer.feasibility.constraints if answer.feasibility else ():
        state = "" if constraint.satisfied else ": violated"
        table.add_row(f"{bounds_text(constraint)}{state}", number(constraint.mean), Text(interval(constraint.ci95)))


def front_table(front: Front) -> Rows:
    """The trials on the front, sorted by steps to the target."""
    table = Rows("trial", "steps to target", front.metric, "rate sensitivity", "family", "rates")
    for item in front.items:
        cells = (f"{item.steps:g}", number(item.value), number(item.rate_sensitivity))
        table.add_row(str(item.trial), *cells, item.schedule.family, rates(item.schedule))
    return table


def _front(answer: Answer) -> RenderableType | None:
    """The first rows of the answer's front."""
    if answer.front is None or len(answer.front.items) < 2:
        return None
    shown = answer.front.model_copy(update={"items": answer.front.items[:FRONT_ROWS]})
    title = f"trade-offs: steps to {shown.metric} {shown.target:.4g}, and how much worse at half or twice the rates"
    return Group(Text(title), front_table(shown))


def bounds_text(constraint: ConstraintStanding) -> str:
    """A constraint as a formula: `val_accuracy >= 0.97`."""
    low, high = constraint.at_least, constraint.at_most
    bounds = [f"{sign} {bound:g}" for sign, bound in ((">=", low), ("<=", high)) if bound is not None]
    return f"{constraint.metric} {' and '.join(bounds)}"


def tasks_table(tasks: Iterable[Task]) -> Rows:
    table = Rows("task", "workers", "live", "metrics")
    for task in tasks:
        table.add_row(task.name, str(task.workers), _yes(task.live), ", ".join(task.metrics or []))
    return table


def workers_table(workers: Iterable[Worker]) -> Rows:
    table = Rows("worker", "device", "live", "trials", "last seen", "tasks")
    for worker in workers:
        seen = worker.last_seen_at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        tasks = Text(", ".join(worker.tasks))
        table.add_row(
            Text(worker.name), Text(worker.device), _yes(worker.live), str(worker.running_trials), seen, tasks
        )
    return table


def training_table(workers: Iterable[Worker]) -> Rows:
    """The trials that each worker is running."""
    table = Rows("worker", "study", "trial", "family", *CELLS, ids=("study",), spare=("memory", "busy"))
    for worker in workers:
        name = Text(worker.name)
        for trial in worker.training:
            cells = in_cells(trial.progress, trial.step, trial.horizon_steps)
            table.add_row(name, trial.study_id, str(trial.number), trial.family, *cells)
        if worker.running_trials > len(worker.training):
            table.add_row(name, f"and {worker.running_trials - len(worker.training)} more")
    return table


def running_table(trials: Iterable[Trial]) -> Rows:
    """Running trials and their progress."""
    table = Rows("running", "purpose", "family", "rates", *CELLS, spare=("memory", "busy", "purpose"))
    for trial in trials:
        description = (str(trial.number), trial.purpose, trial.schedule.family, rates(trial.schedule))
        table.add_row(*description, *in_cells(trial.progress, trial.step, trial.horizon_steps))
    return table


def unicode_output() -> bool:
    return out.encoding.lower().replace("-", "").startswith("utf")


def plot_width() -> int:
    """The width of a plot: 60 characters, or less in a narrow terminal."""
    return min(PLOT_WIDTH, max(PLOT_LABELS, out.width - PLOT_LABELS)) if out.is_terminal else PLOT_WIDTH


def plot(x: Sequence[float], y: Sequence[float], *, height: int = 12, log: bool = False) -> list[str]:
    """The lines of a plot that fits the terminal."""
    return draw(x, y, width=plot_width(), height=height, log=log, plain=not unicode_output())


def _yes(live: bool) -> Text:
    return Text("yes", style="green") if live else Text("no", style="dim")
