"""Checkpoints appear whole or not at all."""

from __future__ import annotations

import hashlib
import io
import itertools
import os
import random
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from lehr.errors import InvalidValueError
from tests.unit.workers.training.runs import new_run
from workers.checkpoints.generations import discard, generations
from workers.checkpoints.saving import Cadence, Checkpoints
from workers.checkpoints.storage import STALE_SECONDS, open_storage

_places = itertools.count()


@pytest.fixture(params=["", "file://", "memory://"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A storage of each kind: a folder by path and by URL, and one that only fsspec supports."""
    return f"{request.param}{tmp_path}/{next(_places)}"


def state(step: int, fingerprint: str = "run") -> dict[str, Any]:
    return {"fingerprint": fingerprint, "run": {"step": step, "weights": torch.arange(5)}, "value": 0.5, "reports": []}


def saved(folder: Path, *steps: int) -> Checkpoints:
    checkpoints = Checkpoints(open_storage(str(folder)))
    for step in steps:
        checkpoints.save("t1", step, state(step))
    return checkpoints


def loaded_step(checkpoints: Checkpoints, told: str | None = None) -> int | None:
    found = checkpoints.load("t1", "run", told)
    return None if found is None else int(found["run"]["step"])


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_what_is_saved_is_loaded_by_whoever_comes_next(url: str) -> None:
    Checkpoints(open_storage(url)).save("t1", 7, state(7))
    loaded = Checkpoints(open_storage(url)).load("t1", "run", None)
    assert loaded is not None
    assert loaded["run"]["step"] == 7
    assert torch.equal(loaded["run"]["weights"], torch.arange(5))


def test_there_is_nothing_to_load_at_first(url: str) -> None:
    assert loaded_step(Checkpoints(open_storage(url))) is None


def test_two_generations_are_kept_and_a_trial_with_a_result_leaves_none(url: str) -> None:
    storage = open_storage(url)
    checkpoints = Checkpoints(storage)
    for step in (8, 9, 10, 11):
        checkpoints.save("t1", step, state(step))
    checkpoints.save("t10", 1, state(1))
    assert generations(storage, "t1") == ["t1.11.pt", "t1.10.pt"]
    # The next attempt deletes them, too.
    resumed = Checkpoints(storage)
    assert loaded_step(resumed) == 11
    resumed.save("t1", 12, state(12))
    assert generations(storage, "t1") == ["t1.12.pt", "t1.11.pt"]
    discard(storage, "t1")
    discard(storage, "t1")
    assert storage.names("t1") == ["t10.1.pt"]


@pytest.mark.parametrize("keep", [0, 10, 32, 100, -1])
def test_where_the_newest_is_torn_the_one_before_it_is_used(keep: int, tmp_path: Path) -> None:
    checkpoints = saved(tmp_path, 6, 7)
    newest = tmp_path / "t1.7.pt"
    newest.write_bytes(newest.read_bytes()[:keep])
    assert loaded_step(checkpoints) == 6


def test_where_the_newest_is_tampered_with_the_one_before_it_is_used(tmp_path: Path) -> None:
    checkpoints = saved(tmp_path, 6, 7)
    damage(tmp_path / "t1.7.pt")
    assert loaded_step(checkpoints) == 6
    damage(tmp_path / "t1.6.pt")
    assert loaded_step(checkpoints) is None


class Hostile:
    """An object that runs code when it is unpickled without care."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


def forge(path: Path, payload: bytes) -> None:
    """Write a forged checkpoint with a correct digest."""
    path.write_bytes(hashlib.sha256(payload).digest() + payload)


def test_a_forged_one_runs_no_code_and_the_one_before_it_is_used(tmp_path: Path) -> None:
    checkpoints = saved(tmp_path, 6, 7)
    buffer = io.BytesIO()
    torch.save({**state(7), "more": Hostile(tmp_path / "run")}, buffer)
    forge(tmp_path / "t1.7.pt", buffer.getvalue())
    assert loaded_step(checkpoints) == 6
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("forged", [3, {"fingerprint": "run"}, {"fingerprint": "run", "run": {"step": "seven"}}])
def test_one_that_holds_no_run_counts_as_none(forged: Any, tmp_path: Path) -> None:
    checkpoints = saved(tmp_path, 6, 7)
    buffer = io.BytesIO()
    torch.save(forged, buffer)
    forge(tmp_path / "t1.7.pt", buffer.getvalue())
    assert loaded_step(checkpoints) == 6


def test_whatever_bytes_bear_the_right_digest_are_a_checkpoint_or_none(tmp_path: Path) -> None:
    checkpoints, draw = saved(tmp_path, 6, 7), random.Random(0)
    payload = (tmp_path / "t1.7.pt").read_bytes()[32:]
    for _ in range(200):
        changed = bytearray(payload)
        for _ in range(draw.choice([1, 5, 50])):
            changed[draw.randrange(len(changed))] = draw.randrange(256)
        forge(tmp_path / "t1.7.pt", bytes(changed[: draw.choice([None, draw.randrange(len(changed))])]))
        # If the change is in a part that zip readers ignore, the content is still intact.
        assert loaded_step(checkpoints) is not None


def test_a_sound_generation_outlives_a_torn_one_that_was_further(tmp_path: Path) -> None:
    saved(tmp_path, 50, 100)
    damage(tmp_path / "t1.100.pt")
    resumed = saved(tmp_path)
    assert loaded_step(resumed) == 50
    resumed.save("t1", 60, state(60))
    damage(tmp_path / "t1.60.pt")
    assert loaded_step(resumed) == 50


def test_another_runs_file_counts_as_none_and_is_left_alone(tmp_path: Path) -> None:
    Checkpoints(open_storage(str(tmp_path))).save("t1", 99, state(99, fingerprint="another database's t1"))
    assert loaded_step(saved(tmp_path, 1, 2, 3)) == 3
    assert (tmp_path / "t1.99.pt").exists()


def test_a_save_that_fails_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints = saved(tmp_path, 7)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        checkpoints.save("t1", 8, state(8))
    assert loaded_step(checkpoints) == 7
    assert [path.name for path in tmp_path.iterdir()] == ["t1.7.pt"]


def test_the_furthest_of_both_places_is_used(tmp_path: Path) -> None:
    here = saved(tmp_path / "here", 7)
    told = saved(tmp_path / "there", 8).save("t1", 9, state(9))
    assert loaded_step(here, told) == 9
    damage(tmp_path / "there" / "t1.9.pt")
    assert loaded_step(here, told) == 8


@pytest.mark.parametrize(
    "told", ["{there}/t2.9.pt", "{there}/t1.9.pt/../t1.pt", "{there}/t1.pt", "memory://there/t1.9.pt", "t1.9.pt", ""]
)
def test_a_place_that_is_not_the_trials_is_neither_read_nor_deleted(told: str, tmp_path: Path) -> None:
    here = saved(tmp_path / "here")
    other = Path(Checkpoints(open_storage(str(tmp_path / "there"))).save("t2", 9, state(9)))
    told = told.format(there=tmp_path / "there")
    assert here.load("t1", "run", told) is None
    here.discard("t1", told)
    assert other.exists()


def test_what_a_killed_worker_left_unfinished_is_swept(tmp_path: Path) -> None:
    old, young = tmp_path / ".t1.x.tmp", tmp_path / ".t2.y.tmp"
    old.touch()
    young.touch()
    os.utime(old, (time.time() - STALE_SECONDS - 1,) * 2)
    open_storage(str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == [".t2.y.tmp"]


@pytest.mark.parametrize("url", ["nowhere://bucket/x", "/dev/null/x"])
def test_a_place_that_cannot_be_used_is_refused_by_name(url: str) -> None:
    with pytest.raises(InvalidValueError, match="checkpoints: "):
        open_storage(url)


def test_a_whole_run_passes_torchs_safe_loading(tmp_path: Path) -> None:
    run = new_run({"epochs": 1, "optimizer": "adam"})
    run.advance()
    checkpoints = Checkpoints(open_storage(str(tmp_path)))
    checkpoints.save("t1", run.step, {"fingerprint": "run", "run": run.state(), "value": None, "reports": []})
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
