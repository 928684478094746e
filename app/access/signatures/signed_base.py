"""The acceptance rule for signed requests, shared by the service and the verifier.

The service accepts a request by this rule, and the verifier checks it by the same rule at any later time.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from app.ledger.parts import unb64u

MAX_AGE = timedelta(seconds=60)  # greatest age of a signature when its request arrives
DELAY = MAX_AGE + timedelta(seconds=120)  # until the entry is made: requests end after a minute, clocks differ
IMPORT_DELAY = timedelta(hours=6)  # the same for the lines of a file
SHORTEST_NONCE, LONGEST_NONCE = 16, 64
LINE = re.compile(r'"([a-z@\-]+)": (.*)')
COMPONENTS = re.compile(r'\(("[a-z@\-]+"(?: "[a-z@\-]+")*)?\)')
PARAMETER = re.compile(r';([a-z]+)=(?:"([^"\\]*)"|(\d{1,11}))')
PARAMETERS = {"created", "expires", "keyid", "nonce", "alg", "tag"}
DIGEST = re.compile(r"(?:^|, ?)sha-256=:([A-Za-z0-9+/]{43}=):(?:,|$)")


class UnacceptableError(ValueError):
    """A signed request that is not accepted: where, which code, and why in both languages."""

    def __init__(self, pointer: str, code: str, text_id: str, text_en: str) -> None:
        super().__init__(text_en)
        self.pointer, self.code, self.text_id, self.text_en = pointer, code, text_id, text_en


@dataclass(frozen=True, slots=True)
class SignedBase:
    """A signature base (RFC 9421 section 2.5), parsed."""

    text: str
    lines: Mapping[str, str]
    kid: str
    nonce: str
    created: datetime

    @property
    def address(self) -> str:
        """The requested address, without its query."""
        return self.lines["@target-uri"].partition("?")[0]

    def is_of(self, path: str, public_url: str | None) -> bool:
        """Whether the base is for this path of the ledger at `public_url`.
        None: the ledger names no public URL, so only the path is compared.
        """
        return self.address.endswith(path) if public_url is None else self.address == public_url + path


def read_base(text: str) -> SignedBase:
    """Parses a signature base; raises UnacceptableError if two readers could read it in two ways.
    It refuses a line or parameter that occurs twice, and quotes within quotes.
    """
    matches = [LINE.fullmatch(line) for line in text.split("\n")]
    lines = {match[1]: match[2] for match in matches if match}
    signature_params = lines.get("@signature-params", "")
    components = COMPONENTS.match(signature_params)
    names = re.findall(r'"([^"]+)"', components[1] or "") if components else []
    rest = signature_params[components.end() :] if components else signature_params
    parameters = {name: (words, number) for name, words, number in PARAMETER.findall(rest)}
    whole = "".join(match[0] for match in PARAMETER.finditer(rest)) == rest
    counted = len(PARAMETER.findall(rest)) == len(parameters)
    if None in matches or len(lines) != len(matches) or [*names, "@signature-params"] != list(lines):
        raise _unreadable("Signature-Input: setiap komponen satu kali.", "Signature-Input: each component once.")
    if not whole or not counted or not set(parameters) <= PARAMETERS:
        raise _unreadable(
            'Signature-Input: created, keyid, nonce, alg, expires, tag, masing-masing sekali, tanpa " atau \\ di dalamnya.',
            'Signature-Input: created, keyid, nonce, alg, expires, tag, each once, without " or \\ within.',
        )
    return _base(text, lines, {name: words or number for name, (words, number) in parameters.items()})


def _base(text: str, lines: Mapping[str, str], parameters: Mapping[str, str]) -> SignedBase:
    nonce, created = parameters.get("nonce", ""), parameters.get("created", "")
    if not SHORTEST_NONCE <= len(nonce) <= LONGEST_NONCE or not created.isdecimal() or "keyid" not in parameters:
        size = f"{SHORTEST_NONCE}-{LONGEST_NONCE}"
        raise _unreadable(
            f"Signature-Input: created, keyid, dan nonce ({size} karakter) wajib ada.",
            f"Signature-Input: created, keyid and a nonce ({size} characters) are required.",
        )
    return SignedBase(text, lines, parameters["keyid"], nonce, datetime.fromtimestamp(int(created), UTC))


def _unreadable(text_id: str, text_en: str) -> UnacceptableError:
    return UnacceptableError("/header/Signature-Input", "AMBIGUOUS", text_id, text_en)


def require_canonical_path(path: str) -> None:
    """Requires the canonical spelling: nothing percent-encoded, ids in lower case with hyphens.
    Another spelling would be another address to a verifier.
    """
    if "%" in path or any(_is_other_spelling(part) for part in path.split("/")):
        raise UnacceptableError(
            "/path",
            "NOT_CANONICAL",
            "Tulis alamat tanpa %, dan UUID dengan huruf kecil dan tanda hubung.",
            "Write the address without %, and UUIDs in lower case with hyphens.",
        )


def _is_other_spelling(part: str) -> bool:
    try:
        return str(UUID(part)) != part
    except ValueError:
        return False


def require_digest(field: str, sha256: bytes) -> None:
    """Requires that Content-Digest (RFC 9530) contains the SHA-256 of the body.
    Another algorithm is allowed beside it, but not instead of it.
    """
    digest = DIGEST.search(field)
    if digest is None:
        text_id, text_en = "Content-Digest harus memuat sha-256.", "Content-Digest must hold a sha-256 digest."
        raise UnacceptableError("/header/Content-Digest", "SHA256_REQUIRED", text_id, text_en)
    if unb64u(digest[1].rstrip("=").replace("+", "-").replace("/", "_")) != sha256:
        text_id, text_en = "Content-Digest bukan dari isi ini.", "Content-Digest is not of this body."
        raise UnacceptableError("/header/Content-Digest", "OTHER_BODY", text_id, text_en)


def require_in_force(created: datetime, expires_at: datetime) -> None:
    """Requires that the key had not expired when it signed."""
    if created >= expires_at:
        text_id, text_en = "Kunci sudah berakhir saat menandatangani.", "The key had ended when it signed."
        raise UnacceptableError("/header/Signature-Input", "KEY_ENDED", text_id, text_en)


def require_in_time(created: datetime, received: datetime, longest: timedelta) -> None:
    """Requires at most `longest` between the signature and the entry.
    `received`: by the machine's clock.
    `longest`: DELAY, or IMPORT_DELAY for the lines of a file.
    """
    if abs(received - created) > longest:
        minutes = longest.total_seconds() / 60
        raise UnacceptableError(
            "/header/Signature-Input",
            "TOO_LATE",
            f"Entri dibuat lebih dari {minutes:.0f} menit sesudah tanda tangan; tandatangani lagi.",
            f"The entry came more than {minutes:.0f} minutes after the signature; sign again.",
        )
