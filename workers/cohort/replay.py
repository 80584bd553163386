"""Launches a repeated step from Python at first, then records it and replays the recording.

A replay is trusted only after its results matched those of the step itself. A recording is discarded when any memory
that it refers to has moved. If anything fails, the reason is kept, and all steps are launched from Python.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog
import torch
from torch import Tensor

from workers.cohort.memory import is_out_of_memory

WARM_STEPS = 3
"""Steps launched from Python before a recording, in which libraries initialize and kernels are selected."""
CHECKED_REPLAYS = 2
"""Replays whose results are checked. One is not enough: a step that wrongly depends on Python numbers passes the first
check, because its numbers are still those of the recording."""
RTOL, ATOL = 1e-3, 1e-5
"""The probe's tolerances: kernels may sum in another order, but a wrong step is far off."""

Step = Callable[[], None]
Copy = tuple[list[Tensor], list[Tensor]]
"""Copies of the tensors that a step changes, and of the states of its generators."""
log = structlog.get_logger(__name__)


class Recording(Protocol):
    def replay(self) -> None:
        """Run the recorded step on the current contents of its memory."""

    def release(self) -> None:
        """Free the recording's resources; it is not replayed again."""


class Recorder(Protocol):
    """Records the operations of a device."""

    def warm(self, step: Step) -> None:
        """Run the step in the way in which it will be recorded."""

    def record(self, step: Step, generators: Sequence[torch.Generator]) -> Recording:
        """Record the step without running it. generators: those it draws from. Raises if it cannot be recorded."""


@dataclass(frozen=True, slots=True)
class Memory:
    """The memory of a step: the tensors that it changes, those that it only reads, and its random generators."""

    changed: Sequence[Tensor]
    read: Sequence[Tensor]
    generators: Sequence[torch.Generator] = ()

    def addresses(self) -> tuple[int, ...]:
        tensors = (tensor.data_ptr() for tensor in (*self.changed, *self.read))
        return (*tensors, *map(id, self.generators))

    def copy(self) -> Copy:
        return [tensor.clone() for tensor in self.changed], [generator.get_state() for generator in self.generators]

    def restore(self, copy: Copy) -> None:
        tensors, states = copy
        for tensor, saved in zip(self.changed, tensors, strict=True):
            tensor.copy_(saved)
        for generator, state in zip(self.generators, states, strict=True):
            generator.set_state(state)

    def agrees_with(self, copy: Copy) -> bool:
        tensors, states = copy
        current = [generator.get_state() for generator in self.generators]
        return all(map(torch.equal, current, states)) and all(map(_close, self.changed, tensors))


@dataclass(slots=True)
class _Kind:
    """A kind of step. `done`: steps launched from Python. `to_check`: replays that remain to be checked."""

    done: int = 0
    recording: Recording | None = None
    to_check: int = CHECKED_REPLAYS


class Replayer:
    """Runs the steps of one cohort. `refused`: why steps are not replayed; empty while they may be."""

    def __init__(self, recorder: Recorder | None) -> None:
        """`recorder`: None to launch all steps from Python."""
        self._recorder = recorder
        self._kinds: dict[Hashable, _Kind] = {}
        self._addresses: tuple[int, ...] = ()
        self.refused = ""
        self.is_settled = recorder is None
        """Whether steps of the last step's kind will run as it did, until memory moves."""

    def do(self, kind: Hashable, step: Step, memory: Memory) -> None:
        """Run the step. `kind`: steps of the same kind differ only in the contents of their memory."""
        if self._recorder is None or self.refused:
            step()
            return
        addresses = memory.addresses()
        if addresses != self._addresses:
            self.forget()
            self._addresses = addresses
        state = self._kinds.setdefault(kind, _Kind())
        self.is_settled = state.recording is not None and not state.to_check
        if state.recording is None and state.done < WARM_STEPS:
            state.done += 1
            self._recorder.warm(step)
        elif state.recording is not None and not state.to_check:
            state.recording.replay()
        else:
            self._try_replay(self._recorder, state, step, memory)

    def forget(self) -> None:
        """Release all recordings. Required when members join or leave, since that moves the recorded memory."""
        for kind in self._kinds.values():
            if kind.recording is not None:
                kind.recording.release()
        self._kinds.clear()

    def _try_replay(self, recorder: Recorder, kind: _Kind, step: Step, memory: Memory) -> None:
        """Run a step, and check a replay of it; if recording or replay fail, the step itself has still been run."""
        before: Copy | None = None
        try:
            before = memory.copy()
            if kind.recording is None:
                kind.recording = recorder.record(step, memory.generators)
            reason = self._compare(kind.recording, step, memory, before)
        except Exception as error:  # noqa: BLE001 - a step that cannot be recorded can still be launched from Python
            self._refuse(_reason(error))
            if before is not None:
                memory.restore(before)
            step()
            return
        kind.to_check -= 1
        if reason:
            self._refuse(reason)

    def _compare(self, recording: Recording, step: Step, memory: Memory, before: Copy) -> str:
        """Run the step, and replay it from the same state. Returns how they differ; the step's own results are kept."""
        step()
        expected = memory.copy()
        memory.restore(before)
        recording.replay()
        if memory.agrees_with(expected):
            return ""
        memory.restore(expected)
        return "a replayed step gave other results than the step itself"

    def _refuse(self, reason: str) -> None:
        self.refused = f"steps are not replayed: {reason}"
        self.is_settled = True
        log.warning("steps_not_replayed", reason=reason)
        self.forget()


def _close(value: Tensor, expected: Tensor) -> bool:
    if not value.is_floating_point():
        return torch.equal(value, expected)
    return torch.allclose(value, expected, rtol=RTOL, atol=ATOL, equal_nan=True)


def _reason(error: Exception) -> str:
    if is_out_of_memory(error):
        return "a recording did not fit into memory along with the training"
    line = next(iter(str(error).strip().splitlines()), "")
    return f"{type(error).__name__}: {line}"[:300]
