"""The searchable forms of a person's name and numbers.

A case is found by them, and a text that names the person is recognised by them.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

from app.vault.keys import normalize
from app.vault.whole_names import whole_name

# kind of the blind index: two adjacent words of a name, or the whole name, without titles, marks and spaces
NAME_FORM = "bare"
# kind of the blind index: the whole name without titles, marks and spaces, by which a search finds a case
WHOLE_NAME = "whole"
SHORTEST_WORD = 3  # letters: a shorter word is a title or an initial
SHORTEST_NAME = 4  # letters of a one-word name: a shorter one occurs in too many texts
APOSTROPHES = "'’‘ʼ`´ʹ"  # within a word: Ma'ruf is also written Maruf
ESCAPES = re.compile(
    r"%[0-9a-f]{2}|&#?\w{1,8};", re.IGNORECASE
)  # of addresses and HTML: each parts two words, as a space does
MOST_PIECES = 4  # pieces into which a text may break two words of a name
SPELT = re.compile(r"\b\w(?: \w){2,}\b")  # a word that is written letter by letter
# what follows one of these is not part of the name, or is another name
BRACKETED = re.compile(r"[(\[][^)\]]*[)\]]")  # a remark, or a title such as (H.C.), (Purn) or (Alm.)
ASIDE = re.compile(r"[(/\[]|\balias\b|\bal\.", re.IGNORECASE)
TITLES = {
    "drs", "dra", "prof", "haji", "hajah", "drg", "drh", "apt", "ners", "skm", "spd", "sos", "kom", "kes", "kep", "keb", "stp", "sstp",
    "msi", "amd", "mpd", "mkes", "letkol", "kol", "mayor", "kapten", "bapak", "ibu", "sdr", "sdri", "saudara", "saudari", "tgk",
    "brigjen", "mayjen", "letjen", "jenderal", "tni", "polri", "purn", "kombes", "akbp", "ust", "pdt", "raden", "almarhum", "bin", "binti",
}  # fmt: skip
PLACEHOLDERS = {  # used where nobody knows the name
    "terlapor", "asn", "pns", "pppk", "asnterlapor", "pnsterlapor", "oknum", "oknumasn", "oknumpns", "anonim", "tanpanama",
    "pelapor", "identitas",
    "tidakdiketahui", "belumdiketahui", "namatidakdiketahui", "namabelumdiketahui", "tidakdikenal", "belumteridentifikasi",
    "tidakteridentifikasi", "identitasbelumdiketahui", "identitastidakdiketahui",
}  # fmt: skip
OFFICES = {  # an office in the place of a name begins with one of these
    "kepala", "sekretaris", "camat", "lurah", "bupati", "walikota", "wakil", "gubernur", "kabid", "kasubag", "kasi", "direktur", "ketua",
    "staf", "pejabat", "oknum", "pegawai", "guru", "dosen", "ajudan", "bendahara", "operator", "admin", "petugas", "aparatur",
}  # fmt: skip
FILLERS = {"\u115f", "\u1160", "\u2800"}  # letters and signs that are invisible
LONGEST_FORM = 4  # most letters for which one character may stand
DIGITS = {"nip": 18, "nik": 16}


def forms(person: Mapping[str, str | None]) -> Iterator[tuple[str, str]]:
    """Yields kind and plain value of each form by which the person (`nip`, `nik`, `name`) is found."""
    for kind, value in person.items():
        plain = normalize(kind, value) if value else ""
        if plain:
            yield kind, plain
    if whole := whole_name(words(_without_degrees(BRACKETED.sub(" ", person.get("name") or "")))):
        yield WHOLE_NAME, whole
    for form in dict.fromkeys(name_forms(person.get("name"))):
        yield NAME_FORM, form


def name_forms(name: str | None) -> list[str]:
    """Returns each two adjacent words of a name, the first with the last, and the whole name.
    A text is looked through in both orders of two words.
    The whole is given with and without its shortest words: Nur Al-Amin is also written Nur Alamin.
    Returns nothing for a placeholder or an office in the place of a name.
    """
    written = name or ""
    with_and_without_remarks = dict.fromkeys((written, BRACKETED.sub(" ", written)))
    return list(dict.fromkeys(form for spelling in with_and_without_remarks for form in _forms_of(spelling)))


def _forms_of(name: str) -> list[str]:
    plain = [word for word in words(_without_degrees(name)) if word not in TITLES]
    long = [word for word in plain if len(word) >= SHORTEST_WORD]
    if (long and long[0] in OFFICES) or "".join(long) in PLACEHOLDERS or "".join(plain) in PLACEHOLDERS:
        return []
    kept = long or plain
    if len(kept) == 1:
        return [_alone(kept[0])] if len(kept[0]) >= SHORTEST_NAME else []
    pairs = [before + other for before, other in [*pairwise(long), *([(long[0], long[-1])] if long else [])]]
    return [form for form in dict.fromkeys([*pairs, "".join(kept), "".join(plain)]) if len(form) >= SHORTEST_NAME]


def named_person_forms(content: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields the forms of a name in a post that does not make this person the person of the case.
    A text that names this person is recognised by them.
    """
    return ((kind, plain) for kind, plain in forms({"name": content.get("subject_name")}) if kind == NAME_FORM)


