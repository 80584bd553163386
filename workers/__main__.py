"""`python -m workers`: one worker process."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from workers.lease.drain import Drain

if TYPE_CHECKING:
    from workers.settings import WorkerSettings


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0 when drained, 1 when the server refuses this worker, 2 for wrong settings."""
    given = {name: value for name, value in vars(_parser().parse_args(arguments)).items() if value is not None}
    drain = Drain()
    drain.install()
    # Imported late, so that `--help` and a signal during start-up are answered at once.
    from pydantic import ValidationError

    from lehr.client.exchange import masked
    from workers.settings import WorkerSettings, prepare_environment

    try:
        settings = WorkerSettings(**given)
    except ValidationError as error:
        for detail in error.errors():
            field, got = detail["loc"][0], detail["input"]
            shown = masked(str(got)) if field == "server" else got
            print(f"workers: {field}: {detail['msg']} (got {shown!r})", file=sys.stderr)
        return 2
    prepare_environment()
    return _work(settings, drain)


def _work(settings: WorkerSettings, drain: Drain) -> int:
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
        # First of all: it takes seconds to get ready, in which the rest is imported.
        with closing(ChildTrainer(settings, Limits.of(settings), progress.measured)) as trainer:
            from workers.assembly import build_loop

            loop, lanes = build_loop(settings, trainer, drain, progress)
            with view(progress, watched), lanes:
                loop.run()
    except ServerError as error:
        log.error("claim_refused", server=masked(settings.server), error=str(error))
        return 1
    except ProcessEndedError as error:
        log.error("training_process_ended", error=str(error))
        return 1
    except InvalidValueError as error:
        print(f"workers: {error}", file=sys.stderr)
        return 2
    log.info("worker_stopped")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m workers",
        description="Train trials for a lehr server. Each flag can also be set as LEHR_<SETTING>.",
    )
    parser.add_argument("--server", metavar="URL", help="the server (default http://127.0.0.1:8765)")
    parser.add_argument("--device", metavar="auto|cpu|mps|cuda:N", help="where to train (default auto)")
    parser.add_argument("--name", dest="worker_name", help="what people call this worker (default host/process)")
    parser.add_argument("--checkpoints", metavar="DIR|URL", help="for saving trials (default lehr-data/checkpoints)")
    parser.add_argument("--data-dir", metavar="DIR", help="where data sets are looked for (default lehr-data/datasets)")
    parser.add_argument(
        "--checkpoint-seconds", type=float, metavar="S", help="between two saves of a trial (default 60)"
    )
    parser.add_argument("--hang-seconds", type=float, metavar="S", help="without a step: ends a trial (default 600)")
    parser.add_argument("--memory-limit-mib", type=float, metavar="M", help="that training may use (default: no limit)")
    parser.add_argument("--gpu-memory-share", type=float, metavar="F", help="of the GPU, 0 to 1 (default: no limit)")
    parser.add_argument(
        "--max-trials", dest="trials_per_lease", type=int, metavar="K", help="trials to take at once (default 1)"
    )
    parser.add_argument(
        "--cohort", metavar="auto|off|K", help="trials to train together (default off; auto: as many as are fastest)"
    )
    parser.add_argument(
        "--probe-after", type=float, metavar="S", help="that a task trains alone before it is measured (default 20)"
    )
    parser.add_argument(
        "--processes", type=int, metavar="N", help="at once, at most, with --cohort auto (default 4 on a GPU, else 1)"
    )
    parser.add_argument("--calibration", metavar="DIR", help="what was measured (default lehr-data/calibration)")
    parser.add_argument("--cuda-graphs", metavar="auto|off", help="replay steps on a GPU (default auto)")
    parser.add_argument("--tasks", metavar="NAME,...", help="tasks to offer (default: those built in)")
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads per operation (default 1)")
    parser.add_argument("--log-level", metavar="debug|info|warning|error", help="default info")
    parser.add_argument("--log-format", metavar="console|json", help="default console")
    return parser


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    # Not sys.exit: taking torch down can outlast what is left of a drain, and no timer fires any more by then.
    os._exit(status)
