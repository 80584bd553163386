"""Checkpoints appear whole or not at all."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.unit.workers.runs import new_run
from workers.checkpoints import STALE_SECONDS, Cadence, Checkpoints


def state(step: int, fingerprint: str = "run") -> dict[str, Any]:
    return {"fingerprint": fingerprint, "run": {"step": step, "weights": torch.arange(5)}, "value": 0.5, "reports": []}


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "new" / "folder")
    checkpoints.save("t1", state(7))
    loaded = checkpoints.load("t1", "run", None)
    assert loaded is not None
    assert loaded["run"]["step"] == 7
    assert torch.equal(loaded["run"]["weights"], torch.arange(5))


def test_there_is_nothing_to_load_at_first(tmp_path: Path) -> None:
    assert Checkpoints(tmp_path).load("t1", "run", None) is None


@pytest.mark.parametrize("keep", [0, 10, 32, 100, -1])
def test_a_torn_file_counts_as_none(keep: int, tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    path = checkpoints.save("t1", state(7))
    path.write_bytes(path.read_bytes()[:keep])
    assert checkpoints.load("t1", "run", None) is None


def test_a_tampered_file_counts_as_none(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    path = checkpoints.save("t1", state(7))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert checkpoints.load("t1", "run", None) is None


def test_another_runs_file_counts_as_none(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save("t1", state(7, fingerprint="another database's t1"))
    assert checkpoints.load("t1", "run", None) is None


def test_a_save_that_fails_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save("t1", state(7))

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        checkpoints.save("t1", state(8))
    loaded = checkpoints.load("t1", "run", None)
    assert loaded is not None
    assert loaded["run"]["step"] == 7
    assert [path.name for path in tmp_path.iterdir()] == ["t1.pt"]


def test_the_furthest_of_both_places_is_used(tmp_path: Path) -> None:
    here, there = Checkpoints(tmp_path / "here"), Checkpoints(tmp_path / "there")
    here.save("t1", state(7))
    told = str(there.save("t1", state(9)))
    loaded = here.load("t1", "run", told)
    assert loaded is not None
    assert loaded["run"]["step"] == 9


def test_a_place_that_is_not_named_after_the_trial_is_neither_read_nor_deleted(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "here")
    other = Checkpoints(tmp_path / "there").save("t2", state(9))
    assert checkpoints.load("t1", "run", str(other)) is None
    checkpoints.discard("t1", str(other))
    assert other.exists()


def test_a_finished_trial_leaves_nothing(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save("t1", state(7))
    checkpoints.discard("t1")
    checkpoints.discard("t1")
    assert not list(tmp_path.iterdir())


def test_what_a_killed_worker_left_unfinished_is_swept(tmp_path: Path) -> None:
    old, young = tmp_path / ".t1.x.tmp", tmp_path / ".t2.y.tmp"
    old.touch()
    young.touch()
    os.utime(old, (time.time() - STALE_SECONDS - 1,) * 2)
    Checkpoints(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".t2.y.tmp"]


def test_a_whole_run_passes_torchs_safe_loading(tmp_path: Path) -> None:
    run = new_run({"epochs": 1, "optimizer": "adam"})
    run.advance()
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save("t1", {"fingerprint": "run", "run": run.state(), "value": None, "reports": []})
    loaded = checkpoints.load("t1", "run", None)
    assert loaded is not None
    new_run({"epochs": 1, "optimizer": "adam"}).restore(loaded["run"])


def test_saving_keeps_to_its_cadence() -> None:
    cadence = Cadence(10.0, now=100.0)
    assert not cadence.due(109.9)
    assert cadence.due(110.0)
    cadence.saved(started=110.0, now=110.1)
    assert not cadence.due(120.0)
    assert cadence.due(120.1)


def test_costly_saving_takes_a_fiftieth_of_the_time_at_most() -> None:
    cadence = Cadence(10.0, now=0.0)
    cadence.saved(started=10.0, now=12.0)
    assert not cadence.due(111.9)
    assert cadence.due(112.0)
