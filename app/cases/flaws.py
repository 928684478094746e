"""Collects what is wrong with a request, so that all of it is told at once."""

from collections.abc import Iterator
from contextlib import contextmanager

from app.errors import Flaw, UnknownReference, ValidationFailed


class FlawCollector:
    """Goes on after a refusal that names members; refuses at the end, with one flaw a member."""

    def __init__(self) -> None:
        self._flaws: dict[str, Flaw] = {}
        self._codes_alone = True

    @contextmanager
    def collect(self) -> Iterator[None]:
        try:
            yield
        except (ValidationFailed, UnknownReference) as refusal:
            for flaw in refusal.flaws:
                self._flaws.setdefault(flaw.pointer, flaw)
            self._codes_alone = self._codes_alone and isinstance(refusal, UnknownReference)

    def raise_collected(self) -> None:
        if self._flaws:
            raise (UnknownReference if self._codes_alone else ValidationFailed)(*self._flaws.values())
