"""Folders of pictures: every pixel in its place, and clear errors before training for invalid folders."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lehr.errors import InvalidValueError
from lehr.schedules import schedule_from_dict
from tests.unit.workers.training.runs import assert_resumes, run_of, train
from workers.tasks.files import InvalidDataError, MissingDataError
from workers.tasks.images.folders import find
from workers.tasks.summary import STRAYS, of_pictures
from workers.training.solo import build_task

image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
CLASSES = ("bird", "cat", "dog")


def picture(label: int, seed: int, side: int = 16) -> Any:
    """A picture whose class is obvious from its pixels."""
    pixels = np.random.default_rng(seed).integers(0, 60, (side, side, 3), dtype=np.uint8)
    pixels[:, :, label] += 190
    return image.fromarray(pixels)


def write(folder: Path, count: int = 8, ending: str = ".png") -> None:
    for label, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        for seed in range(count):
            picture(label, seed).save(folder / name / f"{seed}{ending}")


def test_pictures_are_read_pixel_by_pixel_in_the_order_of_their_names(tmp_path: Path) -> None:
    write(tmp_path / "pets")
    (tmp_path / "pets" / "cat" / "notes.txt").write_text("no picture")
    (tmp_path / "pets" / ".thumbnails").mkdir()
    found = find("pets", 16, tmp_path)
    part = found.read().train
    assert (found.shape.classes, len(found.files)) == (3, 24)
    assert part.labels.tolist() == [0] * 8 + [1] * 8 + [2] * 8
    truth = np.stack([np.asarray(picture(label, seed)) for label in range(3) for seed in range(8)])
    assert np.array_equal(part.images.numpy(), truth.transpose(0, 3, 1, 2))


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1", "CMYK"])
def test_every_kind_of_picture_becomes_three_colours(mode: str, tmp_path: Path) -> None:
    ending = ".jpg" if mode == "CMYK" else ".png"
    write(tmp_path / "pets")
    picture(0, 0).convert(mode).save(tmp_path / "pets" / "bird" / f"0{ending}")
    assert find("pets", 16, tmp_path).read().train.images.shape[1:] == (3, 16, 16)


def test_the_middle_square_is_kept_and_scaled(tmp_path: Path) -> None:
    write(tmp_path / "pets", count=1)
    wide = np.zeros((20, 60, 3), dtype=np.uint8)
    wide[:, 15:45] = 200
    image.fromarray(wide).save(tmp_path / "pets" / "bird" / "0.png")
    first = find("pets", 10, tmp_path).read().train.images[0]
    assert (first == 200).all()


def test_a_picture_taken_sideways_is_turned_upright(tmp_path: Path) -> None:
    write(tmp_path / "pets", count=1)
    pixels = np.asarray(picture(0, 0))
    exif = image.Exif()
    exif[0x0112] = 6  # the camera was turned: rows run from right to left, columns from top to bottom
    image.fromarray(pixels).save(tmp_path / "pets" / "bird" / "0.png", exif=exif)
    first = find("pets", 16, tmp_path).read().train.images[0].numpy()
    assert np.array_equal(first, np.rot90(pixels, k=-1).transpose(2, 0, 1))


@pytest.mark.parametrize("part", ["test", "val"])
def test_train_and_test_folders_are_the_two_parts(part: str, tmp_path: Path) -> None:
    write(tmp_path / "pets" / "train")
    write(tmp_path / "pets" / part, count=2, ending=".jpeg")
    task = build_task(
        {"name": "images", "params": {"data": "folder", "folder": "pets", "validate_on": "test"}}, tmp_path
    )
    data = task.data(torch.device("cpu"))
    assert (data.train_size, len(data.val_targets)) == (24, 6)
    assert data.train_inputs.shape[1:] == (3, 32, 32)


@pytest.mark.parametrize("model", ["mlp", "resnet"])
def test_a_model_learns_what_is_plain_to_see_and_resumes_bitwise(model: str, tmp_path: Path) -> None:
    write(tmp_path / "pets", count=20)
    params = {"data": "folder", "folder": "pets", "side": 8, "model": model, "width": 2, "hidden": 8, "epochs": 10}
    params |= {"batch_size": 8, "optimizer": "adamw", "flip": True, "crop": 1, "validation_fraction": 0.2}
    schedule = schedule_from_dict({"family": "cosine", "start_lr": 0.01, "end_lr": 1e-4})
    accuracy = train(run_of("images", params, schedule, data_dir=tmp_path))[-1].metrics["val_accuracy"]
    assert accuracy is not None
    assert accuracy >= 0.9
    short = {**params, "epochs": 2}
    assert_resumes(lambda: run_of("images", short, schedule, data_dir=tmp_path), tmp_path, interruptions=1)


def test_a_missing_folder_says_where_it_was_looked_for_and_how_to_lay_it_out(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=rf"{tmp_path}/pets\. Put one folder for each class there"):
        run_of("images", {"data": "folder", "folder": "pets"}, data_dir=tmp_path)


def test_a_folder_without_a_test_part_cannot_validate_on_it(tmp_path: Path) -> None:
    write(tmp_path / "images")
    with pytest.raises(InvalidValueError, match=r"task\.params\.validate_on: the folder has no test part"):
        run_of("images", {"data": "folder", "validate_on": "test"}, data_dir=tmp_path)


def test_an_empty_class_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "images")
    (tmp_path / "images" / "fish").mkdir()
    with pytest.raises(InvalidDataError, match="images/fish: a class has no image"):
        run_of("images", {"data": "folder"}, data_dir=tmp_path)


def test_a_folder_with_one_class_or_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    with pytest.raises(InvalidDataError, match=r"wrong number of classes \(allowed: 2 to 1000 folders; got 0\)"):
        run_of("images", {"data": "folder"}, data_dir=tmp_path)


def test_classes_that_differ_between_training_and_test_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "images" / "train")
    write(tmp_path / "images" / "test")
    (tmp_path / "images" / "test" / "dog").rename(tmp_path / "images" / "test" / "wolf")
    with pytest.raises(InvalidDataError, match="images/test: its classes differ from the training classes"):
        run_of("images", {"data": "folder"}, data_dir=tmp_path)


@pytest.mark.parametrize("content", [b"", b"GIF89a and more", "torn", "bomb"])
def test_a_wrong_picture_is_refused_by_name(content: Any, tmp_path: Path) -> None:
    write(tmp_path / "images")
    path = tmp_path / "images" / "cat" / "3.png"
    path.write_bytes({"torn": path.read_bytes()[:-30], "bomb": _bomb()}.get(content, content))
    with pytest.raises(InvalidDataError, match=r"cat/3\.png: this picture cannot be read"):
        run_of("images", {"data": "folder"}, data_dir=tmp_path)


def test_more_pictures_than_memory_are_refused_before_one_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "images")
    monkeypatch.setattr("workers.tasks.images.folders.LARGEST_BYTES", 70_000)
    with pytest.raises(InvalidDataError, match=r"is too large \(allowed: at most 70000 bytes; got 73728\)"):
        run_of("images", {"data": "folder"}, data_dir=tmp_path)


def pixels_of(folder: Path, side: int = 16) -> Any:
    return find(folder.name, side, folder.parent).read().train.images.numpy()


@pytest.mark.parametrize("ending", [".png", ".tif"])
def test_sixteen_bits_are_scaled(ending: str, tmp_path: Path) -> None:
    write(tmp_path / "pets", count=1)
    deep = np.random.default_rng(0).integers(0, 1 << 16, (16, 16)).astype(np.uint16)
    (tmp_path / "pets" / "bird" / "0.png").unlink()
    image.fromarray(deep).save(tmp_path / "pets" / "bird" / f"0{ending}")
    assert np.array_equal(pixels_of(tmp_path / "pets")[0], np.stack([deep // 257] * 3))


@pytest.mark.parametrize("brightness", [0, 255])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_a_shape_in_the_transparency_is_seen(mode: str, brightness: int, tmp_path: Path) -> None:
    write(tmp_path / "pets", count=1)
    shape = np.zeros((16, 16), np.uint8)
    shape[4:12, 4:12] = 255
    bands = [np.full((16, 16), brightness, np.uint8)] * (len(mode) - 1)
    image.fromarray(np.stack([*bands, shape], axis=2), mode).save(tmp_path / "pets" / "bird" / "0.png")
    seen = pixels_of(tmp_path / "pets")[0]
    assert (seen[:, shape == 255] == brightness).all()
    assert (seen[:, shape == 0] == 128).all()


def test_pictures_that_are_all_the_same_are_refused(tmp_path: Path) -> None:
    for label in CLASSES:
        (tmp_path / "images" / label).mkdir(parents=True)
        for place in range(10):
            image.new("RGB", (16, 16), "white").save(tmp_path / "images" / label / f"{place}.png")
    with pytest.raises(InvalidDataError, match="all training pictures are the same"):
        run_of("images", {"data": "folder"}, data_dir=tmp_path)


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_pictures_are_refused(count: int, tmp_path: Path) -> None:
    for label in ("cat", "dog"):
        (tmp_path / "images" / label).mkdir(parents=True)
        for place in range(count):
            picture(0, place).save(tmp_path / "images" / label / f"{place}.png")
    with pytest.raises(InvalidDataError, match=rf"too few pictures .*got '{2 * count} to train, 0 to validate'"):
        run_of("images", {"data": "folder"}, data_dir=tmp_path)


@pytest.mark.parametrize("ending", [".webp", ".bmp", ".gif", ".TIFF", ".JPG"])
def test_other_kinds_of_pictures_and_nested_ones_are_read(ending: str, tmp_path: Path) -> None:
    write(tmp_path / "pets")
    (tmp_path / "pets" / "cat" / "more" / "deeper").mkdir(parents=True)
    picture(1, 99).save(tmp_path / "pets" / "cat" / "more" / "deeper" / f"one{ending}")
    assert len(find("pets", 16, tmp_path).files) == 25
    assert len(pixels_of(tmp_path / "pets")) == 25


def test_what_is_plainly_no_data_is_skipped_and_the_rest_counted(tmp_path: Path) -> None:
    write(tmp_path / "pets")
    cats = tmp_path / "pets" / "cat"
    (tmp_path / "pets" / "__MACOSX" / "cat").mkdir(parents=True)
    for name in ("._0.png", "Thumbs.db", ".DS_Store"):
        (cats / name).write_bytes(b"\x00\x05\x16\x07")
    (cats / "gone.png").symlink_to("/nowhere/x.png")
    os.mkfifo(cats / "pipe.png")
    for name in ("a.heic", "b.heic", "README"):
        (cats / name).write_text("something else")
    (tmp_path / "pets" / "loose.png").write_bytes((cats / "0.png").read_bytes())
    found = find("pets", 16, tmp_path)
    assert (len(found.files), found.shape.classes, tuple(found.classes)) == (24, 3, CLASSES)
    assert found.left_out == {
        "ending in '.heic'": 2,
        "without an ending": 1,
        "(broken link)": 1,
        "(no regular file)": 1,
        "in no class": 1,
        STRAYS: 4,
    }
    told = of_pictures("pets", found.classes, found.left_out)
    assert "4 files hidden, or left behind by operating systems and archives" in told.left_out
    assert "hidden" not in told.doubts[0], "what is plainly no data is said, and not warned about"
    assert len(found.read().train.images) == 24


def test_the_parts_may_be_written_in_capitals_and_test_pictures_alone_are_no_classes(tmp_path: Path) -> None:
    write(tmp_path / "pets" / "Train")
    write(tmp_path / "pets" / "Test", count=2)
    assert find("pets", 16, tmp_path).classes == dict.fromkeys(CLASSES, 10)
    (tmp_path / "pets" / "Train").rename(tmp_path / "pets" / "training")
    with pytest.raises(InvalidDataError, match="there are no training pictures"):
        find("pets", 16, tmp_path)


def test_a_last_batch_of_one_picture_that_cannot_be_normalised_is_refused_with_the_reason(tmp_path: Path) -> None:
    write(tmp_path / "images", count=7)
    params = {"data": "folder", "side": 8, "model": "resnet", "width": 2, "batch_size": 9, "validation_fraction": 0.1}
    with pytest.raises(InvalidValueError, match=r"batch_size: the last batch of an epoch holds one picture"):
        run_of("images", params, data_dir=tmp_path)
    run_of("images", {**params, "batch_size": 8}, data_dir=tmp_path)


def _bomb() -> bytes:
    """A small PNG whose header claims 400 million pixels."""
    buffer = io.BytesIO()
    picture(0, 0).save(buffer, "PNG")
    content = buffer.getvalue()
    header = b"IHDR" + struct.pack(">II", 20_000, 20_000) + content[24:29]
    return content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:]
