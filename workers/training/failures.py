"""Failures of a training that are not exceptions of the task: memory, hangs, and the end of the process."""

from __future__ import annotations

import re
import signal
import traceback

from lehr.errors import LehrError

MIB = 1 << 20
_NO_MEMORY = re.compile(r"can't allocate memory|not enough memory|out of memory", re.IGNORECASE)


class OutOfMemoryError(LehrError):
    """The training needed more memory than is available or allowed."""


class HangError(LehrError):
    """The training made no step for too long."""

    def __init__(self, hang_seconds: float, where: str) -> None:
        super().__init__(
            f"The training made no progress for {hang_seconds:g} s {where}, so the worker ended it. If a step, an "
            "evaluation or loading the data needs more time, raise LEHR_HANG_SECONDS on the worker."
        )


class ProcessEndedError(LehrError):
    """The training process ended."""

    def __init__(self, exit_code: int | None, where: str) -> None:
        super().__init__(f"The training process {_how(exit_code)} {where}.{_hint(exit_code)}")


def over_limit(used_bytes: int, limit_bytes: int, where: str) -> OutOfMemoryError:
    used, limit = f"{used_bytes / MIB:.0f} MiB", f"{limit_bytes / MIB:.0f} MiB"
    return OutOfMemoryError(
        f"The training process used {used} of memory {where}; its limit is {limit}. "
        "Use a smaller model or batch, look for a leak in the task, or raise LEHR_MEMORY_LIMIT_MIB on the worker."
    )


def describe_failure(error: BaseException) -> str:
    """The traceback. If memory ran out, on any device, its last line is an OutOfMemoryError with a remedy."""
    text = "".join(traceback.format_exception(error))
    if not _is_out_of_memory(error):
        return text
    remedy = "Use a smaller model or batch, or run fewer workers on this device."
    return f"{text}\nOutOfMemoryError: The training needs more memory than is available. {remedy}\n"


def _is_out_of_memory(error: BaseException) -> bool:
    # Recognized by name, since the worker's main process does not import torch.
    by_class = isinstance(error, MemoryError) or type(error).__name__ == OutOfMemoryError.__name__
    return by_class or (isinstance(error, RuntimeError) and _NO_MEMORY.search(str(error)) is not None)


def _how(exit_code: int | None) -> str:
    if exit_code is None:
        return "stopped answering"
    if exit_code >= 0:
        return f"exited with code {exit_code}"
    try:
        return f"was killed by {signal.Signals(-exit_code).name}"
    except ValueError:
        return f"was killed by signal {-exit_code}"


def _hint(exit_code: int | None) -> str:
    if exit_code == -signal.SIGKILL:
        return " If neither the task nor a user sent that signal, the system ran out of memory."
    return " The task must have ended its own process." if exit_code is not None and exit_code >= 0 else ""
