"""The task `tabular` on CSV files and scikit-learn's tables, compared with scikit-learn's models."""

from __future__ import annotations

import gzip
import math
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from jsonschema import Draft202012Validator
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import r2_score

from lehr.schedules import schedule_from_dict
from tests.unit.workers.training.runs import assert_resumes, run_of, train
from workers.tasks.files import InvalidDataError, MissingDataError
from workers.tasks.params import InvalidParamsError, parse_params
from workers.tasks.registry import offers
from workers.tasks.tabular.params import ModelName, TabularParams
from workers.training.solo import build_task

CPU = torch.device("cpu")
MODELS = get_args(ModelName)
RATE = {"sgd": 0.05, "adamw": 0.01, "rmsprop": 0.003}
PEOPLE = "age,town,income\n30,Ulm,1.5\n,Bonn,2\n50,?,2.5\nNA,Ulm,8\n41,Ulm,4\n38,Bonn,3\n"


def cosine(optimizer: str) -> Any:
    return schedule_from_dict({"family": "cosine", "start_lr": RATE[optimizer], "end_lr": 1e-5})


def data_of(folder: Path, content: str, **params: Any) -> Any:
    (folder / "people.csv").write_text(content, encoding="utf-8")
    return build_task({"name": "tabular", "params": {"file": "people.csv", **params}}, folder).data(CPU)


@pytest.mark.parametrize("optimizer", list(RATE))
@pytest.mark.parametrize("model", MODELS)
def test_a_resumed_run_equals_an_uninterrupted_one_bitwise(model: str, optimizer: str, tmp_path: Path) -> None:
    params = {"file": "wine", "model": model, "optimizer": optimizer, "epochs": 3, "hidden": 8, "dropout": 0.2}
    assert_resumes(lambda: run_of("tabular", params, cosine(optimizer)), tmp_path)


