"""The forms of a person's name and numbers: by which a case is found, and by which a text that names the person is known."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

from app.vault.keys import normal

BARE = "bare"  # kind of the blind index: two words of a name that stand together, or the whole, without titles, marks and spaces
SHORTEST_WORD = 3  # letters: what is shorter is a title, or an initial
SHORTEST_NAME = 4  # letters of a name of one word: what is shorter is in too many texts
MOST_APART = 2  # words that are one form; a longer name is looked for in one word too, as it is when it is spelt
MOST_PIECES = 4  # into which two words of a name may be broken in a text
SPELT = re.compile(r"\b\w(?: \w){2,}\b")  # a word, letter by letter
ASIDE = re.compile(r"[(/\[]|\balias\b|\bal\.", re.IGNORECASE)  # what follows is no part of the name, or another one
TITLES = {
    "drs", "dra", "prof", "haji", "hajah", "drg", "drh", "apt", "ners", "skm", "spd", "sos", "kom", "kes", "kep", "keb", "stp", "sstp",
    "msi", "amd", "mpd", "mkes", "letkol", "kol", "mayor", "kapten", "bapak", "ibu", "sdr", "sdri", "saudara", "saudari", "tgk",
    "ust", "pdt", "raden", "almarhum",
}  # fmt: skip
PLACEHOLDERS = {  # where nobody knows the name
    "terlapor", "asn", "pns", "pppk", "asnterlapor", "pnsterlapor", "oknum", "oknumasn", "oknumpns", "anonim", "tanpanama",
    "pelapor", "identitas",
    "tidakdiketahui", "belumdiketahui", "namatidakdiketahui", "namabelumdiketahui", "tidakdikenal", "belumteridentifikasi",
    "tidakteridentifikasi", "identitasbelumdiketahui", "identitastidakdiketahui",
}  # fmt: skip
OFFICES = {  # an office in the place of a name begins with one
    "kepala", "sekretaris", "camat", "lurah", "bupati", "walikota", "wakil", "gubernur", "kabid", "kasubag", "kasi", "direktur", "ketua",
    "staf", "pejabat", "oknum", "pegawai", "guru", "dosen", "ajudan", "bendahara", "operator", "admin", "petugas", "aparatur",
}  # fmt: skip
FILLERS = {"\u115f", "\u1160", "\u2800"}  # letters and signs that show nothing
LONGEST_FORM = 4  # letters that one character may stand for
DIGITS = {"nip": 18, "nik": 16}


def forms(person: Mapping[str, str | None]) -> Iterator[tuple[str, str]]:
    """Kind and plain value, of each by which the person (`nip`, `nik`, `name`) can be found."""
    for kind, value in person.items():
        plain = normal(kind, value) if value else ""
        if plain:
            yield kind, plain
    for form in dict.fromkeys(bare(person.get("name"))):
        yield BARE, form


def bare(name: str | None) -> list[str]:
    """Each two words of a name that stand together, and the whole. None of a name that stands for nobody."""
    plain = [word for word in words(_without_degrees(name or "")) if word not in TITLES]
    long = [word for word in plain if len(word) >= SHORTEST_WORD]
    if (long and long[0] in OFFICES) or "".join(long) in PLACEHOLDERS or "".join(plain) in PLACEHOLDERS:
        return []
    if len(long) > MOST_APART:
        return [*(one + other for one, other in pairwise(long)), "".join(long)]
    whole, pieces = "".join(long or plain), len(long or plain)
    return [whole if pieces > 1 else _alone(whole)] if len(whole) >= SHORTEST_NAME else []


def mentioned(content: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Of the content of a post that makes nobody the case's person, and gives a name all the same: how a text that names that one is known."""
    return ((kind, plain) for kind, plain in forms({"name": content.get("subject_name")}) if kind == BARE)


def said(texts: Iterable[str]) -> set[tuple[str, str]]:
    """Kind and plain value of every name and number that these texts could hold."""
    found: set[tuple[str, str]] = set()
    for text in texts:
        plain = words(text)
        for spoken in (plain, [word for word in plain if len(word) >= SHORTEST_WORD and word not in TITLES]):
            found.update((BARE, form) for form in _windows(spoken))
        found.update((BARE, _alone(word)) for word in plain)
        found.update(_numbers(text))
    return found


def words(text: str) -> list[str]:
    """Letters and digits alone, in lower case, without marks and what is not seen; letters that stand one by one are one word."""
    return SPELT.sub(lambda letters: letters[0].replace(" ", ""), " ".join(_plain(text).split())).split()


def _without_degrees(name: str) -> str:
    """Up to what is told beside it; after a comma only what looks like a further name: `Merak, Budi`, and not `Merak, M.Si.`"""
    first, *more = ASIDE.split(name.strip(" ,"), maxsplit=1)[0].split(",")
    return " ".join([first, *(part for part in more if "." not in part and len(part.strip()) >= SHORTEST_NAME)])


def _alone(word: str) -> str:
    """A name of one word is looked for as a whole word: `di ta` is no Dita."""
    return f"={word}"


def _windows(spoken: list[str]) -> Iterator[str]:
    for start in range(len(spoken)):
        form = ""
        for word in spoken[start : start + MOST_PIECES]:
            form += word
            yield form


def _numbers(text: str) -> Iterator[tuple[str, str]]:
    found = "".join(
        str(unicodedata.digit(c)) for c in text if not c.isalpha() and unicodedata.digit(c, None) is not None
    )
    for kind, digits in DIGITS.items():
        for start in range(len(found) - digits + 1):
            yield kind, found[start : start + digits]


def _plain(text: str) -> str:
    decomposed = "".join(form if len(form) <= LONGEST_FORM else " " for form in map(_decomposed, text)).casefold()
    return "".join(_shown(c) for c in decomposed)


def _decomposed(character: str) -> str:
    return character if character.isascii() else unicodedata.normalize("NFKD", character)


def _shown(character: str) -> str:
    if character.isalnum() and character not in FILLERS:
        return character
    return "" if unicodedata.category(character) in ("Mn", "Me", "Cf") else " "
