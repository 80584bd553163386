"""The GPU benchmark of cohorts, as far as it can be tested without a GPU."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from benchmarks.cohort_gpu import run
from benchmarks.cohort_gpu.measure import Case, Figure, measure
from tests.unit.workers.training.tapes import TapeRecorder

CPU = torch.device("cpu")
TINY = Case("digits", {"model": "linear", "batch_size": 256})


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_where_there_is_no_gpu_it_ends_and_says_what_can_be_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["run.py"])
    run.main()
    assert "no CUDA device here; --device cpu runs a small version" in capsys.readouterr().out


def test_a_cohorts_epoch_counts_all_its_trials() -> None:
    task = TINY.build(Path(), "fp32")
    alone, together = measure(task, CPU, "alone", 1, 0.0), measure(task, CPU, "python", 8, 0.0)
    assert alone is not None
    assert together is not None
    assert 0 < alone.epoch_seconds < together.epoch_seconds
    assert together.trials_an_hour(8, 10) == pytest.approx(8 * 360 / together.epoch_seconds)


def test_replayed_steps_are_measured_and_what_was_not_replayed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = TapeRecorder()
    monkeypatch.setattr("benchmarks.cohort_gpu.measure.recorder_of", lambda device, graphs: recorder)
    found = measure(TINY.build(Path(), "fp32"), CPU, "replayed", 2, 0.0)
    assert found is not None
    assert found.words == ""
    # Full batches and the last batch both run before the measurement.
    assert len(recorder.tapes) == 2


def test_a_size_that_does_not_fit_is_a_row_and_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("benchmarks.cohort_gpu.measure.new_cohort", full)
    found = measure(TINY.build(Path(), "fp32"), CPU, "python", 8, 0.0)
    assert found is None
    assert run._figures(found, Figure(1.0), 8, 10) == "- | - | - | - | did not fit into memory |"
