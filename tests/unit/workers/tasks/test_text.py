"""The task `text`, on small files, and on tiny Shakespeare if it is installed."""

from __future__ import annotations

import gzip
import math
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from jsonschema import Draft202012Validator
from torch.nn import functional

from lehr.schedules import schedule_from_dict
from tests.support.shared_data import SHAKESPEARE
from tests.unit.workers.training.runs import assert_resumes, run_of, train
from workers.tasks.files import InvalidDataError, MissingDataError
from workers.tasks.params import InvalidParamsError, parse_params
from workers.tasks.registry import offers
from workers.tasks.text import task as text_task
from workers.tasks.text.corpus import load
from workers.tasks.text.params import TextParams
from workers.training.solo import build_task

CPU = torch.device("cpu")
TINY = {"file": "poem.txt", "context": 16, "layers": 2, "heads": 2, "head_width": 4, "epochs": 2, "batch_size": 8}
RATE = {"sgd": 0.1, "adamw": 0.01, "rmsprop": 0.003}
POEM = "Größe, cœur, 日本\nto be or not to be\n" * 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("texts")
    (folder / "poem.txt").write_text(POEM, encoding="utf-8")
    return folder


def cosine(optimizer: str) -> Any:
    return schedule_from_dict({"family": "cosine", "start_lr": RATE[optimizer], "end_lr": 1e-4})


@pytest.mark.parametrize("optimizer", list(RATE))
@pytest.mark.parametrize("tokens", ["char", "byte"])
def test_a_resumed_run_equals_an_uninterrupted_one_bitwise(
    tokens: str, optimizer: str, folder: Path, tmp_path: Path
) -> None:
    params = {**TINY, "tokens": tokens, "optimizer": optimizer, "dropout": 0.1, "clip_norm": 1.0}
    assert_resumes(lambda: run_of("text", params, cosine(optimizer), data_dir=folder), tmp_path)


