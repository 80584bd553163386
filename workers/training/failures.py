"""How the training of a trial can fail other than by an exception of the task's own."""

from __future__ import annotations

import re
import signal
import traceback

from lehr.errors import LehrError

MIB = 1 << 20
_NO_MEMORY = re.compile(r"can't allocate memory|not enough memory|out of memory", re.IGNORECASE)


class OutOfMemoryError(LehrError):
    """The training needed more memory than there is, or than it may have."""


class HangError(LehrError):
    """The training did no step for too long."""

    def __init__(self, hang_seconds: float, where: str) -> None:
        super().__init__(
            f"The training did nothing for {hang_seconds:g} s {where}, so it was ended. If it only needs longer than "
            "that for a step, for its data or for an evaluation, raise LEHR_HANG_SECONDS on the worker."
        )


class ProcessEndedError(LehrError):
    """The training process ended."""

    def __init__(self, exit_code: int | None, where: str) -> None:
        super().__init__(f"The training process {_how(exit_code)} {where}.{_hint(exit_code)}")


def over_limit(used_bytes: int, limit_bytes: int, where: str) -> OutOfMemoryError:
    used, limit = f"{used_bytes / MIB:.0f} MiB", f"{limit_bytes / MIB:.0f} MiB"
    return OutOfMemoryError(
        f"The training process used {used} of memory {where}; it may use {limit}. "
        "Train a smaller model or batch, look for a leak in the task, or raise LEHR_MEMORY_LIMIT_MIB on the worker."
    )


def account_of(error: BaseException) -> str:
    """The traceback; where memory ran out, on whatever device, its last line says so by name."""
    account = "".join(traceback.format_exception(error))
    if not _is_out_of_memory(error):
        return account
    remedy = "Train a smaller model or batch, or fewer workers on this device."
    return f"{account}\nOutOfMemoryError: The training needs more memory than there is. {remedy}\n"


def _is_out_of_memory(error: BaseException) -> bool:
    # By the names that Python, torch.cuda and torch.mps use: the worker itself does without torch.
    known = isinstance(error, MemoryError) or type(error).__name__ == OutOfMemoryError.__name__
    return known or (isinstance(error, RuntimeError) and _NO_MEMORY.search(str(error)) is not None)


def _how(exit_code: int | None) -> str:
    if exit_code is None:
        return "stopped answering"
    if exit_code >= 0:
        return f"ended by itself with exit code {exit_code}"
    try:
        return f"was ended by {signal.Signals(-exit_code).name}"
    except ValueError:
        return f"was ended by signal {-exit_code}"


def _hint(exit_code: int | None) -> str:
    if exit_code == -signal.SIGKILL:
        return " If neither the task nor anybody else sent that signal, the system had no memory left."
    return " Only a task that ends its own process can do that." if exit_code is not None and exit_code >= 0 else ""
