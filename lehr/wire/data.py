"""The model of a data summary: how a task interpreted its data, as sent by the worker that read it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from lehr.wire.base import Count, Request, Text

MOST_COLUMNS, MOST_CLASSES, MOST_SENTENCES = 200, 100, 50
LONGEST_NAME, LONGEST_SENTENCE = 200, 500

DataName = Annotated[Text, Field(max_length=LONGEST_NAME)]
Sentence = Annotated[Text, Field(max_length=LONGEST_SENTENCE)]


class DataColumn(Request):
    """A column of a table. `missing`: the number of rows without a value."""

    name: DataName
    kind: Literal["numbers", "categories"]
    missing: Count


class DataSummary(Request):
    """A summary of a study's data. `rows`: the number of rows of a table, images, or tokens of a text.
    `columns_count`: the number of input columns; `columns` lists the first ones. `classes`: the number of examples in
    each class, the first ones by name. `left_out`: what was not read, and why. `doubts`: what may have been misread.
    """

    source: Sentence
    rows: Count
    target: DataName | None = None
    columns: Annotated[list[DataColumn], Field(max_length=MOST_COLUMNS)] = Field(default_factory=list)
    columns_count: Count | None = None
    classes: Annotated[dict[DataName, Count], Field(max_length=MOST_CLASSES)] = Field(default_factory=dict)
    classes_count: Count | None = None
    left_out: Annotated[list[Sentence], Field(max_length=MOST_SENTENCES)] = Field(default_factory=list)
    doubts: Annotated[list[Sentence], Field(max_length=MOST_SENTENCES)] = Field(default_factory=list)
