"""Unpacks the bundle of one case, a zip archive that holds its files and nothing else. Pure: no I/O."""

import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ENTRY = re.compile(r"(schemas|registers|entries)/[0-9]{4,}\.leaf")
LARGEST = 64 * 1024 * 1024
LOCAL_HEAD, STREAMED = 30, 0x08  # of a zip archive: bytes before the name of a file; flag of sizes that come after it
LOCAL = struct.Struct("<HHHHIII")  # flags, method, time, day, CRC-32, packed size, size
# end of the central directory: mark, two disks, two counts, size, offset, length of a comment (APPNOTE 4.3.16)
END = struct.Struct("<IHHHHIIH")
END_MARK = 0x06054B50
ORDER = ("registers", "schemas", "entries")
README = """One case of an SBT ledger, as evidence.

  python3 verify.py THIS.zip --vkey KEY      (needs Python >= 3.11 and the package `cryptography`)

KEY is the log's verifier key; take it from whom you trust, not from this file. It is shown by the operator, the witnesses and the
auditor, and at /.well-known/ledger. entries/ are the case's entries, each with its proof and the fields you may see; schemas/ and
registers/ what they rest on; promises/ entries that were not yet in the log (their key is another one: give --vkey again with it);
checkpoint is what all proofs lead to.
"""


class NoBundleError(OSError):
    """The file is not a bundle."""


@dataclass
class Bundle:
    """The files of a bundle by name, and its policy.
    `twice`: names that occur more than once, of files or of JSON members.
    """

    files: Mapping[str, bytes]
    policy: Mapping[str, Any]
    twice: Sequence[str] = ()

    def leaves(self) -> list[str]:
        """Names of the leaves: registers, schemas, then the entries of the case, each in order.
        The entries refer to the registers and schemas, so these come first.
        """
        entries = [name for name in self.files if ENTRY.fullmatch(name)]
        return sorted(entries, key=lambda name: (ORDER.index(name.partition("/")[0]), len(name), name))


def read_bundle_file(raw: bytes) -> Bundle:
    """Unpacks a bundle; NoBundleError where the file is none.
    All files together hold at most LARGEST bytes, whatever the zip headers say.
    """
    twice: list[str] = []
    try:
        files = _unpacked(raw, twice)
        policy = parse_json(files["policy.json"], "policy.json", twice)
        _require_policy(policy, files)
    except NoBundleError:
        raise
    except Exception as error:  # noqa: BLE001 - zipfile raises many exception types on hostile input; each means: not a bundle
        raise NoBundleError(f"no bundle: {type(error).__name__}") from None
    return Bundle(files, policy, twice)


def _unpacked(raw: bytes, twice: list[str]) -> dict[str, bytes]:
    files, left = dict[str, bytes](), LARGEST
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        if not _contiguous(raw, archive):
            twice.append("the zip archive: it holds bytes or names that its directory does not list")
        for info in archive.infolist():
            if info.filename in files:
                twice.append(info.filename)
            files[info.filename] = _content(raw, info, left + 1)
            left -= len(files[info.filename])
            if left < 0:
                raise NoBundleError("the bundle is too large")
    return files


def _contiguous(raw: bytes, archive: zipfile.ZipFile) -> bool:
    """Whether the archive holds its files one after the other, and nothing else.
    It has no comment, no extra field, and no other name.
    Another program could show what stands between them.
    """
    at = 0
    for info in archive.infolist():
        name = info.filename.encode()
        head = raw[at : at + LOCAL_HEAD + len(name)]
        plain = not (info.extra or info.comment or info.flag_bits & STREAMED) and head[28:30] == b"\0\0"
        if info.header_offset != at or not plain or head[LOCAL_HEAD:] != name or head[:30] != _local_head(info, head):
            return False
        at += len(head) + info.compress_size
    # after the files the directory, then what says where it is, then nothing
    mark, disk, *_, offset, _ = END.unpack(raw[-END.size :])
    return archive.start_dir == offset == at and (mark, disk) == (END_MARK, 0)


def _local_head(info: zipfile.ZipInfo, head: bytes) -> bytes:
    """The fixed part of a file's local header, as the directory says it.
    Version and time are taken as they stand.
    """
    made = LOCAL.pack(info.flag_bits, info.compress_type, 0, 0, info.CRC, info.compress_size, info.file_size)
    name = len(info.filename.encode()).to_bytes(2, "little")
    return head[:6] + made[:4] + head[10:14] + made[8:] + name + b"\0\0"


def _content(raw: bytes, info: zipfile.ZipInfo, most: int) -> bytes:
    """The content of one file: its compressed bytes are exactly those between the headers."""
    start = info.header_offset + LOCAL_HEAD + len(info.filename.encode())
    packed = raw[start : start + info.compress_size]
    if info.compress_type == zipfile.ZIP_STORED:
        content, whole = packed[:most], len(packed) == info.file_size
    elif info.compress_type == zipfile.ZIP_DEFLATED:
        unpacking = zlib.decompressobj(-zlib.MAX_WBITS)
        content = unpacking.decompress(packed, most)
        whole = len(content) >= most or (unpacking.eof and not unpacking.unused_data)
    else:
        raise NoBundleError("it is packed in a way that no bundle is")
    if not whole or (len(content) < most and (zlib.crc32(content), len(content)) != (info.CRC, info.file_size)):
        raise NoBundleError("a file is not what its header says")
    return content


def parse_json(raw: bytes, name: str, twice: list[str]) -> Any:
    """Parses JSON and records duplicate members in `twice`.
    Readers disagree on which of two members with one name counts.
    """

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        document = dict(pairs)
        if len(document) != len(pairs):
            twice.append(f"{name}: a member")
        return document

    return json.loads(raw.decode("utf-8"), object_pairs_hook=members)


def _require_policy(policy: Any, files: Mapping[str, bytes]) -> None:
    texts = ("case", "vkey", "receipt_vkey")
    shaped = isinstance(policy, dict) and all(isinstance(policy.get(name), str) for name in texts)
    if not shaped or type(policy.get("entries")) is not int or "checkpoint" not in files:
        raise ValueError("its policy is malformed")
