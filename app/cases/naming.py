"""Fields that are not sealed name nobody: no long number, and not the person the case is about. They are shown to masked parties for good."""

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from app.errors import Flaw, ValidationFailed
from app.procedure.loading import rulebook
from app.vault.keys import VaultKeys, normal

LONGEST_RUN = 15  # digits: a NIK has 16, a NIP 18
JOINS = {"Zs", "Zl", "Zp", "Cf", "Cc", "Pd", "Mn", "Me"}  # between two digits: spaces, dashes and what is not seen
DOTS = ".·,'_"
MOST_WORDS = 8  # of a name, with its titles
SHORTEST_WORD = 3  # letters: what is shorter is a title, or an initial
TITLES = {"drs", "dra", "prof", "haji", "hajah"}
Names = Callable[[str], bool]


def unsealed(body: Mapping[str, Any], where: str = "/body") -> dict[str, str]:
    """Pointer to text: what the summary of a post will show in the words of its author."""
    fields, found = rulebook().vocabulary.fields, dict[str, str]()
    for name, value in body.items():
        if fields[name].summary and fields[name].type in ("string", "text"):
            found[f"{where}/{name}"] = str(value)
        elif fields[name].summary and fields[name].type == "[string]":
            found |= {f"{where}/{name}/{n}": str(item) for n, item in enumerate(value)}
    return found


def require_no_numbers(texts: Mapping[str, str]) -> None:
    """No run of 16 digits or more, however it is spaced."""
    _refuse(pointer for pointer, text in texts.items() if _longest_run(text) > LONGEST_RUN)


def require_unnamed(texts: Mapping[str, str], names: Names) -> None:
    """`names`: whether a few words, as normal() leaves them, are the person's name."""
    _refuse(pointer for pointer, text in texts.items() if any(map(names, _windows(text))))


def of_person(name: str | None) -> Names:
    """The name as it was sent, and without its titles."""
    if not name:
        return lambda _: False
    plain = [word for word in normal("name", name.partition(",")[0]).split() if word not in TITLES]
    bare = " ".join(word for word in plain if len(word) >= SHORTEST_WORD)
    return {form for form in (normal("name", name), bare) if form}.__contains__


def of_case(vault: VaultKeys, rows: Iterable[Mapping[str, Any]]) -> Names:
    """The name by which the case is found. `rows`: epoch and digest (hexadecimal) of the index: the name itself is not opened."""
    known: dict[int, set[bytes]] = {}
    for row in rows:
        known.setdefault(row["epoch"], set()).add(bytes.fromhex(row["digest"]))
    return lambda words: any(vault.digest(epoch, "name", words) in digests for epoch, digests in known.items())


def _longest_run(text: str) -> int:
    longest = run = 0
    for character in unicodedata.normalize("NFKC", text):
        if character.isdecimal():
            run += 1
        elif character not in DOTS and unicodedata.category(character) not in JOINS:
            run = 0
        longest = max(longest, run)
    return longest


def _windows(text: str) -> Iterator[str]:
    words = normal("name", text).split()
    for start in range(len(words)):
        for end in range(start + 1, min(start + MOST_WORDS, len(words)) + 1):
            yield " ".join(words[start:end])


def _refuse(pointers: Iterable[str]) -> None:
    text_id = "Bagian ini tidak disegel: jangan memuat nama, NIP atau NIK terlapor, atau deret 16 angka atau lebih."
    text_en = "This member is not sealed: leave out the person's name, NIP and NIK, and any run of 16 digits or more."
    flaws = [Flaw(pointer, "PERSONAL_DATA", text_id, text_en) for pointer in pointers]
    if flaws:
        raise ValidationFailed(*flaws)