def test_the_same_seed_gives_the_same_curve_and_another_another(folder: Path) -> None:
    first, again, other = (train(run_of("text", TINY, data_dir=folder, seed=seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_characters_and_bytes_are_the_texts_own(folder: Path) -> None:
    characters = sorted(set(POEM))
    corpus = load("poem.txt", "char", folder)
    assert corpus.vocabulary == len(characters)
    assert "".join(characters[token] for token in corpus.tokens) == POEM
    corpus = load("poem.txt", "byte", folder)
    assert corpus.vocabulary == 256
    assert bytes(corpus.tokens.tolist()) == POEM.encode()


def test_a_gzipped_text_is_the_same_text(tmp_path: Path) -> None:
    (tmp_path / "poem.txt.gz").write_bytes(gzip.compress(POEM.encode()))
    assert bytes(load("poem.txt.gz", "byte", tmp_path).tokens.tolist()) == POEM.encode()


def test_targets_are_the_inputs_successors_and_the_end_is_held_out(folder: Path) -> None:
    data = build_task({"name": "text", "params": {**TINY, "validation_fraction": 0.25}}, folder).data(CPU)
    tokens = load("poem.txt", "char", folder).tokens
    cut = len(tokens) - round(0.25 * len(tokens))
    assert torch.equal(data.train_inputs.flatten(), tokens[: data.train_inputs.numel()])
    assert torch.equal(data.train_targets.flatten(), tokens[1 : data.train_targets.numel() + 1])
    assert torch.equal(data.val_inputs.flatten(), tokens[cut : cut + data.val_inputs.numel()])
    assert data.val_inputs.numel() > 0.25 * len(tokens) - 17


def test_no_prediction_sees_what_comes_after(folder: Path) -> None:
    run = run_of("text", TINY, data_dir=folder)
    tokens = torch.randint(10, (1, 16), generator=torch.Generator().manual_seed(0))
    changed = tokens.clone()
    changed[0, 9:] = (changed[0, 9:] + 1) % 10
    run.model.eval()
    before, after = run.model(tokens), run.model(changed)
    assert torch.allclose(before[0, :9], after[0, :9], atol=1e-6)
    assert not torch.allclose(before[0, 9], after[0, 9], atol=1e-6)


def test_attention_is_the_textbooks(folder: Path) -> None:
    block: Any = run_of("text", TINY, data_dir=folder).model.get_submodule("blocks.0")
    stream = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0))
    query, key, value = block.attention(stream).split(8, dim=2)
    heads = []
    for head in (slice(0, 4), slice(4, 8)):
        scores = query[..., head] @ key[..., head].mT / math.sqrt(4)
        scores = scores.masked_fill(torch.ones(5, 5).triu(1).bool(), -math.inf)
        heads.append(scores.softmax(dim=-1) @ value[..., head])
    assert torch.allclose(block._attend(stream), torch.cat(heads, dim=2), atol=1e-6)


def test_validation_in_pieces_is_validation_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = build_task({"name": "text", "params": TINY}, folder)
    data, model = task.data(CPU), task.build_model().eval()
    monkeypatch.setattr(text_task, "EVALUATION_TOKENS", 32)
    with torch.no_grad():
        values, outputs = task.evaluate(model, data), model(data.val_inputs)
    truth = functional.cross_entropy(outputs.flatten(0, 1), data.val_targets.flatten())
    assert float(values["val_loss"]) == pytest.approx(float(truth), rel=1e-5)
    assert float(values["val_accuracy"]) == float((outputs.argmax(2) == data.val_targets).double().mean())


def test_the_loss_is_in_nats_per_token_and_begins_at_the_vocabularys_logarithm(tmp_path: Path) -> None:
    letters = random.Random(0).choices("abcd", k=4000)
    (tmp_path / "noise.txt").write_text("".join(letters))
    report = train(run_of("text", {**TINY, "file": "noise.txt"}, cosine("adamw"), data_dir=tmp_path))[-1]
    assert report.metrics["val_loss"] == pytest.approx(math.log(4), abs=0.05)


def test_a_text_that_repeats_itself_is_learnt(folder: Path) -> None:
    params = {**TINY, "epochs": 20, "head_width": 16, "optimizer": "adamw"}
    report = train(run_of("text", params, cosine("adamw"), data_dir=folder))[-1]
    assert (report.metrics["val_accuracy"] or 0) > 0.8


def test_the_library_of_python_needs_no_file(tmp_path: Path) -> None:
    data = build_task({"name": "text", "params": {"tokens": "byte", "train_limit": 10_000}}, tmp_path).data(CPU)
    assert data.train_size == 9000 // 128
    assert load("stdlib", "char", tmp_path).vocabulary > 90


@pytest.mark.parametrize(
    "file",
    ["/etc/passwd", "../secret.txt", "a/../../b", "..", ".hidden", "a//b", "", "a/.ssh/key", "x\x00y", "C:\\x", "a\nb"],
)
def test_a_name_that_leads_out_of_the_data_folder_is_refused_by_the_worker_and_by_the_schema(file: str) -> None:
    with pytest.raises(InvalidParamsError, match=r"task\.params\.file: "):
        parse_params(TextParams, {"file": file})
    (offer,) = offers(["text"])
    assert not Draft202012Validator(offer.params_schema or {}).is_valid({"file": file})


@pytest.mark.parametrize("file", ["poem.txt", "books/Moby Dick 2.txt", "a_b-c/d.txt.gz"])
def test_names_inside_the_data_folder_are_taken(file: str) -> None:
    assert parse_params(TextParams, {"file": file}).file == file


@pytest.mark.parametrize(
    ("content", "params", "said"),
    [
        (b"", {}, "too short for one example"),
        (b"short", {}, "too short for one example"),
        (b"long enough " * 20 + b"\xff", {}, r"not UTF-8 \(allowed: UTF-8; got 'byte 0xff at 240'\). Ask for"),
        ("".join(map(chr, range(0x4E00, 0x4E00 + 17_000))).encode(), {}, "too many different characters"),
    ],
)
def test_a_wrong_text_is_refused_before_training(content: bytes, params: Any, said: str, tmp_path: Path) -> None:
    (tmp_path / "poem.txt").write_bytes(content)
    with pytest.raises(InvalidDataError, match=said):
        run_of("text", {**TINY, **params}, data_dir=tmp_path)


def test_a_missing_text_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=rf"{tmp_path}/books/none\.txt\. Put a text file there"):
        run_of("text", {"file": "books/none.txt"}, data_dir=tmp_path)


@pytest.mark.skipif(not SHAKESPEARE.exists(), reason="tiny Shakespeare is not here")
def test_shakespeare_is_learnt_better_than_by_counting_letters() -> None:
    params = {
        "file": SHAKESPEARE.name, "train_limit": 50_000, "context": 64, "layers": 2, "heads": 2, "epochs": 2,
        "optimizer": "adamw", "batch_size": 8,
    }  # fmt: skip
    report = train(run_of("text", params, cosine("adamw"), data_dir=SHAKESPEARE.parent))[-1]
    tokens = load(SHAKESPEARE.name, "char", SHAKESPEARE.parent).tokens
    assert len(tokens) == 1_115_394
    shares = torch.bincount(tokens).double() / len(tokens)
    assert report.metrics["val_loss"] is not None
    assert report.metrics["val_loss"] < float(-(shares * shares.log()).sum()) - 0.4
