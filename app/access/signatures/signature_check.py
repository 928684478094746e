"""POST /v1/signature-check, sandbox only: explains, check by check, why a signature is not valid.

The answer also shows the signature base as the service sees it, line by line.
"""

import base64
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from http_message_signatures import HTTPMessageVerifier
from http_message_signatures.algorithms import ECDSA_P256_SHA256
from http_message_signatures.resolvers import HTTPSignatureComponentResolver
from http_sf.compat import Dictionary, InnerList
from pydantic import BaseModel

from app import clock
from app.access.authentication import needs
from app.access.caller import Caller
from app.access.registers.registration import SIGN
from app.access.signatures.signed_base import LONGEST_NONCE, MAX_AGE, SHORTEST_NONCE, UnacceptableError
from app.access.signatures.signed_requests import (
    ONCE,
    SignatureMessage,
    message_of,
    require_acceptable,
    required_components,
)
from app.access.tokens import jwks
from app.errors import DigestMismatch, InsufficientScope, NotFound
from app.http.language import language
from app.http.problems import problems
from app.http.route import MAX_BODY, GuardedRoute, read_whole

router = APIRouter(route_class=GuardedRoute, tags=["sandbox"])
SKEW = HTTPMessageVerifier.max_clock_skew.total_seconds()
BASE = "x-signature-base"
Found = tuple[str, bool, dict[str, str]]  # a check, whether it holds, and the remedy in both languages


class Check(BaseModel):
    """One thing that must hold, and whether it does."""

    check: str
    ok: bool
    detail: str


class BaseLine(BaseModel):
    """A line of the signature base: as the service makes it, and as yours was where you sent it."""

    expected: str
    yours: str | None
    same: bool | None


class Explained(BaseModel):
    """`good`: this signature would count. The first check that is not ok is why it would not."""

    good: bool
    checks: list[Check]
    base: list[BaseLine]


@router.post(
    "/v1/signature-check",
    operation_id="check_signature",
    response_model=Explained,
    responses=problems(NotFound, InsufficientScope),
)
async def check_signature(request: Request, response: Response, caller: Annotated[Caller, needs(None)]) -> Explained:
    """Sign a request to this address as you would sign a post, with any body, and read what is wrong.
    `X-Signature-Base`: your own
    signature base, base64, to be compared line by line. Nothing is kept, no nonce is used up.
    """
    if not request.app.state.settings.sandbox:
        raise NotFound
    response.headers["Cache-Control"] = "no-store"
    return explain(request, caller, await read_whole(request, MAX_BODY))


def explain(request: Request, caller: Caller, body: bytes) -> Explained:
    message = message_of(request)
    chosen = language(request.headers.get("accept-language"))
    results = list(_checks(message, request, caller, body))
    checks = [Check(check=name, ok=ok, detail="" if ok else texts[chosen]) for name, ok, texts in results]
    return Explained(good=all(c.ok for c in checks), checks=checks, base=_lines(message))


def _checks(message: SignatureMessage, request: Request, caller: Caller, body: bytes) -> Iterator[Found]:
    """Yields the checks in the order in which they are made; stops when nothing is left to check."""
    headers = message.headers
    absent = [n for n in ("signature-input", "signature") if n not in headers]
    yield _check("headers", not absent, "Kirim Signature-Input dan Signature.", "Send Signature-Input and Signature.")
    twice = [n for n in ONCE if len(request.headers.getlist(n)) > 1]
    yield _check(
        "once",
        not twice,
        f"Dikirim lebih dari sekali: {', '.join(twice)}.",
        f"Sent more than once: {', '.join(twice)}.",
    )
    inputs = _read(headers.get("signature-input", ""))
    shape = "sbt=(...);created=..."
    yield _check(
        "input",
        inputs is not None,
        f"Signature-Input harus satu label dengan daftar: {shape}",
        f"Signature-Input must hold one label with a list: {shape}",
    )
    if inputs is None:
        return
    yield from _components(message, inputs)
    yield from _parameters(inputs.params)
    yield from _key(caller, str(inputs.params.get("keyid", "")))
    yield _digest(headers.get("content-digest"), body)
    yield _signature(message, caller, inputs)
    yield _accepted(message, request, caller, body)


def _check(name: str, ok: bool, text_id: str, text_en: str) -> Found:  # noqa: FBT001 - the result is what a check is about
    return name, ok, {"id": text_id, "en": text_en}


def _read(text: str) -> InnerList | None:
    """Returns the one inner list of Signature-Input; None if the header is anything else."""
    inputs = Dictionary()
    try:
        inputs.parse(text.encode())
        (member,) = inputs.values()
    except Exception:  # noqa: BLE001 - whatever the parser raises: the header is no such list
        return None
    return member if isinstance(member, InnerList) else None


def _components(message: SignatureMessage, inner: InnerList) -> Iterator[Found]:
    named, wanted = [str(item) for item in inner], [f'"{n}"' for n in required_components(message.headers)]
    missing, extra = [n for n in wanted if n not in named], [n for n in named if n not in wanted]
    yield _check(
        "covers all it must", not missing, f"Cakup juga {' '.join(missing)}.", f"Cover also {' '.join(missing)}."
    )
    listed = " ".join(extra)
    yield _check(
        "covers no more",
        not extra,
        f"Hapus {listed}: dasarnya disimpan, dan tidak memuat token.",
        f"Leave out {listed}: the base is kept, and holds no token.",
    )
    absent = [n for n in required_components(message.headers) if not n.startswith("@") and n not in message.headers]
    yield _check("covered headers are there", not absent, f"Kirim {', '.join(absent)}.", f"Send {', '.join(absent)}.")


