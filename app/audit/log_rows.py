"""Compares the log's own tables with each other: steps 1 to 4 and 11.

Checkpoints and notes, tiles and leaves, head, queue and order.
"""

import itertools
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from app.audit.snapshot import Snapshot
from app.ledger.merkle import EMPTY_ROOT, leaf_hash
from app.ledger.note import Checkpoint, NoteError, VerifierKey, read_note, signed_at
from app.ledger.signer import LastSigned
from app.ledger.tiles import WIDTH, Tile
from app.verifier.report import Tick, VerificationReport
from app.verifier.tree import TreeCheck
from app.verifier.verify import Witnessed, check_note

NOTES = "SELECT size, note, previous FROM published WHERE log = %s ORDER BY size"
COSIGNED = "SELECT size, witness, line FROM cosignature WHERE log = %s ORDER BY size, witness"
NEWEST_COSIGNED = """
    SELECT n.size, n.witness, n.line, n.at, p.note FROM newest_cosignature n
    LEFT JOIN published p ON p.log = n.log AND p.size = n.size WHERE n.log = %s ORDER BY n.witness
"""
LEAVES = """
    SELECT s.leaf_index, e.leaf, e.leaf_hash FROM sequenced s LEFT JOIN entry e ON e.id = s.entry_id
    WHERE s.log = %s ORDER BY s.leaf_index
"""
LOST = """
    SELECT e.id, e.log FROM entry e WHERE NOT EXISTS (SELECT 1 FROM sequenced s WHERE s.entry_id = e.id)
    AND NOT EXISTS (SELECT 1 FROM pending p WHERE p.entry_id = e.id)
"""
DANGLING = "SELECT p.entry_id AS id, p.log FROM pending p LEFT JOIN entry e ON e.id = p.entry_id WHERE e.id IS NULL"
TWICE = "SELECT p.entry_id AS id, p.log FROM pending p JOIN sequenced s ON s.entry_id = p.entry_id"
ASIDE = "SELECT entry_id AS id, log FROM set_aside ORDER BY log, arrived"
OF_A_LOG = (
    "entry", "pending", "set_aside", "sequenced", "tile", "checkpoint", "published", "cosignature", "newest_cosignature",
)  # fmt: skip
STRAY = """
    SELECT s.entry_id AS id, s.log FROM sequenced s JOIN entry e ON e.id = s.entry_id WHERE e.log <> s.log
    UNION ALL SELECT p.entry_id, p.log FROM pending p JOIN entry e ON e.id = p.entry_id WHERE e.log <> p.log
"""


@dataclass
class Trust:
    """What the verifier trusts beforehand: keys, witnesses, and checkpoints that it has seen itself."""

    keys: Mapping[str, VerifierKey]
    witnesses: tuple[VerifierKey, ...] = ()
    quorum: int = 0
    remembered: Mapping[str, Checkpoint] = field(default_factory=dict)
    signed: Mapping[str, LastSigned] = field(default_factory=dict)
    looked: Mapping[str, list[Witnessed]] = field(
        default_factory=dict
    )  # by log, when the verifier itself saw it end there
    newest: dict[str, str] = field(default_factory=dict)  # by log, the newest note of this run


class HeadRow(Protocol):
    """The row of a log (table log)."""

    id: UUID
    origin: str
    vkey: str
    size: int
    root: bytes
    quarantined: str | None


class CosignatureRow(Protocol):
    """A stored cosignature."""

    size: int
    witness: str
    line: str


def check_log(report: VerificationReport, seen: Snapshot, trust: Trust, log: str, tick: Tick) -> list[Witnessed]:
    """Steps 1 to 4 for one log. Returns the checkpoints that are good."""
    rows = seen.rows("SELECT * FROM log WHERE name = %s", log)
    if not rows:
        report.find("tree", "LOG_MISSING", f"log {log}", "there is no such log", log=log)
        return []
    head = rows[0]
    _head_fits(report, head, trust, log)
    notes = list(_notes(report, seen, trust, log))
    if notes:
        trust.newest[log] = str(notes[-1].note)
    _published(report, seen, head, log)
    _newest(report, seen, trust, log)
    roots = {row.size: row.root for row in seen.rows("SELECT size, root FROM checkpoint WHERE log = %s", log)}
    watched = {checkpoint.size for _, checkpoint in _remembered(trust, log)}
    tree = check_tree(report, seen, log, {head.size: head.root, 0: EMPTY_ROOT} | roots, tick, watched)
    _sizes(report, tree, head, roots, log)
    _known(report, tree, trust, log)
    return notes


def _head_fits(report: VerificationReport, head: HeadRow, trust: Trust, log: str) -> None:
    report.count("rows")
    key = trust.keys[log]
    if (head.vkey, head.origin) != (str(key), key.name):
        report.find(
            "rows", "HEAD_OF_ANOTHER_LOG", f"log {log}", "its key or origin is not the one that is trusted", log=log
        )
    if log in trust.signed and head.id != trust.signed[log].log_id:
        report.find("rows", "HEAD_OF_ANOTHER_LOG", f"log {log}", "the signer's keys belong to another log", log=log)
    if head.quarantined:
        report.find("rows", "QUARANTINED", f"log {log}", head.quarantined, log=log)


