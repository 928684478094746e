"""Refuse an unsealed field that holds a long number or names the person of the case.
Parties that must not know the person see these fields for ever.
"""

import asyncio
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import accumulate, islice, takewhile
from typing import Any

from app import clock
from app.errors import Flaw, ValidationFailed
from app.procedure.identity import NIK_DIGITS, NIP_DIGITS, nik_flaw, nip_flaw
from app.procedure.loading import rulebook
from app.vault import persons
from app.vault.keys import VaultKeys

PERSONAL_DATA = "PERSONAL_DATA"  # error code of the flaw
LONGEST_RUN = 15  # digits: a NIK has 16, a NIP 18
# Unicode categories that may stand between two digits of one number: spaces, dashes, invisible characters
JOINS = {"Zs", "Zl", "Zp", "Cf", "Cc", "Pd", "Mn", "Me"}
SIGNS = ".·,'’‘_|:•\u3164\u2800"
PAUSE = re.compile(r"[,:•|]\s")  # separates two numbers of a list; not within one number
ITEM = re.compile(r"/\d+$")
# Written in digits, but no number of a person: dates, times, years that stand alone, sums of money, telephone numbers
DAY = r"(?<!\d)(?<!\d[-./])\d{1,2}([-./])\d{1,2}\1(?:(?:19|20)\d\d|\d\d(?![-./]?\d))(?!\d)"
DATES = re.compile(DAY)
PLAIN = re.compile(
    DAY + r"|(?<!\d)(?:19|20)\d\d[-./]\d{1,2}[-./]\d{1,2}(?!\d)|(?<!\d)(?:19|20)\d\d(?!\d)"
    r"|(?<!\d)[012]?\d[.:][0-5]\d(?!\d)|(?<![\d.])\d{1,3}(?:\.\d{3}){1,4}(?:,\d\d)?(?![\d.])|(?<!\d)(?:\+62|0)8\d{7,11}(?!\d)"
)
TextForms = set[tuple[str, str]]  # (kind, plain value) of every name and number that a text may hold: persons.said()
PersonMatcher = Callable[[TextForms], TextForms]  # those among them that name one of the persons
PORTION = 256  # forms that are compared in one go


def unsealed(body: Mapping[str, Any], where: str = "/body") -> dict[str, str]:
    """Maps a pointer to each text that the summary of a post shows in its author's words."""
    fields, texts = rulebook().vocabulary.fields, dict[str, str]()
    for name, value in body.items():
        if fields[name].summary and fields[name].type in ("string", "text"):
            texts[f"{where}/{name}"] = str(value)
        elif fields[name].summary and fields[name].type == "[string]":
            texts |= {f"{where}/{name}/{n}": str(item) for n, item in enumerate(value)}
    return texts


def require_no_numbers(texts: Mapping[str, str]) -> None:
    """422 for a run of 16 digits or more, or a possible NIP or NIK, with any spacing."""
    _refuse(pointer for pointer, text in texts.items() if _has_number(text))


async def require_no_person(texts: Mapping[str, str], *matchers: PersonMatcher) -> None:
    """422 for a name or number of these persons, in any spelling, also across items of a list."""
    lists = _lists(texts)
    naming = await _naming_forms(lists.values(), matchers)
    if naming:
        _refuse(await _holding(texts, naming) or await _holding(lists, naming))


async def require_not_named_before(texts: Mapping[str, str], person: PersonMatcher) -> None:
    """422 if an earlier text of the case names the person whom a post names for the first time.
    Masked parties would read the name there for ever.
    `texts`: by the place where each stands.
    """
    places = ", ".join(await _holding(texts, await _naming_forms(texts.values(), [person])))
    if places:
        text_id = (
            f"Orang ini disebut pada bagian yang tidak disegel ({places}): koreksilah dahulu;"
            " bila itu nomor laporan, cabut kasus dan buka kembali dengan nomor lain."
        )
        text_en = (
            f"This person is named where nothing is sealed ({places}): correct that first;"
            " if it is the report number, withdraw the case and open it with another number."
        )
        raise ValidationFailed(Flaw("/body/subject_name", PERSONAL_DATA, text_id, text_en))


