"""Fields that are not sealed name nobody: no long number, and not the person the case is about. They are shown to masked parties for good."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, takewhile
from typing import Any

from app import clock
from app.errors import Flaw, ValidationFailed
from app.procedure.identity import NIK_DIGITS, NIP_DIGITS, nik_flaw, nip_flaw
from app.procedure.loading import rulebook
from app.vault import persons
from app.vault.keys import VaultKeys

TOLD = "PERSONAL_DATA"  # code of the flaw
LONGEST_RUN = 15  # digits: a NIK has 16, a NIP 18
JOINS = {"Zs", "Zl", "Zp", "Cf", "Cc", "Pd", "Mn", "Me"}  # between two digits: spaces, dashes and what is not seen
SIGNS = ".·,'’‘_|:•\u3164\u2800"
PAUSE = re.compile(r"[,:•|]\s")  # between two numbers of a list, not within one
ITEM = re.compile(r"/\d+$")
# What is written of digits and is no number of a person: days, hours, years that stand alone, sums of money, telephones
DAY = r"(?<!\d)(?<!\d[-./])\d{1,2}([-./])\d{1,2}\1(?:(?:19|20)\d\d|\d\d(?![-./]?\d))(?!\d)"
DATES = re.compile(DAY)
PLAIN = re.compile(
    DAY + r"|(?<!\d)(?:19|20)\d\d[-./]\d{1,2}[-./]\d{1,2}(?!\d)|(?<!\d)(?:19|20)\d\d(?!\d)"
    r"|(?<!\d)[012]?\d[.:][0-5]\d(?!\d)|(?<![\d.])\d{1,3}(?:\.\d{3}){1,4}(?:,\d\d)?(?![\d.])|(?<!\d)(?:\+62|0)8\d{7,11}(?!\d)"
)
Said = set[tuple[str, str]]  # kind and plain value of every name and number that a text could hold: persons.said()
Known = Callable[[Said], bool]  # whether a person is among them


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
    """No run of 16 digits or more, and nothing that could be a NIP or NIK, however it is spaced."""
    _refuse(pointer for pointer, text in texts.items() if _has_number(text))


def require_unnamed(texts: Mapping[str, str], *known: Known) -> None:
    """Neither name nor number of these persons, however it is written; not over several items of a list either."""
    lists = _lists(texts)
    if not _names(lists.values(), known):
        return
    _refuse(
        [p for p, text in texts.items() if _names([text], known)]
        or [p for p, text in lists.items() if _names([text], known)]
    )


def _names(texts: Iterable[str], known: Sequence[Known]) -> bool:
    said = persons.said(texts)
    return any(named(said) for named in known)


def of_persons(*several: Mapping[str, str | None]) -> Known:
    """`several`: each with nip, nik and name, as they were sent."""
    forms = {form for person in several for form in persons.forms(person)}
    return lambda said: not forms.isdisjoint(said)


def of_post(body: Mapping[str, Any]) -> Known:
    """Whom a post names."""
    return of_persons({"nip": body.get("subject_nip"), "name": body.get("subject_name")})


def of_case(vault: VaultKeys, rows: Iterable[Mapping[str, Any]]) -> Known:
    """By which the case is found. `rows`: epoch and digest (hexadecimal) of the index: the person's part is not opened."""
    found: dict[int, set[bytes]] = {}
    for row in rows:
        found.setdefault(row["epoch"], set()).add(bytes.fromhex(row["digest"]))
    return lambda said: any(vault.digest(epoch, *form) in digests for epoch, digests in found.items() for form in said)


def _lists(texts: Mapping[str, str]) -> dict[str, str]:
    """Each text, and the items of a list as one."""
    found: dict[str, str] = {}
    for pointer, text in texts.items():
        place = ITEM.sub("", pointer)
        found[place] = f"{found[place]} {text}" if place in found else text
    return found


def _has_number(text: str) -> bool:
    plain = "".join(map(_digit, text))
    if sum(map(str.isdecimal, plain)) <= LONGEST_RUN or _longest(plain) <= LONGEST_RUN:
        return False
    longest = _longest(PLAIN.sub("x", plain))
    return longest > LONGEST_RUN or any(map(_could_be_a_persons, _windows(DATES.sub("x", plain))))


def _longest(plain: str) -> int:
    return max((len("".join(groups)) for groups in _runs(plain)), default=0)


def _digit(character: str) -> str:
    """Every digit there is, of any script, in a ring or brackets, as 0-9."""
    value = None if character.isalpha() else unicodedata.digit(character, None)
    return character if value is None else str(value)


def _runs(plain: str) -> list[list[str]]:
    """Groups of digits between which stands what joins the digits of one number."""
    runs: list[list[str]] = [[]]
    for part in re.findall(r"\d+|\D+", plain):
        if part.isdecimal():
            runs[-1].append(part)
        elif PAUSE.search(part) or not all(map(_joins, part)):
            runs.append([])
    return runs


def _joins(character: str) -> bool:
    return character in SIGNS or unicodedata.category(character) in JOINS


def _windows(plain: str) -> Iterator[str]:
    """Groups of a run that make up no more than a number of a person together."""
    for groups in _runs(plain):
        for start in range(len(groups)):
            yield from takewhile(lambda found: len(found) <= NIP_DIGITS, accumulate(groups[start:]))


def _could_be_a_persons(number: str) -> bool:
    today = clock.today()
    if len(number) == NIP_DIGITS:
        return any(nip_flaw(number, kind, today) is None for kind in ("pns", "pppk"))
    known = rulebook().catalogue.codes("provinces")
    return (
        len(number) == NIK_DIGITS and nik_flaw(number) is None and number[:2] in known
    )  # a NIK begins with a province


def _refuse(pointers: Iterable[str]) -> None:
    text_id = "Bagian ini tidak disegel: jangan memuat nama, NIP atau NIK terlapor, atau deret 16 angka atau lebih."
    text_en = "This member is not sealed: leave out the person's name, NIP and NIK, and any run of 16 digits or more."
    flaws = [Flaw(pointer, TOLD, text_id, text_en) for pointer in pointers]
    if flaws:
        raise ValidationFailed(*flaws)
