"""GET /v1/cases/{id}/bundle: one case as evidence, which its holder can verify offline.
The answer is a zip archive; each of its files is one piece of evidence.
"""

import asyncio
import io
import json
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from fastapi import Response

from app.cases.case import Case
from app.cases.context import ReadContext
from app.cases.part_schemas import SchemaFields, fields_of
from app.cases.reading.one_case import find
from app.cases.reading.visible_fields import CONTENT, REPORTER, SUBJECT, SUMMARY, TEXT, visible_fields
from app.database.sessions import Session
from app.database.statements import Statement
from app.errors import NotFound
from app.ledger import proofs, published
from app.ledger.append import Appended
from app.ledger.canonical import read_leaf
from app.ledger.merkle import leaf_hash
from app.ledger.origin import CASES
from app.ledger.parts import b64u, commitments, salt
from app.ledger.promise import PromiseSigner
from app.ledger.published import SignedCheckpoint
from app.ledger.tiles import Tile
from app.ledger.tlog_proof import make_proof
from app.ledger.witnesses import Policy
from app.publication.receipts import covering
from app.vault.opening import JOINED, SEALED_COLUMNS, SealedRow, show_row
from app.vault.seal import OpenedPart
from app.verifier.archive import README
from app.verifier.one_file import verifier


class EntryRow(Protocol):
    """An entry of the case; `leaf_index` is None until it is in the log."""

    id: UUID
    seq: int
    leaf: bytes
    leaf_hash: bytes
    received_at: datetime
    leaf_index: int | None


class GroundRow(Protocol):
    """An entry in the log that entries of the case depend on."""

    type: str
    leaf: bytes
    leaf_index: int


ENTRIES = Statement[EntryRow](
    """
    SELECT e.id, e.seq, e.leaf, e.leaf_hash, e.received_at, s.leaf_index
    FROM entry e LEFT JOIN sequenced s ON s.entry_id = e.id WHERE e.case_id = :case_id ORDER BY e.seq
    """
)
# OFFSET keeps the planner from reading the whole log at once: each ground is looked up by its index.
# what the entries depend on: the founding, schemas of their parts, registrations of their clients, moves of a sandbox's clock
GROUNDS = Statement[GroundRow](
    """
    SELECT placed.* FROM (
      SELECT entry_id FROM part_schema WHERE name || ' ' || version = ANY(CAST(:schemas AS text[]))
      UNION SELECT entry_id FROM client WHERE id = ANY(CAST(:clients AS text[]))
      UNION SELECT id FROM entry WHERE type = 'ledger.founded'
      UNION SELECT entry_id FROM clock_move
    ) ground CROSS JOIN LATERAL (
      SELECT e.id, e.type, e.leaf, s.leaf_index FROM entry e JOIN sequenced s ON s.entry_id = e.id
      WHERE e.id = ground.entry_id OFFSET 0
    ) placed WHERE placed.leaf_index < :size ORDER BY placed.leaf_index
    """
)
PARTS = Statement[SealedRow](
    f"SELECT {SEALED_COLUMNS} FROM {JOINED} WHERE e.case_id = :case_id AND p.part = ANY(CAST(:parts AS text[]))"
)
FOLDERS = {"schema.registered": "schemas"}


@dataclass
class Archive:
    """The files of the zip archive, in the order in which they were added."""

    files: dict[str, bytes | str] = field(default_factory=dict)

    def zipped(self) -> bytes:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in self.files.items():
                archive.writestr(name, content)
        return out.getvalue()


async def case_bundle(read: ReadContext, case_id: UUID, receipts: PromiseSigner, witnesses: Policy) -> Response:
    """Find the case, take its entries under one checkpoint, and open what the caller may see."""
    async with read.session.snapshot():
        case = await find(read, case_id)
        entries = await read.session.run(ENTRIES, case_id=case_id)
        signed = await _checkpoint(read.session, entries, witnesses)
        size = signed.checkpoint.size
        placed = [(row.leaf_index, row) for row in entries if row.leaf_index is not None and row.leaf_index < size]
        made = Archive({"README.txt": README, "checkpoint": str(signed), "verify.py": verifier()})
        await _leaves(read.session, made, signed, placed)
        shown = await _shown(read, case)
    for _, row in placed:
        made.files[f"entries/{row.seq:04}.fields.json"] = json.dumps(shown.get(row.id, {}), indent=1)
    for row in entries[len(placed) :]:
        entry = Appended(row.id, row.leaf, row.leaf_hash, row.received_at)
        made.files[f"promises/{row.seq:04}.note"] = receipts.promise(entry)
    made.files["policy.json"] = json.dumps(
        await _policy(read.session, case_id, receipts, witnesses, len(placed)), indent=1
    )
    headers = {"Content-Disposition": f'attachment; filename="{case.number}.zip"', "Cache-Control": "no-store"}
    zipped = await asyncio.to_thread(made.zipped)
    return Response(zipped, media_type="application/zip", headers=headers)


