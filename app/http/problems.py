"""Turns errors into problem documents of RFC 9457, in two languages.
No input value is ever repeated.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.types import Scope

from app import errors
from app.errors import DomainError, Flaw
from app.http import limits
from app.http.forms import form_of, named_member
from app.http.language import language
from app.http.refusals import BodyTooSlow, HeadersTooLarge, HeaderTwice, UriTooLong

MEDIA_TYPE = "application/problem+json"
SLUG = re.compile(r"[^a-z0-9]+")

# What a pydantic error type means to the caller.
# Pydantic's own messages are not used: some repeat the input.
FLAWS = {
    "missing": ("REQUIRED", "Anggota ini wajib ada.", "This member is required."),
    "extra_forbidden": ("UNKNOWN_MEMBER", "Anggota yang tidak dikenal; hapus.", "Unknown member; remove it."),
    "string_too_long": (
        "TOO_LONG",
        "Terlalu panjang (paling banyak {max_length}).",
        "Too long (at most {max_length}).",
    ),
    "string_too_short": (
        "TOO_SHORT",
        "Terlalu pendek (paling sedikit {min_length}).",
        "Too short (at least {min_length}).",
    ),
    "too_long": ("TOO_MANY", "Terlalu banyak (paling banyak {max_length}).", "Too many (at most {max_length})."),
    "too_short": ("TOO_FEW", "Terlalu sedikit (paling sedikit {min_length}).", "Too few (at least {min_length})."),
    "string_type": ("WRONG_TYPE", "Harus berupa teks.", "Must be text."),
    "int_type": ("WRONG_TYPE", "Harus berupa bilangan bulat.", "Must be an integer."),
    "int_parsing": ("WRONG_TYPE", "Harus berupa bilangan bulat.", "Must be an integer."),
    "bool_type": ("WRONG_TYPE", "Harus true atau false.", "Must be true or false."),
    "bool_parsing": ("WRONG_TYPE", "Harus true atau false.", "Must be true or false."),
    "list_type": ("WRONG_TYPE", "Harus berupa daftar.", "Must be a list."),
    "literal_error": ("UNKNOWN_CODE", "Pilih salah satu dari {expected}.", "Choose one of {expected}."),
    "date_type": ("WRONG_TYPE", "Harus berupa tanggal YYYY-MM-DD.", "Must be a date YYYY-MM-DD."),
    "date_from_datetime_parsing": (
        "WRONG_FORMAT",
        "Tanggal tidak ada atau bukan YYYY-MM-DD.",
        "No such date, or not YYYY-MM-DD.",
    ),
    "date_parsing": ("WRONG_FORMAT", "Tanggal tidak ada atau bukan YYYY-MM-DD.", "No such date, or not YYYY-MM-DD."),
    "datetime_parsing": ("WRONG_FORMAT", "Saat harus RFC 3339.", "Must be an RFC 3339 instant."),
    "uuid_parsing": ("WRONG_FORMAT", "Harus berupa UUID.", "Must be a UUID."),
    "string_pattern_mismatch": ("WRONG_FORMAT", "Bentuknya tidak sesuai.", "It does not have the right form."),
    "greater_than_equal": ("TOO_SMALL", "Paling kecil {ge}.", "At least {ge}."),
    "less_than_equal": ("TOO_LARGE", "Paling besar {le}.", "At most {le}."),
    # raised by our own validators, as the type of a PydanticCustomError
    "private_key": (
        "PRIVATE_KEY",
        "Ini kunci rahasia (anggota d). Kirim hanya bagian publiknya, dari pasangan kunci yang baru: kunci ini tidak rahasia lagi.",
        "This is a private key (member d). Send the public half alone, of a new key pair: this one is no longer secret.",
    ),
    "nip_digits": ("NIP_INVALID", "NIP terdiri atas 18 angka.", "A NIP has 18 digits."),
    "nip_birth_date": (
        "NIP_INVALID",
        "Angka 1-8 NIP bukan tanggal lahir yang ada.",
        "Digits 1-8 of the NIP are no date of birth.",
    ),
    "nip_appointment": (
        "NIP_INVALID",
        "Angka 9-14 NIP bukan bulan pengangkatan yang mungkin.",
        "Digits 9-14 of the NIP are no possible month of appointment.",
    ),
    "nip_sex": ("NIP_INVALID", "Angka ke-15 NIP harus 1 atau 2.", "Digit 15 of the NIP must be 1 or 2."),
    "nip_serial": (
        "NIP_INVALID",
        "Angka 16-18 NIP adalah nomor urut mulai 001. Angka 000 biasanya hasil pembulatan lembar kerja: simpan NIP sebagai teks.",
        "Digits 16-18 of the NIP are a serial from 001. A spreadsheet that rounds writes 000: keep NIPs as text.",
    ),
    "nik_province": (
        "NIK_INVALID",
        "NIK diawali kode provinsi, tidak pernah 0.",
        "A NIK begins with the code of a province, never with 0.",
    ),
    "nik_serial": (
        "NIK_INVALID",
        "Angka 13-16 NIK adalah nomor urut mulai 0001. Angka 0000 biasanya hasil pembulatan lembar kerja: simpan NIK sebagai teks.",
        "Digits 13-16 of the NIK are a serial from 0001. A spreadsheet that rounds writes 0000: keep NIKs as text.",
    ),
    "blank": (
        "BLANK",
        "Tidak ada yang terlihat di sini: isi dengan teks.",
        "Nothing visible is left here: write a text.",
    ),
    "control": (
        "CONTROL_CHARACTER",
        "Tidak boleh memuat karakter kendali atau pengubah arah tulisan.",
        "Must not hold control characters, or characters that turn the direction of writing.",
    ),
    "twice": ("TWICE", "Setiap kode cukup sekali.", "Each code once."),
    "nik_digits": ("NIK_INVALID", "NIK terdiri atas 16 angka.", "A NIK has 16 digits."),
    "nik_birth_date": (
        "NIK_INVALID",
        "Angka 7-12 NIK bukan tanggal lahir yang ada.",
        "Digits 7-12 of the NIK are no date of birth.",
    ),
}
CHOICE = "~"  # begins the tag of a union's member in pydantic's location of an error: it is no part of the document
MOST_FLAWS = 100
OTHER_FLAW = ("INVALID", "Nilai ini tidak sah.", "This value is not valid.")


def slug(code: str) -> str:
    return SLUG.sub("-", code.lower())


def document(request: Request, error: DomainError, where: str = "") -> dict[str, Any]:
    """Make the problem document of a refusal.
    `where`: pointer of the item that it is about; it stands before the pointers of the flaws.
    """
    chosen = language(request.headers.get("accept-language"))
    body: dict[str, Any] = {
        "type": f"{request.app.state.settings.issuer_url}/problems/{slug(error.code)}",
        "title": error.title_en if chosen == "en" else error.title_id,
        "status": error.status,
        "detail": error.remedy_en if chosen == "en" else error.remedy_id,
        "instance": f"urn:uuid:{request.state.request_id}",
        "code": error.code,
    }
    if error.flaws:
        body["errors"] = [
            {"pointer": where + f.pointer, "code": f.code, "detail": f.en if chosen == "en" else f.id}
            for f in error.flaws
        ]
    return body | error.members


def answer(request: Request, error: DomainError) -> JSONResponse:
    chosen = language(request.headers.get("accept-language"))
    headers = {"Cache-Control": "no-store", "Content-Language": chosen, **error.headers}
    challenge = headers.get("WWW-Authenticate", "")
    if challenge.startswith("Bearer"):  # where a client learns whom to ask for a token (RFC 9728 section 5.1)
        where = f'resource_metadata="{request.app.state.settings.public}/.well-known/oauth-protected-resource"'
        headers["WWW-Authenticate"] = f"{challenge}{' ' if challenge == 'Bearer' else ', '}{where}"
    return JSONResponse(document(request, error), error.status, headers, MEDIA_TYPE)


def flaw_of(reported: dict[str, Any]) -> Flaw:
    """Turn a pydantic error into a flaw: its location and kind, never its input."""
    where, *path = reported["loc"]
    path = [p for p in path if not str(p).startswith(CHOICE)]
    unknown = None
    if reported["type"] == "extra_forbidden":
        unknown = named_member(path[-1]) if path else None
        path = path[:-1]  # the last part is the caller's own text
    names = "".join(f"/{str(p).replace('~', '~0').replace('/', '~1')}" for p in path)
    pointer = names if where == "body" else f"/{where}{names}"
    code, text_id, text_en = FLAWS.get(reported["type"], OTHER_FLAW)
    if unknown is not None:
        text_id, text_en = f"Anggota `{unknown}` tidak dikenal; hapus.", f"Unknown member `{unknown}`; remove it."
    elif reported["type"] == "string_pattern_mismatch":
        text_id, text_en = form_of(reported["ctx"]["pattern"], reported.get("input"))
    values = {k: v for k, v in (reported.get("ctx") or {}).items() if k != "error"}
    if "expected" in values:  # pydantic joins what is allowed by an English word
        values["expected"] = str(values["expected"]).replace(" or ", ", ")
    if "{" in text_id:
        text_id, text_en = text_id.format_map(_Known(values)), text_en.format_map(_Known(values))
    return Flaw(pointer, code, text_id, text_en)


def flaws_of(reported: Sequence[Mapping[str, Any]], where: tuple[str, ...] = ()) -> list[Flaw]:
    """Turn pydantic errors into flaws; beyond MOST_FLAWS they are only counted.
    A body may have thousands.
    `where`: stands before their locations.
    """
    flaws = [flaw_of({**error, "loc": (*where, *error["loc"])}) for error in reported[:MOST_FLAWS]]
    omitted = len(reported) - MOST_FLAWS
    if omitted > 0:
        flaws.append(
            Flaw("", "MORE_ERRORS", f"Masih ada {omitted} kesalahan lain.", f"There are {omitted} more errors.")
        )
    return flaws


class _Known(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "?"


def install_problem_handlers(app: FastAPI) -> None:
    """Turn every 4xx and 5xx into a problem document, also those of the framework."""

    async def refused(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, DomainError)
        try:
            await _on_record(request, error)
        except errors.AccessNotRecorded as unrecorded:
            return answer(request, unrecorded)
        return answer(request, error)

    async def invalid(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return answer(request, errors.ValidationFailed(*flaws_of(error.errors())))

    async def framework(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        if "route" not in request.scope:  # no route was found, so no guard has measured the caller
            try:
                await limits.limit_public(request)
            except errors.RateLimited as refused:
                return answer(request, refused)
        return answer(request, _of_framework(request, error))

    app.add_exception_handler(DomainError, refused)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, framework)


async def _on_record(request: Request, error: DomainError) -> None:
    """Call the functions that record a refusal.
    main registers them: this file knows no cases and no callers.
    """
    for remember in request.app.state.on_refusal:
        await remember(request, error)


def _of_framework(request: Request, error: HTTPException) -> DomainError:
    if error.status_code == errors.MethodNotAllowed.status:
        return errors.MethodNotAllowed(headers={"Allow": _allowed(request)})
    if error.status_code == errors.NotFound.status:
        return errors.NotFound()
    return errors.InvalidJson()


def _allowed(request: Request) -> str:
    path, methods = request.scope["path"], set[str]()
    for route in request.app.router.routes:
        if isinstance(route, APIRoute) and route.path_regex.match(path):
            methods |= (route.methods or set()) | ({"HEAD"} if "GET" in (route.methods or ()) else set())
    return ", ".join(sorted(methods))


def answer_500(scope: Scope) -> JSONResponse:
    return answer(Request(scope), errors.Internal())


def answer_early(scope: Scope, error: DomainError) -> JSONResponse:
    """Answer a refusal that comes before any route was found."""
    return answer(Request(scope), error)


def problems(*refusals: type[DomainError]) -> dict[int | str, dict[str, Any]]:
    """Make `responses=` of a route: the refusals that it may answer with, by status."""
    common: Iterable[type[DomainError]] = (
        errors.TokenInvalid,
        errors.RateLimited,
        HeaderTwice,
        BodyTooSlow,
        UriTooLong,
        HeadersTooLarge,
        errors.Internal,
        errors.Overloaded,
    )
    by_status: dict[int | str, list[str]] = {}
    for error in (*refusals, *common):
        by_status.setdefault(error.status, []).append(f"`{error.code}` {error.title_en}")
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {"description": "; ".join(lines), "content": {MEDIA_TYPE: {"schema": schema}}}
        for status, lines in sorted(by_status.items(), key=str)
    }


PROBLEM_SCHEMA = {
    "title": "Problem",
    "type": "object",
    "description": "RFC 9457. `type`, `code` and `pointer` are contract; the rest is for people.",
    "required": ["type", "title", "status", "detail", "instance", "code"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string", "format": "uri"},
        "code": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "code", "detail"],
                "properties": {n: {"type": "string"} for n in ("pointer", "code", "detail")},
            },
        },
        "allowed": {"type": "array", "items": {"type": "string"}},
        "acts_now": {"type": "string"},
        "scope": {"type": "string"},
    },
}