def _notes(report: VerificationReport, seen: Snapshot, trust: Trust, log: str) -> Iterator[Witnessed]:
    """Every published note with its cosignatures, compared with its row."""
    roots = {row.size: row.root for row in seen.rows("SELECT size, root FROM checkpoint WHERE log = %s", log)}
    lines: dict[int, list[CosignatureRow]] = {}
    for row in seen.rows(COSIGNED, log):
        lines.setdefault(row.size, []).append(row)
    previous = None
    for row in seen.rows(NOTES, log):
        place = f"published {log}/{row.size}"
        if row.previous != previous:
            report.find(
                "notes", "NOTE_MISSING", place, f"it follows {row.previous}, before it stands {previous}", log=log
            )
        previous = row.size
        good = check_note(report, row.note.encode(), trust.keys[log], trust.keys[log].name, (), place)
        if good is None:
            continue
        if (good.checkpoint.size, good.checkpoint.root) != (row.size, roots.get(row.size, EMPTY_ROOT)):
            report.find("notes", "NOTE_DIFFERS", place, "note, row and checkpoint disagree", log=log, index=row.size)
        yield _cosigned(report, trust, good, lines.pop(row.size, []), log)
    for size in lines:
        report.find("witnesses", "COSIGNATURE_OF_NOTHING", f"cosignature {log}/{size}", "no such checkpoint", log=log)
    _newest_cosigned(report, seen, trust, log)


def _newest_cosigned(report: VerificationReport, seen: Snapshot, trust: Trust, log: str) -> None:
    """Step 2 for the newest cosignature of each witness.
    It is on a published checkpoint, by that witness, at the time that its row says.
    """
    witness_keys = {key.name: key for key in trust.witnesses}
    for row in seen.rows(NEWEST_COSIGNED, log):
        place = f"newest_cosignature {log}/{row.witness}"
        if row.note is None:
            report.find("witnesses", "COSIGNATURE_OF_NOTHING", place, "no such checkpoint", log=log)
            continue
        try:
            text = read_note(row.note.encode()).text
            at = _signed_at(text, row, witness_keys.get(row.witness))
        except (NoteError, ValueError) as error:
            report.find("witnesses", "COSIGNATURE_WRONG", place, str(error), log=log)
            continue
        if trust.witnesses and (row.witness not in witness_keys or at != row.at):
            report.find("witnesses", "COSIGNATURE_UNKNOWN", place, "no witness said so at that time", log=log)


def _cosigned(
    report: VerificationReport, trust: Trust, good: Witnessed, lines: list[CosignatureRow], log: str
) -> Witnessed:
    """Step 2: each stored cosignature is by the witness it is stored for.
    A cosignature by an unknown witness proves nothing.
    """
    witness_keys, cosignatures = {key.name: key for key in trust.witnesses}, {}
    for row in lines:
        if trust.witnesses and row.witness not in witness_keys:
            place = f"cosignature {log}/{row.size}/{row.witness}"
            report.find("witnesses", "COSIGNATURE_UNKNOWN", place, "no witness of this name is known", log=log)
            continue
        try:
            at = _signed_at(good.note.text, row, witness_keys.get(row.witness))
        except (NoteError, ValueError) as error:
            place = f"cosignature {log}/{row.size}/{row.witness}"
            report.find("witnesses", "COSIGNATURE_WRONG", place, str(error), log=log)
            continue
        if at is not None:
            cosignatures[row.witness] = at
            report.count("witnesses")
    return Witnessed(good.note, good.checkpoint, cosignatures)


def _signed_at(text: str, row: CosignatureRow, key: VerifierKey | None) -> int | None:
    """When the witness signed; None where its key is not known here."""
    (line,) = read_note(f"{text}\n{row.line}".encode()).lines
    if line.name != row.witness:
        raise NoteError("it is by another witness than its row says")
    return signed_at(text, line, key) if key else None


def _published(report: VerificationReport, seen: Snapshot, head: HeadRow, log: str) -> None:
    """Each checkpoint row follows the one before, so none was removed. The head is the last one."""
    previous, root = 0, EMPTY_ROOT
    for row in seen.rows("SELECT size, root, previous FROM checkpoint WHERE log = %s ORDER BY size", log):
        report.count("rows")
        if row.previous != previous:
            says = f"it follows {row.previous}, before it stands {previous}"
            report.find("rows", "CHECKPOINT_MISSING", f"checkpoint {log}/{row.size}", says, log=log)
        previous, root = row.size, row.root
    if (previous, root) != (head.size, head.root):
        report.find("rows", "HEAD_DIFFERS", f"log {log}", "head and last checkpoint disagree", log=log, index=head.size)


