"""Signed notes, checkpoints and cosignatures in the formats of C2SP.
The specifications are signed-note, tlog-checkpoint and tlog-cosignature.
Pure: no I/O.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ED25519 = 0x01
COSIGNATURE = 0x04
MAX_NOTE = 1_000_000
MAX_LINES = 100
KEY_ID = 4
PUBLIC = 32
STAMP = 8
SIGNATURE = 64
NAME = re.compile(r"[^\s+]+")
SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
DASH = "\u2014 "
CHECKPOINT_LINES = 3


class NoteError(ValueError):
    """The text is no valid note, or the note is not signed as it must be."""


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with its name and kind, as a vkey of C2SP holds them."""

    name: str
    kind: int
    public: bytes

    @property
    def id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:KEY_ID]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{_b64(bytes([self.kind]) + self.public)}"


@dataclass(frozen=True, slots=True)
class Line:
    """One signature line: the name and id of the key that it claims, and the bytes after the key id."""

    name: str
    key_id: bytes
    body: bytes

    def __str__(self) -> str:
        return f"{DASH}{self.name} {_b64(self.key_id + self.body)}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A text and its signature lines; none of them is checked yet."""

    text: str
    lines: tuple[Line, ...]

    def __str__(self) -> str:
        return f"{self.text}\n{''.join(map(str, self.lines))}"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log claims: its number of leaves, and their root."""

    origin: str
    size: int
    root: bytes

    def __str__(self) -> str:
        return f"{self.origin}\n{self.size}\n{_b64(self.root)}\n"


def read_vkey(text: str) -> VerifierKey:
    name, _, rest = text.partition("+")
    key_id, _, data = rest.partition("+")
    raw = _read_b64(data, "vkey")
    if not NAME.fullmatch(name) or len(raw) != 1 + PUBLIC or raw[0] not in (ED25519, COSIGNATURE):
        raise NoteError("no verifier key of a kind that is known here")
    key = VerifierKey(name, raw[0], raw[1:])
    if key.id.hex() != key_id:
        raise NoteError("the key id of the verifier key is wrong")
    return key


def key_of(private: Ed25519PrivateKey, name: str, kind: int = ED25519) -> VerifierKey:
    return VerifierKey(name, kind, private.public_key().public_bytes_raw())


def sign_note(text: str, private: Ed25519PrivateKey, key: VerifierKey) -> Line:
    """Sign a note with Ed25519; return the signature line."""
    return Line(key.name, key.id, private.sign(text.encode()))


def cosign(text: str, private: Ed25519PrivateKey, key: VerifierKey, at: int) -> Line:
    """Make a witness's cosignature/v1 of a checkpoint.
    `at`: the time, in seconds since 1970.
    """
    stamp = at.to_bytes(STAMP, "big")
    return Line(key.name, key.id, stamp + private.sign(_cosigned(text, at)))


def _cosigned(text: str, at: int) -> bytes:
    return f"cosignature/v1\ntime {at}\n{text}".encode()


def read_note(raw: bytes) -> Note:
    """Read the text and the lines of a note; NoteError for anything that is not exactly a note."""
    if len(raw) > MAX_NOTE:
        raise NoteError("a note has at most 1,000,000 bytes")
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise NoteError("a note is UTF-8") from None
    if any((c < " " and c != "\n") or c == "\x7f" for c in text):
        raise NoteError("a note holds no control characters")
    body, separator, signatures = text.rpartition("\n\n")
    if not separator or not signatures.endswith("\n"):
        raise NoteError("a note is a text, an empty line and signature lines")
    lines = signatures[:-1].split("\n")
    if len(lines) > MAX_LINES:
        raise NoteError("a note has at most 100 signatures")
    return Note(body + "\n", tuple(map(_read_line, lines)))


def _read_line(text: str) -> Line:
    name, _, data = text.removeprefix(DASH).partition(" ")
    raw = _read_b64(data, "signature")
    if not text.startswith(DASH) or not NAME.fullmatch(name) or len(raw) <= KEY_ID:
        raise NoteError("a signature line is a dash, a name and base64")
    return Line(name, raw[:KEY_ID], raw[KEY_ID:])


def require_signed(note: Note, key: VerifierKey) -> None:
    """Check that the note has a signature by this key; else NoteError.
    Every line that claims to be by this key must be valid.
    """
    lines = [line for line in note.lines if (line.name, line.key_id) == (key.name, key.id)]
    if not lines:
        raise NoteError(f"{key.name} has not signed this note")
    for line in lines:
        signed_at(note.text, line, key)


def signed_at(text: str, line: Line, key: VerifierKey) -> int | None:
    """Check one signature line; NoteError if it is not valid.
    Returns the time of a cosignature, and None for a plain signature.
    """
    if (line.name, line.key_id) != (key.name, key.id):
        raise NoteError("the line is by another key")
    if key.kind == COSIGNATURE:
        at = int.from_bytes(line.body[:STAMP], "big")
        if at >= 2**63:
            raise NoteError("the time of the cosignature is out of range")
        message, signature = _cosigned(text, at), line.body[STAMP:]
    else:
        at, message, signature = None, text.encode(), line.body
    if len(signature) != SIGNATURE:
        raise NoteError("a signature has 64 bytes")
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(signature, message)
    except InvalidSignature:
        raise NoteError(f"the signature by {key.name} is wrong") from None
    return at


def cosigners(note: Note, keys: Iterable[VerifierKey]) -> dict[str, int]:
    """Return those of the witnesses that cosigned, each with the time of its first cosignature.
    An invalid line in the name of a witness is an error: it does not count as absent.
    """
    return {name: min(times) for name, times in _cosigned_times(note, keys).items()}


def newest_cosigners(note: Note, keys: Iterable[VerifierKey]) -> dict[str, int]:
    """As cosigners(), with the time of the newest cosignature: how fresh a witness's knowledge is."""
    return {name: max(times) for name, times in _cosigned_times(note, keys).items()}


def _cosigned_times(note: Note, keys: Iterable[VerifierKey]) -> dict[str, list[int]]:
    keys_by_name = {(key.name, key.id): key for key in keys}
    times: dict[str, list[int]] = {}
    for line in note.lines:
        key = keys_by_name.get((line.name, line.key_id))
        if key is not None:
            times.setdefault(key.name, []).append(signed_at(note.text, line, key) or 0)
    return times


def read_checkpoint(text: str) -> Checkpoint:
    """Read the three lines of a checkpoint.
    This log uses no further lines; they are refused.
    """
    lines = text.split("\n")
    if len(lines) != CHECKPOINT_LINES + 1 or lines[-1]:
        raise NoteError("a checkpoint is origin, size and root, each on a line")
    origin, size, root = lines[:CHECKPOINT_LINES]
    raw = _read_b64(root, "root")
    if not origin or not SIZE.fullmatch(size) or int(size) >= 2**63 or len(raw) != hashlib.sha256().digest_size:
        raise NoteError("origin, size or root of the checkpoint is malformed")
    return Checkpoint(origin, int(size), raw)


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _read_b64(text: str, what: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NoteError(f"the {what} is not base64") from None
    if _b64(raw) != text:
        raise NoteError(f"the {what} is not canonical base64")
    return raw