def test_the_same_seed_gives_the_same_curve_and_another_another() -> None:
    first, again, other = (train(run_of("tabular", {"epochs": 2}, seed=seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("file", "bunch", "baseline"),
    [
        ("breast_cancer", load_breast_cancer, LogisticRegression(max_iter=1000)),
        ("wine", load_wine, LogisticRegression(max_iter=1000)),
        ("diabetes", load_diabetes, LinearRegression()),
    ],
)
def test_every_model_is_about_as_good_as_scikit_learns_linear_one(
    file: str, bunch: Any, baseline: Any, model: str
) -> None:
    params = {"file": file, "model": model, "epochs": 15, "batch_size": 16, "hidden": 16}
    run = run_of("tabular", params, schedule_from_dict({"family": "cosine", "start_lr": 0.01, "end_lr": 1e-5}))
    ours = train(run)[-1].metrics["val_score"]
    data = run._data
    assert len(data.val_targets) + data.train_size == len(bunch().target)
    theirs = baseline.fit(data.train_inputs, data.train_targets).score(data.val_inputs, data.val_targets)
    assert ours == pytest.approx(theirs, abs=0.1)


def test_a_regressions_score_is_scikit_learns_r2() -> None:
    task = build_task({"name": "tabular", "params": {"file": "diabetes"}})
    data, model = task.data(CPU), task.build_model().eval()
    with torch.no_grad():
        values, outputs = task.evaluate(model, data), model(data.val_inputs)
    assert float(values["val_score"]) == pytest.approx(r2_score(data.val_targets, outputs.squeeze(1)), abs=1e-5)
    assert float(values["val_loss"]) == pytest.approx(float((outputs.squeeze(1) - data.val_targets).square().mean()))


def test_missing_numbers_stand_at_the_mean_and_say_so_and_categories_have_inputs_of_their_own(tmp_path: Path) -> None:
    data = data_of(tmp_path, PEOPLE, goal="regression", validation_fraction=0.4)
    inputs = torch.cat([data.train_inputs, data.val_inputs])
    targets = torch.cat([data.train_targets, data.val_targets]).numpy()
    order = [int(np.argsort([1.5, 2, 2.5, 8, 4, 3])[place]) for place in np.argsort(np.argsort(targets))]
    age, missing, town = inputs[:, 0], inputs[:, 1], inputs[:, 2:]
    assert [int(row) for row in missing.nonzero()] == sorted(order.index(row) for row in (1, 3))
    assert age[missing == 1].tolist() == [0, 0]
    known = age[: data.train_size][missing[: data.train_size] == 0]
    assert float(known.mean()) == pytest.approx(0, abs=1e-6)
    assert float(known.std(correction=0)) == pytest.approx(1, abs=1e-5)
    assert town.sum(dim=1).tolist() == [1] * 6
    assert torch.equal(town[order.index(0)], town[order.index(4)])
    assert float(data.train_targets.mean()) == pytest.approx(0, abs=1e-6)


def test_a_category_that_training_never_saw_is_among_the_others(tmp_path: Path) -> None:
    rows = "\n".join(f"word{row},{row % 2}" for row in range(100))
    data = data_of(tmp_path, f"name,y\n{rows}\n", validation_fraction=0.5)
    assert data.train_inputs.shape == (50, 50 + 1)
    assert data.val_inputs[:, -1].tolist() == [1] * 50
    assert data.train_inputs[:, -1].sum() == 0


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("packed", [False, True])
def test_cells_may_be_parted_by_comma_semicolon_or_tab(delimiter: str, packed: bool, tmp_path: Path) -> None:
    rows = [f'{row}{delimiter}"a{delimiter} ""b"""{delimiter}{row % 3}' for row in range(20)]
    content = "\ufeff" + "\r\n".join([delimiter.join(("number", "word", "class")), *rows])
    name = "people.csv.gz" if packed else "people.csv"
    (tmp_path / name).write_bytes(gzip.compress(content.encode()) if packed else content.encode())
    data = build_task({"name": "tabular", "params": {"file": name}}, tmp_path).data(CPU)
    assert data.train_inputs.shape == (16, 1 + 2)
    assert set(data.train_targets.tolist()) == {0, 1, 2}


@pytest.mark.parametrize(
    ("column", "goal", "regression"),
    [
        ("abc", "auto", False),
        ([1, 2, 3], "auto", False),
        ([0.5, 1, 2], "auto", True),
        (range(21), "auto", True),
        ([1, 2, 3], "regression", True),
        ([0.5, 1, 2], "classification", False),
    ],
)
def test_the_goal_follows_from_the_target_unless_it_is_given(
    column: Any, goal: str, regression: bool, tmp_path: Path
) -> None:
    rows = "\n".join(f"{row},{list(column)[row % len(column)]}" for row in range(210))
    data = data_of(tmp_path, f"x,y\n{rows}\n", goal=goal)
    assert data.train_targets.is_floating_point() == regression


@pytest.mark.parametrize(
    ("content", "params", "said"),
    [
        ("", {}, "does not name the columns"),
        ("x\n1\n", {}, "does not name the columns"),
        ("x,x\n1,2\n", {}, r"does not name the columns \(allowed: at least two different names; got 'x'\)"),
        ("x,\n1,2\n", {}, "does not name the columns"),
        ("x,y\n", {}, "it has no rows"),
        ("x,y\n1,2\n", {}, "too few rows"),
        ("x,y\n1,2\n1,2,3\n", {}, r"line 3 has another number of cells \(allowed: 2; got 3\)"),
        ('x,y\n1,"2\n', {}, "cannot be read"),
        ("x,y\n1,2\n" * 4, {"target": "z"}, r"the target is not a column \(allowed: one of x, y; got 'z'\)"),
        ("x,y\n1,\n1,2\n1,3\n", {}, "the target 'y' is missing in some rows"),
        ("x,y\n1,a\n1,a\n1,a\n", {}, r"wrong number of classes \(allowed: 2 to 1000; got 1\)"),
        ("x,y\n" + "1,a\n" * 3 + "1,b\n", {"validation_fraction": 0.25, "split_seed": 0}, "has no training row"),
        ("x,y\n1,a\n1,b\n1,a\n", {"goal": "regression"}, "holds no numbers"),
        ("x,y\n" + "1,2\n" * 5, {"goal": "regression"}, "never changes"),
        ("x,y\n1,2\ninf,2\n", {}, r"row 2 of column 'x' is too large"),
        ("x,y\n1,2\n3,-1e300\n", {}, r"row 2 of column 'y' is too large"),
    ],
)
def test_a_wrong_table_is_refused_before_training(content: str, params: Any, said: str, tmp_path: Path) -> None:
    if said == "has no training row":
        params = {**params, "split_seed": _seed_that_holds_out_the_last(4)}
    with pytest.raises(InvalidDataError, match=said):
        data_of(tmp_path, content, **params)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_bytes(b"PAR1\xff\xfe")
    with pytest.raises(InvalidDataError, match="this is not text"):
        run_of("tabular", {"file": "table.csv"}, data_dir=tmp_path)


def test_a_missing_table_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=rf"{tmp_path}/none\.csv\. Put a CSV or Parquet file there"):
        run_of("tabular", {"file": "none.csv"}, data_dir=tmp_path)


@pytest.mark.parametrize(
    ("field", "value"),
    [("file", "../people.csv"), ("target", ""), ("goal", "clustering"), ("layers", 0), ("dropout", 1), ("hidden", 0)],
)
def test_a_bad_parameter_is_refused_by_the_worker_and_by_the_schema(field: str, value: Any) -> None:
    with pytest.raises(InvalidParamsError, match=rf"task\.params\.{field}: "):
        parse_params(TabularParams, {field: value})
    (offer,) = offers(["tabular"])
    assert not Draft202012Validator(offer.params_schema or {}).is_valid({field: value})


def test_a_constant_column_does_no_harm(tmp_path: Path) -> None:
    rows = "\n".join(f"7,,{row},{row % 2}" for row in range(20))
    data = data_of(tmp_path, f"same,nothing,x,y\n{rows}\n")
    assert math.isfinite(float(data.train_inputs.sum()))


def _seed_that_holds_out_the_last(rows: int) -> int:
    from workers.tasks.splitting import split

    return next(seed for seed in range(100) if split(rows, 0.25, seed)[1].tolist() == [rows - 1])
