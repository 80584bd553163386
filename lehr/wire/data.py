"""What a task made of its data, as the worker that read it tells."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from lehr.wire.base import Count, Request, Text

MOST_COLUMNS, MOST_CLASSES, MOST_SENTENCES = 200, 100, 50
LONGEST_NAME, LONGEST_SENTENCE = 200, 500

DataName = Annotated[Text, Field(max_length=LONGEST_NAME)]
Sentence = Annotated[Text, Field(max_length=LONGEST_SENTENCE)]


class DataColumn(Request):
    """A column of a table. `missing`: in how many rows."""

    name: DataName
    kind: Literal["numbers", "categories"]
    missing: Count


class DataSummary(Request):
    """The data of a study. `rows`: of a table, or how many pictures, or the tokens of a text; `columns_count`: of all
    the inputs, of which `columns` has the first. `classes`: how many examples each has, the first ones by name.
    `left_out`: what is not read, and why. `doubts`: what may have been misread.
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
