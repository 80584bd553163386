"""A task that misbehaves as its parameter `how` says. The training process finds it by its entry point."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from workers.tasks.public import Task, TensorData, TrainingParams

BAD_STEP = 3
_hoard: list[bytearray] = []


class BadParams(TrainingParams):
    how: str = "well"
    note: str = ""


class Bad(Task):
    """Linear regression of 10 steps that misbehaves at the fourth step, as `how` says."""

    name = "test.bad"
    params_model = BadParams
    params: BadParams

    def data(self, device: torch.device) -> TensorData:
        if self.params.how == "hang in data":
            time.sleep(1000)
        inputs = torch.linspace(-1, 1, 50).unsqueeze(1)
        return TensorData(inputs[:40], 2 * inputs[:40], inputs[40:], 2 * inputs[40:])

    def build_model(self) -> nn.Module:
        self._calls = 0
        return nn.Linear(1, 1)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        loss = ((outputs - targets) ** 2).mean()
        self._calls += outputs.requires_grad
        if outputs.requires_grad and self._calls == BAD_STEP + 1 and self.params.how != "well":
            loss = loss * getattr(self, "_" + self.params.how.replace(" ", "_"))()
        if self.params.how == "slowly":
            time.sleep(0.02)
        return loss

    def _slowly(self) -> float:
        """Do nothing here: `loss` sleeps at every step."""
        return 1.0

    def _raise(self) -> float:
        print("before it goes wrong")
        raise ValueError("on purpose")

    def _print(self) -> float:
        line = "x" * ((1 << 20) - 1)
        for _ in range(1024):
            print(line)
        print("that was 1 GiB", file=sys.stderr)
        raise ValueError("on purpose")

    def _nan(self) -> float:
        return float("nan")

    def _leak(self) -> float:
        while True:
            _hoard.append(bytearray(b"x" * (16 << 20)))

    def _ask_for_too_much(self) -> float:
        return float(torch.empty(1 << 46)[0])

    def _fork(self) -> float:
        """Fork; the child continues as if it were the training process."""
        os.fork()
        return 1.0

    def _leave_a_process(self) -> float:
        Path(self.params.note).write_text(str(subprocess.Popen(["sleep", "1000"]).pid))
        return 1.0

    def _sys_exit(self) -> float:
        sys.exit(3)

    def _os_exit(self) -> float:
        print("now I go")
        os._exit(3)

    def _kill(self) -> float:
        os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(10)
        return 1.0

    def _hang(self) -> float:
        time.sleep(1000)
        return 1.0

    def _hang_in_C(self) -> float:
        """Hang with the interpreter lock held, so that no other thread of the process can run."""
        libc: Any = ctypes.PyDLL(None)
        return float(libc.sleep(1000))

    def _close_everything(self) -> float:
        os.closerange(3, 100)
        time.sleep(10)
        return 1.0
