"""Steps recorded as CUDA graphs.

The rules are those of https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs: a step is done a few times on
a side stream, then captured there; nothing in it waits for the device or depends on what is computed; it works on the
same memory each time.
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
    """What records the device's steps; None where they are done from Python."""
    return CudaRecorder(device) if device.type == "cuda" and graphs == "auto" else None


class CudaRecorder:
    """Captures on a stream of its own. Graphs that are held at one time share a pool of memory: they are replayed one
    after the other, and none leaves anything there that another one needs.
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
        # By default a look at the device by any thread ends a capture, and the process has one that looks at memory.
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
        """Another one when all that was recorded is gone: torch takes no pool back that it may already have emptied."""
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
        # What was replayed may still be under way.
        torch.cuda.synchronize()
        self._graph.reset()
        self.is_held = False


def _register(graph: torch.cuda.CUDAGraph, generators: Sequence[torch.Generator]) -> None:
    """Newer versions of torch find the generators by themselves, and warn of being told."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for generator in generators:
            graph.register_generator_state(generator)


def _free(generators: Sequence[torch.Generator], device: torch.device) -> None:
    """After a capture that failed, generators may still believe that they are captured, and refuse to draw: give them
    a state that says the same and knows of no capture.
    """
    for generator in (*generators, torch.cuda.default_generators[device.index or 0]):
        with contextlib.suppress(Exception):
            generator.graphsafe_set_state(generator.clone_state())
