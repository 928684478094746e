"""What each pattern of the wire asks for, in words and by an example: a pattern helps no reader."""

import re
from collections.abc import Iterable, Mapping

# pattern: what it is in Indonesian and in English, and an example
FORMS: Mapping[str, tuple[str, str, str]] = {
    r"\S": ("teks yang tidak kosong", "a text that is not empty", "Laporan dicabut"),
    r"^[0-9]{2}$": ("kode dua angka", "a code of two digits", "64"),
    r"^[0-9]{4}$": ("kode empat angka", "a code of four digits", "6900"),
    r"^[0-9]{2}\.[0-9]{2}$": (
        "kode kabupaten/kota dengan titik",
        "the code of a regency or city with its dot",
        "64.72",
    ),
    r"^[0-9]{18}$": ("18 angka", "18 digits", "198503122005032001"),
    r"^[0-9]{16}$": ("16 angka", "16 digits", "6472015203850001"),
    r"^[0-9a-f]{64}$": ("SHA-256 dalam 64 angka heksadesimal", "a SHA-256 of 64 hexadecimal digits", "e3b0c442...b855"),
    r"^[a-z][a-z0-9_]{0,63}$": (
        "kode: huruf kecil, angka, garis bawah",
        "a code: lower-case letters, digits, underscores",
        "ds_13",
    ),
    r"^[a-z][a-z0-9_]{1,62}$": (
        "kode: huruf kecil, angka, garis bawah",
        "a code: lower-case letters, digits, underscores",
        "dinas_a",
    ),
    r"^[a-z][a-z0-9_.\-]{1,62}$": (
        "nama klien: huruf kecil, angka, titik, garis",
        "a client's name: lower-case letters, digits, dots, dashes",
        "dinas-a.1",
    ),
    r"^[a-z0-9][a-z0-9.+_\-]{0,63}$": (
        "nama versi: huruf kecil, angka, titik, garis",
        "a version: lower-case letters, digits, dots, dashes",
        "2025-2",
    ),
    r"^[A-Za-z0-9_\-]{43}$": (
        "32 byte dalam base64url, 43 karakter",
        "32 bytes in base64url, 43 characters",
        "kZ3x...Q0w",
    ),
    r"^[A-Za-z0-9_\-]{86}$": (
        "64 byte dalam base64url, 86 karakter",
        "64 bytes in base64url, 86 characters",
        "MEQC...AiB",
    ),
    r"^[A-Za-z0-9][A-Za-z0-9./()\-]{0,59}$": (
        "nomor dokumen: huruf, angka, titik, garis miring",
        "a document's number: letters, digits, dots, slashes",
        "PPID-17/2025",
    ),
    r"^(pending|in_force|refused)$": ("pending, in_force atau refused", "pending, in_force or refused", "pending"),
}
MEMBER = re.compile(r"[a-z][a-z0-9_]{0,39}")  # as our own members are written: a person is not
LONGEST_CODE = 80
DIGITS = re.compile(r"[0-9]{5}")


# each published code by its letters and digits alone; main registers them: this file knows no list
CODES: dict[str, str] = {}


def register_codes(codes: Iterable[str]) -> None:
    """Tells which codes the reference lists have: whoever writes `DS-13` is told `ds_13`."""
    CODES.update((_squeezed(code), code) for code in codes)


def form_of(pattern: str, sent: object) -> tuple[str, str]:
    """What a text of this pattern looks like, in Indonesian and in English.
    Where a published code was spelt otherwise, that code is named. Anything else that was sent is not repeated.
    """
    text_id, text_en, example = FORMS[pattern]
    meant = code_meant(sent)
    if meant is not None and re.fullmatch(pattern, meant):
        return f"Bentuknya: {text_id}. Maksudnya `{meant}`?", f"Its form: {text_en}. Do you mean `{meant}`?"
    return f"Bentuknya: {text_id}, misalnya {example}.", f"Its form: {text_en}, for example {example}."


def code_meant(sent: object) -> str | None:
    """The published code that was spelt otherwise."""
    return CODES.get(_squeezed(sent)) if isinstance(sent, str) else None


def with_meant(text_id: str, text_en: str, sent: object) -> tuple[str, str]:
    """Both texts; where a published code was only spelt otherwise, they ask whether it is meant."""
    meant = code_meant(sent)
    if meant is None or meant == sent:
        return text_id, text_en
    return f"{text_id} Maksudnya `{meant}`?", f"{text_en} Do you mean `{meant}`?"


def _squeezed(text: str) -> str:
    return "".join(character for character in text[:LONGEST_CODE] if character.isalnum()).lower()


def named_member(sent: object) -> str | None:
    """The name of an unknown member, where it looks like one.
    Anything else may be the number or name of a person, and is not repeated.
    """
    text = str(sent)
    return text if MEMBER.fullmatch(text) and not DIGITS.search(text) else None
