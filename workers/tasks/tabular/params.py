"""Parameters of the task `tabular`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from workers.tasks.files import FileName
from workers.tasks.params import ActivationName, HeldOutParams
from workers.tasks.tabular.table import DecimalMark, Wanted

ModelName = Literal["linear", "mlp", "resnet"]
GoalName = Literal["auto", "classification", "regression"]
MOST_NAMES = 1000
ColumnName = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class TabularParams(HeldOutParams):
    """Parameters of the task `tabular`."""

    file: Annotated[
        FileName,
        Field(
            description="a CSV or Parquet file in the data folder, or scikit-learn's breast_cancer, wine or diabetes"
        ),
    ] = "breast_cancer"
    target: Annotated[ColumnName | None, Field(description="the column to predict; null: the last one")] = None
    columns: Annotated[
        list[ColumnName] | None,
        Field(max_length=MOST_NAMES, description="the columns to predict from; null: all but the target"),
    ] = None
    drop: Annotated[
        list[ColumnName] | None, Field(max_length=MOST_NAMES, description="columns to leave out, such as an id")
    ] = None
    categories: Annotated[
        list[ColumnName] | None,
        Field(
            max_length=MOST_NAMES,
            description="columns of a CSV file to read as categories as written, even `NA`, `none` and numbers",
        ),
    ] = None
    decimal: Annotated[
        DecimalMark | None, Field(description="the decimal mark of a CSV file; null: detected from its numbers")
    ] = None
    goal: Annotated[
        GoalName,
        Field(description="auto: regression if the target is numeric with over 20 values, or fractions"),
    ] = "auto"
    model: Annotated[ModelName, Field(description="linear, a plain mlp, or residual blocks")] = "mlp"
    activation: Annotated[ActivationName, Field(description="between layers; the linear model has none")] = "relu"
    hidden: Annotated[int, Field(ge=1, le=4096, description="width of the hidden layers")] = 64
    layers: Annotated[int, Field(ge=1, le=16, description="hidden layers, or residual blocks")] = 2
    dropout: Annotated[float, Field(ge=0, le=0.9, description="share of hidden units dropped in training")] = 0.0

    @property
    def wanted(self) -> Wanted:
        columns, drop, categories = (tuple(names or ()) for names in (self.columns, self.drop, self.categories))
        return Wanted(self.target, columns, drop, categories, self.decimal)
