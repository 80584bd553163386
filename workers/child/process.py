"""Starts the training process, exchanges messages with it, and kills it with all its descendants."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from multiprocessing.connection import Connection, Pipe

from workers.child.messages import Logged, News, Order
from workers.child.output import Output
from workers.training.interpreter import interpreter

_DELIVERY_SECONDS = 0.5
"""How long messages and output of a process that has ended may still be in transit."""
_STACK_SECONDS = 1.0
"""How long a process that hangs may take to write its stack."""

# When the worker ends for any reason, its end of this pipe closes, and the guard kills the training process with
# everything it started. It is a shell of a few hundred kB, because a thread of the training process could not run while
# the task holds the interpreter lock.
_GUARD = 'read -r _; kill -s KILL -- "-$1"'


class TrainingProcess:
    """One training process, in its own session. Not thread-safe.

    It ends on `end`, or with the worker, even if the worker is killed.
    """

    def __init__(self, *, verbose: bool = False) -> None:
        """Returns at once; the process takes seconds to be ready. `verbose`: copy its output to stderr."""
        self._connection, theirs = Pipe()
        ours, output = os.pipe()
        self._process = subprocess.Popen(
            interpreter("workers.child.main", "main", theirs.fileno()),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
        os.close(output)
        theirs.close()
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "guard", str(self._process.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.output = Output(ours, sys.stderr.buffer.write if verbose else None)
        self.progress_seconds = time.monotonic()
        """When it last sent a sign of progress, in monotonic seconds."""
        self._pipe_closed = False
        self._news: queue.SimpleQueue[News | None] = queue.SimpleQueue()
        self._listener = threading.Thread(target=self._listen, name="training-news", daemon=True)
        self._listener.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    @property
    def is_gone(self) -> bool:
        """Whether it ended or closed its end of the pipe, so that no more messages will come."""
        return self._pipe_closed or not self.is_running

    @property
    def exit_code(self) -> int | None:
        """The exit code, minus the signal's number if a signal killed it; None if it is still running."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(_DELIVERY_SECONDS)
        return None

    def send(self, order: Order) -> None:
        """Send an order. If the process is gone, the order is lost, and `is_gone` says so."""
        with contextlib.suppress(OSError):
            self._connection.send(order)

    def receive(self, seconds: float) -> News | None:
        """The next message; None if none came in time, or none will come any more."""
        try:
            # Messages of a process that has ended may still be in transit.
            news = self._news.get(timeout=seconds if self.is_running else max(seconds, _DELIVERY_SECONDS))
        except queue.Empty:
            return None
        self._pipe_closed = self._pipe_closed or news is None
        return news

    def write_stack(self) -> None:
        """Make it write its stack to its output."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGUSR1)
        time.sleep(_STACK_SECONDS)

    def output_tail(self) -> str:
        """The last lines of its output."""
        return self.output.tail(wait_seconds=_DELIVERY_SECONDS)

    def end(self) -> None:
        """Kill it with everything it started. May be called again."""
        # The guard goes first: it could otherwise kill a later process group that gets the same id.
        self._guard.kill()
        self._guard.communicate()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._listener.join(_DELIVERY_SECONDS)
        self._connection.close()

    def _listen(self) -> None:
        """Receive messages in a thread, so that a process killed in the middle of a message cannot block the worker."""
        connection: Connection = self._connection
        try:
            while True:
                news = connection.recv()
                if not isinstance(news, Logged):
                    self.progress_seconds = time.monotonic()
                self._news.put(news)
        except Exception:  # noqa: BLE001 - a dying process may leave anything in the pipe
            self._news.put(None)
