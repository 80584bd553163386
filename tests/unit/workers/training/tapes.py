"""Records the operations of a training step, and replays them on a CPU as a CUDA graph would on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map

HOST_READS = {"aten::_local_scalar_dense", "aten::item", "aten::equal", "aten::is_nonzero"}
HOST_WRITES = {"aten::lift_fresh", "aten::lift_fresh_copy", "aten::_pin_memory"}
"""The first operations of a tensor made from Python numbers: on any device but the CPU, a copy from the host."""
DATA_DEPENDENT = {
    "aten::nonzero",
    "aten::masked_select",
    "aten::_unique2",
    "aten::unique_dim",
    "aten::unique_consecutive",
    "aten::repeat_interleave.Tensor",
    "aten::bincount",
}


class Ops(TorchDispatchMode):
    """Records the operations that reach the device, with the numbers and shapes that the host passes to them."""

    def __init__(self) -> None:
        super().__init__()
        self.recorded: list[tuple[str, str]] = []

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        self.recorded.append((function.name(), repr(tree_map(_from_host, (arguments, options or {})))))
        return function(*arguments, **(options or {}))

    @property
    def names(self) -> set[str]:
        return {name for name, _ in self.recorded}


def _from_host(value: Any) -> Any:
    """What the host passes to the device: numbers as they are, but of tensors only their shapes."""
    if isinstance(value, Tensor):
        return (tuple(value.shape), value.stride(), value.dtype)
    return "generator" if isinstance(value, torch.Generator) else value


class Tape(TorchDispatchMode):
    """A recording of a step on a CPU; a replay runs the same operations on the same memory.

    Like a CUDA graph, it keeps the Python numbers of the time of recording, and recording a step does not perform it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._done: list[tuple[Any, Any, Any, Any]] = []
        self._made: set[int] = set()
        self._kept: dict[int, tuple[Tensor, Tensor]] = {}
        self._drawn: dict[int, tuple[torch.Generator, Tensor]] = {}
        self.released = False
        self.replays = 0

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        options = options or {}
        if function.name() in HOST_READS | HOST_WRITES | DATA_DEPENDENT:
            raise RuntimeError(f"operation not permitted when stream is capturing: {function.name()}")
        given = tree_leaves((arguments, options))
        # Batch normalisation changes its running statistics, and its schema does not say so.
        changes = function._schema.is_mutable or "batch_norm" in function.name()
        for value in given:
            self._keep(value, changes=changes)
        results = function(*arguments, **options)
        self._made |= _places(results) - _places(given)
        self._done.append((function, arguments, options, results))
        return results

    def _keep(self, value: Any, *, changes: bool) -> None:
        if isinstance(value, torch.Generator):
            # By its seed: each operation sees the generator as another object.
            self._drawn.setdefault(value.initial_seed(), (value, value.get_state()))
        elif isinstance(value, Tensor) and changes and value.untyped_storage().data_ptr() not in self._made:
            with _disable_current_modes():
                whole = torch.empty(0, dtype=value.dtype).set_(value.untyped_storage())
                self._kept.setdefault(value.untyped_storage().data_ptr(), (whole, whole.clone()))

    @property
    def seeds(self) -> set[int]:
        """The seeds of the generators that were drawn from."""
        return set(self._drawn)

    def undo(self) -> None:
        """Undo the effects of the recorded step."""
        for whole, before in self._kept.values():
            whole.copy_(before)
        for generator, state in self._drawn.values():
            generator.set_state(state)

    def replay(self) -> None:
        assert not self.released, "replayed after its memory was released"
        self.replays += 1
        for function, arguments, options, recorded in self._done:
            with torch.no_grad():
                results = function(*arguments, **options)
            for place, result in zip(_tensors(recorded), _tensors(results), strict=True):
                if place.data_ptr() != result.data_ptr():
                    place.copy_(result)

    def release(self) -> None:
        self.released = True


class TapeRecorder:
    """A stand-in for `workers.cohort.capture.CudaRecorder`."""

    def __init__(self) -> None:
        self.warmed = 0
        self.tapes: list[Tape] = []

    def warm(self, step: Callable[[], None]) -> None:
        self.warmed += 1
        step()

    def record(self, step: Callable[[], None], generators: Sequence[torch.Generator]) -> Tape:
        tape = Tape()
        try:
            with tape:
                step()
        finally:
            tape.undo()
        unregistered = tape.seeds - {generator.initial_seed() for generator in generators}
        assert not unregistered, "the step draws from a generator that was not passed to the recorder"
        self.tapes.append(tape)
        return tape


def _places(values: Any) -> set[int]:
    return {tensor.untyped_storage().data_ptr() for tensor in _tensors(values)}


def _tensors(results: Any) -> list[Tensor]:
    return [value for value in tree_leaves(results) if isinstance(value, Tensor)]
