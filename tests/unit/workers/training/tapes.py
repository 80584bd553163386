"""What a step does, operation by operation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map

HOST_READS = {"aten::_local_scalar_dense", "aten::item", "aten::equal", "aten::is_nonzero"}
HOST_WRITES = {"aten::lift_fresh", "aten::lift_fresh_copy", "aten::_pin_memory"}
"""What a tensor made of Python numbers begins with: elsewhere than on a CPU, a copy from the host."""
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
    """Notes the operations that reach the device, with the numbers and shapes that the host hands over."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[tuple[str, str]] = []

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        self.noted.append((function.name(), repr(tree_map(_told, (arguments, options or {})))))
        return function(*arguments, **(options or {}))

    @property
    def names(self) -> set[str]:
        return {name for name, _ in self.noted}


def _told(value: Any) -> Any:
    """Numbers of tensors are the device's affair, their shapes are the host's."""
    if isinstance(value, Tensor):
        return (tuple(value.shape), value.stride(), value.dtype)
    return "generator" if isinstance(value, torch.Generator) else value


class Tape(TorchDispatchMode):
    """A recording of a step for a CPU: replayed, the same operations work on the same memory.

    As a CUDA graph it keeps what Python said while it was recorded, and what was recorded has not been done.
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
        """Of the generators that were drawn from."""
        return set(self._drawn)

    def undo(self) -> None:
        """What was recorded has not happened."""
        for whole, before in self._kept.values():
            whole.copy_(before)
        for generator, state in self._drawn.values():
            generator.set_state(state)

    def replay(self) -> None:
        assert not self.released, "replayed after its memory was given back"
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
    """Stands in for `workers.cohort.capture.CudaRecorder`."""

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
        strangers = tape.seeds - {each.initial_seed() for each in generators}
        assert not strangers, "a generator that the recorder was not told of"
        self.tapes.append(tape)
        return tape


def _places(values: Any) -> set[int]:
    return {each.untyped_storage().data_ptr() for each in _tensors(values)}


def _tensors(results: Any) -> list[Tensor]:
    return [each for each in tree_leaves(results) if isinstance(each, Tensor)]
