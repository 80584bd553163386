"""Records training steps as CUDA graphs.

This follows https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs: a step runs a few times on a side stream
and is then captured there. It never waits for the device, its control flow does not depend on computed values, and it
always works on the same memory.
"""

from __future__ import annotations

import contextlib
import warnings
import weakref
from collections.abc import Sequence
from typing import Any, Literal

import torch

from workers.cohort.replay import Recorder, Step

Graphs = Literal["auto", "off"]


def recorder_of(device: torch.device, graphs: Graphs) -> Recorder | None:
    """A recorder for the device, or None if its steps are launched from Python."""
    return CudaRecorder(device) if device.type == "cuda" and graphs == "auto" else None


class CudaRecorder:
    """Captures steps on a side stream.

    Graphs that exist at the same time share a memory pool. This is safe because they are replayed one after the other,
    and none reads what another one left in the pool.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)
        self._pool: Any = None
        self._held: weakref.WeakSet[CudaRecording] = weakref.WeakSet()

    def warm(self, step: Step) -> None:
        present = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(present)
        with torch.cuda.stream(self._stream):
            step()
        present.wait_stream(self._stream)

    def record(self, step: Step, generators: Sequence[torch.Generator]) -> CudaRecording:
        graph = torch.cuda.CUDAGraph()
        _register(graph, generators)
        # In the default mode, a device query by any thread breaks a capture, and one thread measures device memory.
        mode = "thread_local"
        try:
            with torch.cuda.graph(graph, pool=self._shared_pool(), stream=self._stream, capture_error_mode=mode):
                step()
        except BaseException:
            _free(generators, self._device)
            raise
        recording = CudaRecording(graph)
        self._held.add(recording)
        return recording

    def _shared_pool(self) -> Any:
        """The pool of the existing recordings, or a new one, since torch may have freed the pool of released ones."""
        if not any(recording.is_held for recording in self._held):
            self._pool = torch.cuda.graph_pool_handle()
        return self._pool


class CudaRecording:
    def __init__(self, graph: torch.cuda.CUDAGraph) -> None:
        self._graph = graph
        self.is_held = True

    def replay(self) -> None:
        self._graph.replay()

    def release(self) -> None:
        # A replay may still be running.
        torch.cuda.synchronize()
        self._graph.reset()
        self.is_held = False


def _register(graph: torch.cuda.CUDAGraph, generators: Sequence[torch.Generator]) -> None:
    """Register the generators with the graph. Newer versions of torch do so by themselves, and warn about the call."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for generator in generators:
            graph.register_generator_state(generator)


def _free(generators: Sequence[torch.Generator], device: torch.device) -> None:
    """Free generators from a failed capture, after which they may refuse to draw: give each an equal state that is not
    marked as captured.
    """
    for generator in (*generators, torch.cuda.default_generators[device.index or 0]):
        with contextlib.suppress(Exception):
            generator.graphsafe_set_state(generator.clone_state())
