"""The worker's end of its training process: started, spoken with, and ended with all that it started."""

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

_LAST_WORDS_SECONDS = 0.5
"""How long output of a process that is gone may still be on its way."""
_STACK_SECONDS = 1.0
"""How long a process that hangs may take to write where it does."""

# A shell of a few hundred kB, not a thread of the training process, which may hold its interpreter for ever: once the
# worker is gone, however it went, its end of the pipe is closed, and the process goes with everything it started.
_GUARD = 'read -r _; kill -s KILL -- "-$1"'


class TrainingProcess:
    """One training process, in a session of its own. Not to be shared between threads.

    It ends when told to, or with the worker, even if that is killed.
    """

    def __init__(self, *, verbose: bool = False) -> None:
        """Returns at once; the process takes seconds to be ready. `verbose`: show what it writes."""
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
        self.heard_seconds = time.monotonic()
        """When it last told of progress, in monotonic seconds."""
        self._silent = False
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
        """Nothing will be heard of it any more: it ended, or closed its end of the pipe."""
        return self._silent or not self.is_running

    @property
    def exit_code(self) -> int | None:
        """None where it did not end by itself; minus the signal when one ended it."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(_LAST_WORDS_SECONDS)
        return None

    def send(self, order: Order) -> None:
        """What is sent to a process that is gone is lost with it: `receive` will tell."""
        with contextlib.suppress(OSError):
            self._connection.send(order)

    def receive(self, seconds: float) -> News | None:
        """The next message; None when none came in that time, or none will come any more."""
        try:
            # What a process said before it ended may still be on its way.
            news = self._news.get(timeout=seconds if self.is_running else max(seconds, _LAST_WORDS_SECONDS))
        except queue.Empty:
            return None
        self._silent = self._silent or news is None
        return news

    def write_stack(self) -> None:
        """Have it write where it is, as the last of its output."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGUSR1)
        time.sleep(_STACK_SECONDS)

    def last_words(self) -> str:
        """What it wrote last."""
        return self.output.tail(wait_seconds=_LAST_WORDS_SECONDS)

    def end(self) -> None:
        """Kill it with everything it started. May be called again."""
        # The guard first: it would kill whoever has the number of the group next.
        self._guard.kill()
        self._guard.communicate()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._listener.join(_LAST_WORDS_SECONDS)
        self._connection.close()

    def _listen(self) -> None:
        """A thread, because a process killed in the middle of a message must not keep the worker waiting."""
        connection: Connection = self._connection
        try:
            while True:
                news = connection.recv()
                if not isinstance(news, Logged):
                    self.heard_seconds = time.monotonic()
                self._news.put(news)
        except Exception:  # noqa: BLE001 - whatever a dying process leaves in the pipe
            self._news.put(None)
