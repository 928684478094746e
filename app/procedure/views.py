"""Who sees a stage in full, in summary, or only its status.
The highest view wins; a field that is not named is in no view.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from app.procedure.model import Stage, Vocabulary

View = Literal["full", "summary", "status"]
FULL: View = "full"
SUMMARY: View = "summary"
STATUS: View = "status"
TEXT = "text"


def view_of(stage: Stage, viewer: Iterable[str]) -> View:
    """Return the view that a reader has of a stage.
    `viewer`: every name that the data may use for the reader (its code, `opener`, a role that it succeeded to).
    """
    names = set(viewer)
    if names & (stage.full | {stage.owner}):
        return FULL
    return SUMMARY if names & stage.summary else STATUS


def in_summary(vocabulary: Vocabulary, body: Mapping[str, object]) -> dict[str, object]:
    """Return the members of a body that the summary view shows, and that are stored in the clear.
    They contain no person, no account of one, and no free text.
    """
    return {name: value for name, value in _shown(vocabulary, body) if vocabulary.fields[name].type != TEXT}


def in_words(vocabulary: Vocabulary, body: Mapping[str, object]) -> dict[str, object]:
    """Return the free text that the summary view shows.
    It is sealed with the key of the person it is about, and is lost with that key.
    """
    return {name: value for name, value in _shown(vocabulary, body) if vocabulary.fields[name].type == TEXT}


def _shown(vocabulary: Vocabulary, body: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    return ((name, value) for name, value in body.items() if value is not None and vocabulary.fields[name].summary)
