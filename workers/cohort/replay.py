"""A step that is the same every time is done from Python at first, then replayed from a recording of it.

What may go wrong is told, and steps go on from Python: a replay is trusted once it has done what the step itself does
from the same numbers, and a recording is thrown away when anything that it holds the address of has moved.
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
"""Done from Python before a recording: libraries get ready, kernels are chosen."""
CHECKED_REPLAYS = 2
"""So many replays are compared. One would not tell a step that hands over numbers of the host: the first replay has
those of the recording."""
RTOL, ATOL = 1e-3, 1e-5
"""As the probe's: kernels may sum in another order, a wrong step is far off."""

Step = Callable[[], None]
Copy = tuple[list[Tensor], list[Tensor]]
"""Of what a step changes, and of the states of the generators that it draws from."""
log = structlog.get_logger(__name__)


class Recording(Protocol):
    def replay(self) -> None:
        """Do the recorded step, with what its memory holds now."""

    def release(self) -> None:
        """It is not replayed any more: give back what it holds."""


class Recorder(Protocol):
    """Records what a device does."""

    def warm(self, step: Step) -> None:
        """Do the step as it is done while it is recorded."""

    def record(self, step: Step, generators: Sequence[torch.Generator]) -> Recording:
        """Record the step without doing it. generators: those it draws from. Raises what makes it impossible."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What a step works on. `changed` and `generators`: what it leaves changed; `read`: what it reads besides."""

    changed: Sequence[Tensor]
    read: Sequence[Tensor]
    generators: Sequence[torch.Generator] = ()

    def addresses(self) -> tuple[int, ...]:
        tensors = (tensor.data_ptr() for tensor in (*self.changed, *self.read))
        return (*tensors, *map(id, self.generators))

    def copy(self) -> Copy:
        return [tensor.clone() for tensor in self.changed], [each.get_state() for each in self.generators]

    def restore(self, copy: Copy) -> None:
        for tensor, kept in zip(self.changed, copy[0], strict=True):
            tensor.copy_(kept)
        for each, state in zip(self.generators, copy[1], strict=True):
            each.set_state(state)

    def agrees_with(self, copy: Copy) -> bool:
        drawn = all(torch.equal(each.get_state(), state) for each, state in zip(self.generators, copy[1], strict=True))
        return drawn and all(map(_close, self.changed, copy[0]))


@dataclass(slots=True)
class _Kind:
    """One shape of the step. `done`: from Python; `to_check`: replays that are still to be compared."""

    done: int = 0
    recording: Recording | None = None
    to_check: int = CHECKED_REPLAYS


class Replayer:
    """Does the steps of one cohort. `refused`: why none are replayed any more, empty while they may be."""

    def __init__(self, recorder: Recorder | None) -> None:
        """`recorder`: None where steps are done from Python, as they are."""
        self._recorder = recorder
        self._kinds: dict[Hashable, _Kind] = {}
        self._addresses: tuple[int, ...] = ()
        self.refused = ""
        self.is_settled = recorder is None
        """The next steps of the last one's kind are done as that one was, until something moves."""

    def do(self, kind: Hashable, step: Step, memory: Memory) -> None:
        """Do the step. `kind`: steps of one kind differ in nothing but what their memory holds."""
        if self._recorder is None or self.refused:
            step()
            return
        addresses = memory.addresses()
        if addresses != self._addresses:
            self.forget()
            self._addresses = addresses
        known = self._kinds.setdefault(kind, _Kind())
        self.is_settled = known.recording is not None and not known.to_check
        if known.recording is None and known.done < WARM_STEPS:
            known.done += 1
            self._recorder.warm(step)
        elif known.recording is not None and not known.to_check:
            known.recording.replay()
        else:
            self._try(self._recorder, known, step, memory)

    def forget(self) -> None:
        """Give back the recordings: members come or go, so that what was recorded has moved."""
        for kind in self._kinds.values():
            if kind.recording is not None:
                kind.recording.release()
        self._kinds.clear()

    def _try(self, recorder: Recorder, kind: _Kind, step: Step, memory: Memory) -> None:
        """A step that is replayed if all goes well, and done in any case."""
        before: Copy | None = None
        try:
            before = memory.copy()
            if kind.recording is None:
                kind.recording = recorder.record(step, memory.generators)
            reason = self._compare(kind.recording, step, memory, before)
        except Exception as error:  # noqa: BLE001 - whatever cannot be recorded can still be done
            self._refuse(_words(error))
            if before is not None:
                memory.restore(before)
            step()
            return
        kind.to_check -= 1
        if reason:
            self._refuse(reason)

    def _compare(self, recording: Recording, step: Step, memory: Memory, before: Copy) -> str:
        """Does the step and replays it from the same numbers. Why they differ; the step's own numbers stay then."""
        step()
        expected = memory.copy()
        memory.restore(before)
        recording.replay()
        if memory.agrees_with(expected):
            return ""
        memory.restore(expected)
        return "a replayed step was not the step itself"

    def _refuse(self, reason: str) -> None:
        self.refused = f"steps are not replayed: {reason}"
        self.is_settled = True
        log.warning("steps_not_replayed", reason=reason)
        self.forget()


def _close(value: Tensor, expected: Tensor) -> bool:
    if not value.is_floating_point():
        return torch.equal(value, expected)
    return torch.allclose(value, expected, rtol=RTOL, atol=ATOL, equal_nan=True)


def _words(error: Exception) -> str:
    if is_out_of_memory(error):
        return "a recording did not fit into memory beside the training itself"
    line = next(iter(str(error).strip().splitlines()), "")
    return f"{type(error).__name__}: {line}"[:300]
