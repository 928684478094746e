"""The forms of a person's name and numbers: by which a case is found, and by which a text that names the person is known."""

import re
import unicodedata
from collections.abc import Iterator, Mapping

from app.vault.keys import normal

BARE = "bare"  # kind of the blind index: a name without titles, short words, marks and spaces
SHORTEST_WORD = 3  # letters: what is shorter is a title, or an initial
MOST_WORDS = 12  # of a name
SPELT = re.compile(r"\b\w(?: \w){2,}\b")  # a word, letter by letter
TITLES = {"drs", "dra", "prof", "haji", "hajah"}
PLACEHOLDERS = {  # where nobody knows the name
    "terlapor", "asn", "pns", "pppk", "asnterlapor", "pnsterlapor", "oknum", "oknumasn", "oknumpns", "anonim", "tanpanama",
    "tidakdiketahui", "belumdiketahui", "namatidakdiketahui", "namabelumdiketahui",
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
    bare_name = bare(person.get("name"))
    if bare_name:
        yield BARE, bare_name


def bare(name: str | None) -> str:
    """Empty where there is no name, or one that stands for nobody."""
    plain = words((name or "").partition(",")[0]) or words(name or "")
    found = "".join((_long(plain) or plain)[:MOST_WORDS])
    return "" if found in PLACEHOLDERS else found


def said(text: str) -> Iterator[tuple[str, str]]:
    """Kind and plain value of every name and number that the text could hold."""
    plain = words(text)
    shorter = _long(plain)
    for spoken in (plain, shorter) if shorter != plain else (plain,):
        for start in range(len(spoken)):
            form = ""
            for word in spoken[start : start + MOST_WORDS]:
                form += word
                yield BARE, form
    found = "".join(
        str(unicodedata.digit(c)) for c in text if not c.isalpha() and unicodedata.digit(c, None) is not None
    )
    for kind, digits in DIGITS.items():
        for start in range(len(found) - digits + 1):
            yield kind, found[start : start + digits]


def words(text: str) -> list[str]:
    """Letters and digits alone, in lower case, without marks and what is not seen; letters that stand one by one are one word."""
    return SPELT.sub(lambda letters: letters[0].replace(" ", ""), " ".join(_plain(text).split())).split()


def _plain(text: str) -> str:
    decomposed = "".join(form if len(form) <= LONGEST_FORM else " " for form in map(_decomposed, text)).casefold()
    return "".join(_shown(c) for c in decomposed)


def _decomposed(character: str) -> str:
    return character if character.isascii() else unicodedata.normalize("NFKD", character)


def _shown(character: str) -> str:
    if character.isalnum() and character not in FILLERS:
        return character
    return "" if unicodedata.category(character) in ("Mn", "Me", "Cf") else " "


def _long(plain: list[str]) -> list[str]:
    return [word for word in plain if len(word) >= SHORTEST_WORD and word not in TITLES]
