"""`python -m workers`: runs one worker."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from workers.lease.drain import Drain

if TYPE_CHECKING:
    from workers.settings import WorkerSettings


_FLAGS: tuple[tuple[str, str, Callable[[str], float | str], str], ...] = (
    ("--server", "URL", str, "Server URL (default http://127.0.0.1:8765)"),
    ("--device", "auto|cpu|mps|cuda:N", str, "Device to train on (default auto)"),
    ("--name", "NAME", str, "Name shown in lists of workers (default host/process)"),
    ("--tasks", "NAME,…", str, "Tasks to offer (default all built-in tasks)"),
    ("--data-dir", "DIR", str, "Folder that holds the data sets (default lehr-data/datasets)"),
    ("--checkpoints", "DIR|URL", str, "Where checkpoints are stored (default lehr-data/checkpoints)"),
    ("--checkpoint-seconds", "S", float, "Seconds between checkpoints of a trial (default 60)"),
    ("--hang-seconds", "S", float, "Fail a trial that makes no progress for this many seconds (default 600)"),
    ("--memory-limit-mib", "MIB", float, "Memory limit for training (default no limit)"),
    ("--gpu-memory-share", "F", float, "Fraction of the GPU's memory to use, in (0, 1] (default no limit)"),
    ("--max-trials", "K", int, "Trials to lease at once (default 1)"),
    ("--cohort", "auto|off|K", str, "Trials to train together as one model (default off)"),
    ("--probe-after", "S", float, "Seconds of solo training before `--cohort auto` benchmarks a task (default 20)"),
    ("--processes", "N", int, "Maximum number of concurrent training processes (default 4 on a GPU, else 1)"),
    ("--calibration", "DIR", str, "Folder for measured cohort sizes (default lehr-data/calibration)"),
    ("--cuda-graphs", "auto|off", str, "Replay training steps as CUDA graphs (default auto)"),
    ("--threads", "N", int, "CPU threads for each operation (default 1)"),
    ("--log-level", "debug|info|warning|error", str, "Lowest severity to log (default info)"),
    ("--log-format", "console|json", str, "Log format (default console)"),
)
_SETTINGS = {"--name": "worker_name", "--max-trials": "trials_per_lease"}
"""Flags whose setting has a different name."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the worker. Returns 0 when drained, 1 when refused or unable to train, 2 for invalid settings."""
    given = {name: value for name, value in vars(parser().parse_args(arguments)).items() if value is not None}
    drain = Drain()
    drain.install()
    # Imported late, so that `--help` and signals during start-up take effect at once.
    from pydantic import ValidationError

    from lehr.client.exchange import masked
    from workers.settings import WorkerSettings, prepare_environment

    try:
        settings = WorkerSettings(**given)
    except ValidationError as error:
        for detail in error.errors():
            field, got = str(detail["loc"][0]), detail["input"]
            shown = masked(str(got)) if field == "server" else got
            print(f"workers: {_flag(field, given)}: {detail['msg']} (got {shown!r})", file=sys.stderr)
        return 2
    prepare_environment()
    return _work(settings, drain, given)


def _flag(setting: str, given: Collection[str]) -> str:
    """The flag or environment variable that a setting came from."""
    flags = {_SETTINGS.get(flag, flag[2:].replace("-", "_")): flag for flag, *_ in _FLAGS}
    return flags[setting] if setting in given else f"LEHR_{setting.upper()}"


def _work(settings: WorkerSettings, drain: Drain, given: Collection[str]) -> int:
    import structlog

    from lehr.client.exchange import masked
    from lehr.errors import InvalidValueError, ServerError
    from workers.child.child_trainer import ChildTrainer
    from workers.child.session import Limits
    from workers.monitor.live_table import is_watched, view
    from workers.monitor.logs import configure_logs, end_with_any_thread
    from workers.monitor.trial_progress import Progress
    from workers.training.failures import ProcessEndedError

    watched = is_watched(settings.log_format, settings.log_level)
    configure_logs(settings.log_level, settings.log_format, watched=watched)
    end_with_any_thread()
    log = structlog.get_logger("workers")
    progress = Progress()
    try:
        # The training process comes first: it takes seconds to start, and the rest is imported meanwhile.
        with closing(ChildTrainer(settings, Limits.of(settings), progress.measured)) as trainer:
            from workers.assembly import build_loop

            loop, processes, looks = build_loop(settings, trainer, drain, progress)
            with view(progress, watched), processes, looks:
                loop.run()
    except ServerError as error:
        log.error("claim_refused", server=masked(settings.server), error=str(error))
        return 1
    except ProcessEndedError as error:
        log.error("training_process_ended", error=str(error))
        return 1
    except InvalidValueError as error:
        settings_named = [replace(fault, field=_flag(fault.field, given)) for fault in error.faults]
        print(f"workers: {InvalidValueError(settings_named)}", file=sys.stderr)
        return 2
    log.info("worker_stopped")
    return 0


def parser() -> argparse.ArgumentParser:
    """The flags, the same as those of `lehr worker`."""
    flags = argparse.ArgumentParser(
        prog="python -m workers",
        description="Train trials for a lehr server. Each flag can also be set as LEHR_<SETTING>.",
    )
    for flag, metavar, kind, text in _FLAGS:
        setting = _SETTINGS.get(flag, flag.removeprefix("--").replace("-", "_"))
        flags.add_argument(flag, dest=setting, metavar=metavar, type=kind, help=text)
    return flags


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    # Not sys.exit: the shutdown of torch can take longer than the drain may, and by then no timer would fire.
    os._exit(status)