async def _checkpoint(session: Session, entries: list[EntryRow], witnesses: Policy) -> SignedCheckpoint:
    """Return a checkpoint over all entries of the case; if there is none, the newest one."""
    last = max((row.leaf_index for row in entries if row.leaf_index is not None), default=None)
    covered = await covering(session, CASES, last, witnesses)
    signed = covered[0] if covered else await published.newest_checkpoint(session, CASES)
    if signed is None or not entries:
        raise NotFound
    return signed


async def _policy(
    session: Session, case_id: UUID, receipts: PromiseSigner, witnesses: Policy, entries: int
) -> dict[str, Any]:
    vkey = await session.value(Statement("SELECT vkey FROM log WHERE name = 'cases'"))
    return {
        "case": str(case_id),
        "entries": entries,
        "vkey": vkey,
        "receipt_vkey": str(receipts.verifier),
        "witnesses": [str(key) for key in witnesses.keys],
        "quorum": witnesses.quorum,
    }


async def _leaves(
    session: Session, made: Archive, signed: SignedCheckpoint, placed: list[tuple[int, EntryRow]]
) -> None:
    """Add each leaf with its proof to the one checkpoint."""
    members = [read_leaf(row.leaf) for _, row in placed]
    used = {(part["schema"]["name"], part["schema"]["version"]) for m in members for part in m["parts"]}
    schemas = sorted(f"{name} {version}" for name, version in used)
    clients = sorted({m["client"] for m in members if m["client"]})
    grounds = await session.run(GROUNDS, schemas=schemas, clients=clients, size=signed.checkpoint.size)
    named = [
        (f"{FOLDERS.get(row.type, 'registers')}/{n:04}", row.leaf_index, row.leaf) for n, row in enumerate(grounds)
    ]
    named += [(f"entries/{row.seq:04}", index, row.leaf) for index, row in placed]
    size = signed.checkpoint.size
    spans = {name: proofs.inclusion(index, size) for name, index, _ in named}
    wanted: set[Tile] = proofs.tiles_for(span for ranges in spans.values() for span in ranges)
    stored = await published.read_stored_tiles(session, CASES, wanted)
    for name, index, leaf in named:
        made.files[f"{name}.leaf"] = leaf
        await asyncio.sleep(0)  # a case of many entries takes seconds: other requests run in between
        made.files[f"{name}.proof"] = make_proof(index, proofs.make(spans[name], stored), str(signed))


async def _shown(read: ReadContext, case: Case) -> dict[UUID, dict[str, Any]]:
    """Return the fields that the caller may see, by entry and part, each with its salt and inner proof.
    Parts that the caller may not see are not selected.
    """
    persons = (p for p in (SUBJECT, REPORTER) if visible_fields(read.caller, case, case.first_stage, p))
    wanted = [SUMMARY, TEXT, CONTENT, *persons]
    parts_shown: dict[UUID, dict[str, Any]] = {}
    rows = await read.session.run(PARTS, case_id=case.id, parts=wanted)
    fields = await fields_of(read.session, [p["schema"] for row in rows for p in read_leaf(row.leaf)["parts"]])
    for row in rows:
        leaf = read_leaf(row.leaf)
        names = visible_fields(read.caller, case, leaf.get("stage") or case.first_stage, row.part)
        opened = show_row(read.vault, row) if names else None
        await asyncio.sleep(0)
        if opened is not None:
            parts_shown.setdefault(row.entry_id, {})[row.part] = openings(leaf, row.part, opened, names, fields)
    return parts_shown


def openings(
    leaf: Mapping[str, Any], part: str, opened: OpenedPart, names: Collection[str], schema_fields: SchemaFields
) -> dict[str, Any]:
    """Return for each named field its value, its salt, and its proof within the part."""
    ref = next(p["schema"] for p in leaf["parts"] if p["name"] == part)
    fields = schema_fields[ref["name"], ref["version"]]
    hashes = [leaf_hash(c) for c in commitments(opened.root_key, fields, opened.fields)]
    tree = {Tile(0, 0): b"".join(hashes)}
    opened_fields = {}
    for n, name in enumerate(fields):
        if name in names and name in opened.fields:
            path = proofs.make(proofs.inclusion(n, len(fields)), tree)
            opened_fields[name] = {
                "value": opened.fields[name],
                "salt": b64u(salt(opened.root_key, name)),
                "proof": [b64u(h) for h in path],
            }
    return opened_fields
