"""Finds a study by id, by name, or by the beginning of its id."""

from __future__ import annotations

import re

from lehr.cli.display.output import say
from lehr.client import Client
from lehr.errors import ConflictError, NotFoundError, nearest
from lehr.wire.base import ID_PATTERN
from lehr.wire.studies import Study, StudySummary

MOST_NAMED = 5


class NoSuchStudyError(NotFoundError):
    """No study matches by id, name or beginning of the id."""


class AmbiguousStudyError(ConflictError):
    """More than one study matches."""


def find_study(client: Client, text: str, *, newest_of_name: bool = True) -> StudySummary:
    """The study with this id, otherwise this name, otherwise an id that begins with it.

    If several have the same name, the newest one is returned. With `newest_of_name` False this raises
    AmbiguousStudyError instead: commands that stop or delete a study must not guess.
    """
    if re.fullmatch(ID_PATTERN, text):
        try:
            return client.study(text)
        except NotFoundError:
            pass
    studies = list(client.studies())
    named = [study for study in studies if study.name == text]
    named.sort(key=lambda study: study.created_at, reverse=True)
    if named and (newest_of_name or len(named) == 1):
        if len(named) > 1:
            say(f"{len(named)} studies are named {text!r}; using the newest, {named[0].study_id}.", "dim")
        return named[0]
    matches = named or [study for study in studies if text and study.study_id.startswith(text)]
    if not matches:
        near = nearest(text, [name for study in studies for name in (study.name, study.study_id)])
        hint = f"Did you mean {near}? " if near else ""
        raise NoSuchStudyError(f"No study has the id or name {text!r}. {hint}Run `lehr status` to list all studies.")
    if len(matches) > 1:
        ids = ", ".join(study.study_id for study in matches[:MOST_NAMED]) + (", …" if len(matches) > MOST_NAMED else "")
        raise AmbiguousStudyError(f"{len(matches)} studies match {text!r}: {ids}. Use the id of one of them.")
    return matches[0]


def find_whole_study(client: Client, text: str) -> Study:
    """As `find_study`, but always with the spec, warnings and data, which lists omit."""
    found = find_study(client, text)
    return found if isinstance(found, Study) else client.study(found.study_id)
