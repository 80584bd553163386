"""Steps are captured by torch's rules for CUDA graphs, which a stand-in for torch.cuda insists on.

https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from workers.cohort.capture import CudaRecorder, recorder_of

CUDA = torch.device("cuda", 0)


class FakeCuda:
    """The part of torch.cuda that a recorder uses. `events`: its calls, in order."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.pools: list[list[Any]] = []
        self.capturing: Any = None
        self.current = "default"
        self.default_generators = [torch.Generator()]

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("Stream", "current_stream", "stream", "graph_pool_handle", "graph", "synchronize"):
            monkeypatch.setattr(torch.cuda, name, getattr(self, name))
        monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: FakeGraph(self))
        monkeypatch.setattr(torch.cuda, "default_generators", self.default_generators)

    def Stream(self, device: torch.device) -> FakeStream:
        return FakeStream(self, "side")

    def current_stream(self, device: torch.device) -> FakeStream:
        return FakeStream(self, self.current)

    @contextmanager
    def stream(self, stream: FakeStream) -> Iterator[None]:
        before, self.current = self.current, stream.name
        yield
        self.current = before

    def graph_pool_handle(self) -> int:
        self.pools.append([])
        return len(self.pools) - 1

    @contextmanager
    def graph(self, graph: FakeGraph, *, pool: int, stream: FakeStream, capture_error_mode: str) -> Iterator[None]:
        assert stream.name != "default", "cannot capture on the default stream"
        assert capture_error_mode == "thread_local", "another thread looks at the device's memory"
        others = self.pools[pool]
        assert not others or any(other.alive for other in others), "use_count > 0 INTERNAL ASSERT FAILED"
        others.append(graph)
        self.capturing = graph
        self.events.append(f"capture in pool {pool}")
        try:
            yield
        finally:
            self.capturing = None

    def synchronize(self) -> None:
        self.events.append("synchronize")


class FakeStream:
    def __init__(self, cuda: FakeCuda, name: str) -> None:
        self._cuda, self.name = cuda, name

    def wait_stream(self, other: FakeStream) -> None:
        self._cuda.events.append(f"{self.name} waits for {other.name}")


class FakeGraph:
    def __init__(self, cuda: FakeCuda) -> None:
        self._cuda, self.alive = cuda, True
        self.generators: list[torch.Generator] = []

    def register_generator_state(self, generator: torch.Generator) -> None:
        assert self._cuda.capturing is None, "cannot register the state during capturing stage"
        self.generators.append(generator)

    def replay(self) -> None:
        assert self.alive
        self._cuda.events.append("replay")

    def reset(self) -> None:
        assert self._cuda.events[-1] == "synchronize", "a replay may still be under way"
        self.alive = False


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    fake = FakeCuda()
    fake.install(monkeypatch)
    return fake


def test_a_warm_step_is_done_on_the_stream_of_the_recording_and_in_order_with_what_is_around_it(
    cuda: FakeCuda,
) -> None:
    CudaRecorder(CUDA).warm(lambda: cuda.events.append(f"step on {cuda.current}"))
    assert cuda.events == ["side waits for default", "step on side", "default waits for side"]


def test_generators_are_registered_before_the_capture_that_draws_from_them(cuda: FakeCuda) -> None:
    generators = [torch.Generator(), torch.Generator()]
    seen: list[Any] = []
    recording = CudaRecorder(CUDA).record(lambda: seen.append(cuda.capturing.generators), generators)
    assert seen == [generators]
    recording.replay()
    assert cuda.events == ["capture in pool 0", "replay"]


def test_recordings_share_memory_while_one_is_held_and_begin_anew_when_none_is(cuda: FakeCuda) -> None:
    recorder = CudaRecorder(CUDA)
    whole, last = (recorder.record(lambda: None, ()) for _ in range(2))
    whole.release()
    third = recorder.record(lambda: None, ())
    last.release()
    third.release()
    kept = recorder.record(lambda: None, ())
    # A recording that is garbage-collected with its cohort counts as gone, although nothing released it.
    del kept
    recorder.record(lambda: None, ())
    captures = [event for event in cuda.events if event.startswith("capture")]
    assert captures == [f"capture in pool {pool}" for pool in (0, 0, 0, 1, 2)]


def test_generators_of_a_capture_that_failed_draw_on_as_if_nothing_had_been(cuda: FakeCuda) -> None:
    freed: list[str] = []

    class Stuck:
        """A generator that counts as captured until it gets another state."""

        def __init__(self, name: str) -> None:
            self.name = name

        def clone_state(self) -> str:
            return self.name

        def graphsafe_set_state(self, state: str) -> None:
            freed.append(state)

    own: Any = Stuck("own")
    default: Any = Stuck("default")
    cuda.default_generators[0] = default

    def step() -> None:
        raise RuntimeError("operation not permitted when stream is capturing")

    with pytest.raises(RuntimeError, match="not permitted"):
        CudaRecorder(CUDA).record(step, [own])
    assert freed == ["own", "default"]


def test_only_a_cuda_device_has_a_recorder_and_only_where_graphs_are_on(cuda: FakeCuda) -> None:
    assert isinstance(recorder_of(CUDA, "auto"), CudaRecorder)
    assert recorder_of(CUDA, "off") is None
    assert recorder_of(torch.device("cpu"), "auto") is None