def _newest(report: VerificationReport, seen: Snapshot, trust: Trust, log: str) -> None:
    """The last checkpoint that the signer remembers is published."""
    newest = seen.value("SELECT max(size) FROM published WHERE log = %s", log)
    signed = trust.signed.get(log)
    if newest is None or (signed is not None and newest < signed.size):
        says = f"{signed.size if signed else 'some'} entries were signed, {newest} are published"
        report.find("notes", "NOTE_MISSING", f"published {log}", says, log=log)


def check_tree(
    report: VerificationReport,
    seen: Snapshot,
    log: str,
    roots: Mapping[int, bytes],
    tick: Tick,
    watched: Collection[int] = (),
) -> TreeCheck:
    """Step 4 in one pass over leaves and tiles, both in order."""
    tree = TreeCheck(report, log, roots, watched)
    report.begin("tree")
    tiles = seen.stream(
        "SELECT number, hashes FROM tile WHERE log = %s AND level = 0 ORDER BY number", log, named=False
    )
    stored = next(tiles, None)
    leaves = seen.stream(LEAVES, log, named=False)
    for number in itertools.count():
        chunk = list(itertools.islice(leaves, WIDTH))
        if not chunk:
            break
        hashes = tree.add([_hashed(report, log, number * WIDTH + n, row) for n, row in enumerate(chunk)])
        same_number = stored is not None and stored[0] == number
        tree.tile(Tile(0, number), stored[1] if same_number and stored else None, hashes)
        stored = next(tiles, None) if same_number else stored
        tick(len(chunk))
    for row in itertools.chain([stored] if stored else [], tiles):
        report.find("tree", "TILE_BEYOND", f"tile 0/{row[0]}", "no entry belongs to it", log=log)
    upper = seen.rows("SELECT level, number, hashes FROM tile WHERE log = %s AND level <> 0", log)
    tree.upper_tiles({Tile(row.level, row.number): row.hashes for row in upper})
    return tree


def _hashed(report: VerificationReport, log: str, index: int, row: tuple[int, bytes | None, bytes | None]) -> bytes:
    """The hash of a stored leaf. The stored hash is compared, never trusted."""
    placed, leaf, stored = row
    if placed != index:
        report.find("tree", "INDEX_GAP", f"sequenced {log}/{placed}", f"expected index {index}", log=log, index=index)
    if leaf is None:
        report.find(
            "tree", "ENTRY_MISSING", f"sequenced {log}/{placed}", "its entry is not there", log=log, index=index
        )
        return bytes(32)
    hashed = leaf_hash(leaf)
    if stored != hashed:
        report.find("rows", "HASH_DIFFERS", "entry.leaf_hash", "it is not the hash of the leaf", log=log, index=index)
    return hashed


def _sizes(report: VerificationReport, tree: TreeCheck, head: HeadRow, roots: Mapping[int, bytes], log: str) -> None:
    if tree.size != head.size:
        code = "TAIL_CUT" if tree.size < head.size else "BEYOND_HEAD"
        says = f"{tree.size} entries have an index, the head says {head.size}"
        report.find("tree", code, f"log {log}", says, log=log, index=min(tree.size, head.size))
    for size in roots:
        if size > tree.size:
            report.find(
                "tree", "CHECKPOINT_BEYOND", f"checkpoint {log}/{size}", "larger than the log", log=log, index=size
            )


def _known(report: VerificationReport, tree: TreeCheck, trust: Trust, log: str) -> None:
    """Step 3: what the verifier and the signer remember is the beginning of this log."""
    report.begin("history")
    for what, earlier in _remembered(trust, log):
        tree.follows(earlier, f"{what} checkpoint of {log}")


def _remembered(trust: Trust, log: str) -> list[tuple[str, Checkpoint]]:
    signed = trust.signed.get(log)
    signed_last = Checkpoint(trust.keys[log].name, signed.size, signed.root) if signed else None
    checkpoints = (("remembered", trust.remembered.get(log)), ("signer's", signed_last))
    return [(what, checkpoint) for what, checkpoint in checkpoints if checkpoint is not None]


def check_queue(report: VerificationReport, seen: Snapshot) -> None:
    """Step 11: every entry is sequenced or pending, in its own log.
    No row belongs to a log that does not exist.
    """
    for name in OF_A_LOG:
        for row in seen.rows(f"SELECT DISTINCT log FROM {name} WHERE log NOT IN (SELECT name FROM log)"):
            report.find("rows", "ROW_OF_NO_LOG", f"{name} {row.log}", "there is no such log")
    for sql, code, says in (
        (LOST, "ENTRY_LOST", "it is neither in the log nor waiting for it"),
        (DANGLING, "PENDING_NOTHING", "what waits is not there"),
        (TWICE, "PENDING_TWICE", "it waits for an index that it has"),
        (STRAY, "ENTRY_IN_ANOTHER_LOG", "its row names another log"),
        (ASIDE, "ENTRY_SET_ASIDE", "it waited a second time, or in the other log's queue: the sequencer took it out"),
    ):
        for row in seen.stream(sql):
            report.find("rows", code, f"entry {row.id}", says, log=row.log)