def _parameters(params: Any) -> Iterator[Found]:
    created, now = params.get("created"), clock.real().timestamp()
    whole = type(created) is int
    yield _check(
        "created", whole, "created: bilangan bulat, detik sejak 1970.", "created: an integer, seconds since 1970."
    )
    if whole:
        age, most = now - created, MAX_AGE.total_seconds()
        text_id = f"Umurnya {age:.0f} detik menurut jam kami; paling lama {most:.0f}."
        yield _check(
            "age", -SKEW <= age <= most + SKEW, text_id, f"It is {age:.0f} s old by our clock; at most {most:.0f}."
        )
    nonce, size = params.get("nonce"), f"{SHORTEST_NONCE}-{LONGEST_NONCE}"
    good = isinstance(nonce, str) and SHORTEST_NONCE <= len(nonce) <= LONGEST_NONCE
    yield _check(
        "nonce", good, f"nonce: {size} karakter, baru setiap kali.", f"nonce: {size} characters, new each time."
    )
    algorithm = ECDSA_P256_SHA256.algorithm_id
    yield _check(
        "alg",
        params.get("alg", algorithm) == algorithm,
        f"alg: {algorithm}, atau tanpa alg.",
        f"alg: {algorithm}, or none.",
    )


def _key(caller: Caller, kid: str) -> Iterator[Found]:
    """Checks the key.
    It reveals nothing about keys of other parties.
    """
    registers = caller.snapshot
    key = registers.keys.get(kid)
    own = key is not None and key.client_id == caller.client_id
    text_id = "keyid: sidik (RFC 7638) kunci terdaftar dari klien yang meminta token ini; lihat /v1/me."
    yield _check(
        "keyid", own, text_id, "keyid: thumbprint (RFC 7638) of a key of the client of this token; /v1/me lists them."
    )
    if key is not None and own:
        text_id = "Kunci ini untuk meminta token, bukan untuk menandatangani."
        yield _check("purpose", key.purpose == SIGN, text_id, "This key is for asking for tokens, not for signing.")
        text_id = "Kunci ini sudah berakhir atau ditangguhkan."
        yield _check("in force", key.good_for(key.purpose), text_id, "This key has ended, or is suspended.")


def _digest(field: str | None, body: bytes) -> Found:
    digests = HTTPMessageVerifier.content_digest_class
    expected = digests.create(body)
    try:
        digests.verify(field or "", body)
        good = True
    except Exception:  # noqa: BLE001 - malformed, or of another body: the detail shows the right value
        good = False
    size = len(body)
    text_id = f"Untuk {size} byte yang tiba nilainya {expected}"
    return _check("content-digest", good, text_id, f"Of the {size} bytes that arrived it is {expected}")


def _signature(message: SignatureMessage, caller: Caller, inner: InnerList) -> Found:
    key = caller.snapshot.keys.get(str(inner.params.get("keyid", "")))
    text = "\n".join(line.expected for line in _lines(message))
    signature = Dictionary()
    try:
        signature.parse(message.headers["signature"].encode())
        (member,) = signature.values()
        assert key is not None
        verifier: Any = ECDSA_P256_SHA256
        verifier(public_key=jwks.point(key.x, key.y)).verify(signature=member.value, message=text.encode())
        good = True
    except Exception:  # noqa: BLE001 - whatever the error: this key did not sign this base
        good = False
    text_id = "Bukan oleh kunci ini atas dasar di bawah: bandingkan baris demi baris. r dan s masing-masing 32 byte."
    text_en = "It is not by this key over the base below: compare it line by line. r and s are 32 bytes each."
    return _check("signature", good, text_id, text_en)


def _accepted(message: SignatureMessage, request: Request, caller: Caller, body: bytes) -> Found:
    """Checks the rest of the acceptance rule.
    The rule ensures that a verifier always reads the same from the request.
    """
    text = "\n".join(line.expected for line in _lines(message))
    try:
        require_acceptable(request, text, caller.snapshot, body)
    except UnacceptableError as error:
        return _check("accepted", False, error.text_id, error.text_en)
    except (DigestMismatch, KeyError):  # the checks before already report it
        return _check("accepted", False, "Lihat pemeriksaan di atas.", "See the checks above.")
    return _check("accepted", True, "", "")


def _lines(message: SignatureMessage) -> list[BaseLine]:
    inputs = _read(message.headers.get("signature-input", ""))
    if inputs is None:
        return []
    made: Any = HTTPSignatureComponentResolver
    resolver, lines = made(message), []
    for item in inputs:
        try:
            lines.append(f"{item}: {resolver.resolve(item)}")
        except Exception:  # noqa: BLE001 - a component that is absent, or that does not exist
            lines.append(f"{item}: (not in the request)")
    lines.append(f'"@signature-params": {inputs}')
    yours = _yours(message.headers.get(BASE))
    return [
        BaseLine(
            expected=line, yours=(sent := yours[n] if n < len(yours) else None), same=sent == line if yours else None
        )
        for n, line in enumerate(lines)
    ]


def _yours(text: str | None) -> list[str]:
    try:
        return base64.b64decode(text, validate=True).decode().split("\n") if text else []
    except ValueError:
        return []