def forms_in_texts(texts: Iterable[str]) -> set[tuple[str, str]]:
    """Returns kind and plain value of every name and number that these texts could contain."""
    matched: set[tuple[str, str]] = set()
    for text in texts:
        plain = words(text)
        for spoken in (plain, [word for word in plain if len(word) >= SHORTEST_WORD and word not in TITLES]):
            matched.update((NAME_FORM, form) for form in _windows(spoken))
            matched.update((NAME_FORM, other + before) for before, other in pairwise(spoken))
        matched.update((NAME_FORM, _alone(word)) for word in plain)
        matched.update(_numbers(text))
    return matched


def words(text: str) -> list[str]:
    """Returns the words of a text: only letters and digits, in lower case.
    Marks and invisible characters are dropped; letters that stand one by one are joined to one word.
    """
    spelt = " ".join(_plain(ESCAPES.sub(" ", text)).split())
    return SPELT.sub(lambda letters: letters[0].replace(" ", ""), spelt).split()


def _without_degrees(name: str) -> str:
    """Returns the name without degrees and without remarks beside it.
    After a comma it keeps only what looks like a further name: `Merak, Budi`, but not `Merak, M.Si.`
    """
    first, *rest = ASIDE.split(name.strip(" ,"), maxsplit=1)[0].split(",")
    return " ".join([first, *(part for part in rest if "." not in part and len(part.strip()) >= SHORTEST_NAME)])


def _alone(word: str) -> str:
    """Marks a one-word name, which matches only a whole word: `di ta` is not Dita."""
    return f"={word}"


def _windows(spoken: list[str]) -> Iterator[str]:
    for start in range(len(spoken)):
        form = ""
        for word in spoken[start : start + MOST_PIECES]:
            form += word
            yield form


def _numbers(text: str) -> Iterator[tuple[str, str]]:
    numbers = "".join(
        str(unicodedata.digit(c)) for c in text if not c.isalpha() and unicodedata.digit(c, None) is not None
    )
    for kind, digits in DIGITS.items():
        for start in range(len(numbers) - digits + 1):
            yield kind, numbers[start : start + digits]


def _plain(text: str) -> str:
    decomposed = "".join(form if len(form) <= LONGEST_FORM else " " for form in map(_decomposed, text)).casefold()
    return "".join(_shown(c) for c in decomposed)


def _decomposed(character: str) -> str:
    return character if character.isascii() else unicodedata.normalize("NFKD", character)


def _shown(character: str) -> str:
    if character.isalnum() and character not in FILLERS:
        return character
    return "" if character in APOSTROPHES or unicodedata.category(character) in ("Mn", "Me", "Cf") else " "