async def _naming_forms(texts: Iterable[str], matchers: Sequence[PersonMatcher]) -> TextForms:
    """The forms in these texts that name one of the persons.
    Long texts have thousands, and each costs a hash: other requests are served between two portions.
    """
    naming, seen, compared = TextForms(), TextForms(), 0
    for text in texts:
        forms = iter(persons.forms_in_texts([text]) - seen)
        while portion := set(islice(forms, PORTION)):
            seen |= portion
            for matcher in matchers:
                naming |= matcher(portion)
            compared += len(portion)
            if compared >= PORTION:
                compared = 0
                await asyncio.sleep(0)
    return naming


async def _holding(texts: Mapping[str, str], naming: TextForms) -> list[str]:
    """The pointers of the texts that hold one of these forms; no hash is needed for it."""
    pointers = []
    for pointer, text in texts.items():
        if not naming.isdisjoint(persons.forms_in_texts([text])):
            pointers.append(pointer)
        await asyncio.sleep(0)
    return pointers


def matcher_for_persons(*several: Mapping[str, str | None]) -> PersonMatcher:
    """Returns a check: does a text hold a name or number of these persons?
    `several`: each with nip, nik and name, as they were sent.
    """
    forms = {form for person in several for form in persons.forms(person)}
    return lambda text_forms: forms & text_forms


def matcher_for_post(body: Mapping[str, Any]) -> PersonMatcher:
    """Returns the check for the person that a post names."""
    return matcher_for_persons({"nip": body.get("subject_nip"), "name": body.get("subject_name")})


def matcher_for_case(vault: VaultKeys, rows: Iterable[Mapping[str, Any]]) -> PersonMatcher:
    """Returns the check for the persons by whom the case is found; the person's part is not opened.
    `rows`: epoch and digest (hexadecimal) of the blind index.
    """
    digests_by_epoch: dict[int, set[bytes]] = {}
    for row in rows:
        digests_by_epoch.setdefault(row["epoch"], set()).add(bytes.fromhex(row["digest"]))
    return lambda text_forms: {
        form
        for epoch, digests in digests_by_epoch.items()
        for form in text_forms
        if vault.digest(epoch, *form) in digests
    }


def _lists(texts: Mapping[str, str]) -> dict[str, str]:
    """Each text; the items of a list are joined into one."""
    joined: dict[str, str] = {}
    for pointer, text in texts.items():
        field_pointer = ITEM.sub("", pointer)
        joined[field_pointer] = f"{joined[field_pointer]} {text}" if field_pointer in joined else text
    return joined


def _has_number(text: str) -> bool:
    plain = "".join(map(_digit, text))
    if sum(map(str.isdecimal, plain)) <= LONGEST_RUN or _longest(plain) <= LONGEST_RUN:
        return False
    longest, today = _longest(PLAIN.sub("x", plain)), clock.today()
    windows = set(_windows(DATES.sub("x", plain)))
    return longest > LONGEST_RUN or any(_could_be_a_persons(number, today) for number in windows)


def _longest(plain: str) -> int:
    return max((len("".join(groups)) for groups in _runs(plain)), default=0)


def _digit(character: str) -> str:
    """Any Unicode digit as 0-9: of any script, in a circle or in brackets."""
    value = None if character.isalpha() else unicodedata.digit(character, None)
    return character if value is None else str(value)


def _runs(plain: str) -> list[list[str]]:
    """Groups of digits, collected in runs.
    Between the groups of a run stand only characters that join the digits of one number.
    """
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
    """Neighbouring groups of a run that together are as long as a person's number."""
    for groups in _runs(plain):
        for start in range(len(groups)):
            further = accumulate(islice(groups, start, start + NIP_DIGITS))
            windows = takewhile(lambda window: len(window) <= NIP_DIGITS, further)
            yield from (window for window in windows if len(window) >= NIK_DIGITS)


def _could_be_a_persons(number: str, today: date) -> bool:
    if len(number) == NIP_DIGITS:
        return any(nip_flaw(number, kind, today) is None for kind in ("pns", "pppk"))
    provinces = rulebook().catalogue.codes("provinces")
    return (
        len(number) == NIK_DIGITS and nik_flaw(number) is None and number[:2] in provinces
    )  # a NIK begins with a province


def _refuse(pointers: Iterable[str]) -> None:
    text_id = "Bagian ini tidak disegel: jangan memuat nama, NIP atau NIK terlapor, atau deret 16 angka atau lebih."
    text_en = "This member is not sealed: leave out the person's name, NIP and NIK, and any run of 16 digits or more."
    flaws = [Flaw(pointer, PERSONAL_DATA, text_id, text_en) for pointer in pointers]
    if flaws:
        raise ValidationFailed(*flaws)
