"""Which study is meant: by id, by name, or by the beginning of an id."""

from __future__ import annotations

import re

from lehr.cli.display.output import say
from lehr.client import Client
from lehr.errors import ConflictError, NotFoundError, nearest
from lehr.wire.base import ID_PATTERN
from lehr.wire.studies import Study, StudySummary

MOST_NAMED = 5


class NoSuchStudyError(NotFoundError):
    """No study has this id, name or beginning of an id."""


class AmbiguousStudyError(ConflictError):
    """More than one study is meant."""


def find_study(client: Client, text: str, *, newest_of_name: bool = True) -> StudySummary:
    """The study with this id, else this name, else whose id begins so.

    Of several with the same name the newest is taken, or none where `newest_of_name` is False:
    what ends or deletes a study must not guess.
    """
    if re.fullmatch(ID_PATTERN, text):
        try:
            return client.study(text)
        except NotFoundError:
            pass
    studies = list(client.studies())
    named = sorted((each for each in studies if each.name == text), key=lambda each: each.created_at, reverse=True)
    if named and (newest_of_name or len(named) == 1):
        if len(named) > 1:
            say(f"{len(named)} studies are named {text!r}; this is the newest, {named[0].study_id}.", "dim")
        return named[0]
    begun = named or [each for each in studies if text and each.study_id.startswith(text)]
    if not begun:
        near = nearest(text, [name for each in studies for name in (each.name, each.study_id)])
        meant = f"Did you mean {near}? " if near else ""
        raise NoSuchStudyError(f"No study has the id or name {text!r}. {meant}`lehr status` lists them.")
    if len(begun) > 1:
        ids = ", ".join(each.study_id for each in begun[:MOST_NAMED]) + (", …" if len(begun) > MOST_NAMED else "")
        raise AmbiguousStudyError(f"{len(begun)} studies are meant by {text!r}: {ids}. Give one's id.")
    return begun[0]


def find_whole_study(client: Client, text: str) -> Study:
    """The same, with its spec, its warnings and its data, which lists do not have."""
    found = find_study(client, text)
    return found if isinstance(found, Study) else client.study(found.study_id)
