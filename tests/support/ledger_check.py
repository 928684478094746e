"""Re-checks the log from the outside: every hash, every chain, every row against its entry. Used after each step that writes."""

import base64
import hashlib
import json
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

Query = Callable[..., list[Any]]


def check_log(query: Query, case: str | None = None) -> None:
    """All of it, or the chain of one case."""
    if case is None:
        _check_order(query)
    where = "WHERE case_id = %s" if case else ""
    values = [case] if case else []
    entries = query(f"SELECT * FROM entry {where} ORDER BY case_id, seq", *values)
    assert entries, "an empty log proves nothing"
    chains: dict[Any, list[Any]] = defaultdict(list)
    for entry in entries:
        assert hashlib.sha256(b"\x00" + entry.leaf).digest() == entry.leaf_hash
        leaf = json.loads(entry.leaf)
        assert (leaf["id"], leaf["type"], leaf["party"]) == (str(entry.id), entry.type, entry.party)
        if entry.case_id:
            chains[entry.case_id].append(entry)
    for chain in chains.values():
        _check_chain(chain)
    _check_rows(query, chains)


def _check_order(query: Query) -> None:
    """Once the queue is empty: indexes from 0, no gap, each entry once."""
    deadline = time.monotonic() + 60
    while query("SELECT 1 FROM pending WHERE log = 'cases' LIMIT 1"):
        assert time.monotonic() < deadline, "the sequencer does not come after"
        time.sleep(0.02)
    for log in ("cases", "access"):
        _check_tree(query, log)
    unplaced = query("SELECT id FROM entry e WHERE NOT EXISTS (SELECT 1 FROM sequenced s WHERE s.entry_id = e.id)"
                     " AND NOT EXISTS (SELECT 1 FROM pending p WHERE p.entry_id = e.id)")  # fmt: skip
    assert not unplaced, "an entry is neither placed nor waiting"
    later = query(
        "SELECT 1 FROM entry a JOIN entry b ON a.case_id = b.case_id AND b.seq = a.seq + 1"
        " JOIN sequenced sa ON sa.entry_id = a.id JOIN sequenced sb ON sb.entry_id = b.id"
        " WHERE sa.leaf_index > sb.leaf_index"
    )
    assert not later, "the order within a case was not kept"


def _check_tree(query: Query, log: str) -> None:
    """The newest signed checkpoint is over exactly the entries in their order; its root by a recursion of our own."""
    rows = query("SELECT s.leaf_index, e.leaf FROM sequenced s JOIN entry e ON e.id = s.entry_id"
                 " WHERE s.log = %s ORDER BY s.leaf_index", log)  # fmt: skip
    assert [row.leaf_index for row in rows] == list(range(len(rows)))
    (note,) = query("SELECT size, note FROM published WHERE log = %s ORDER BY size DESC LIMIT 1", log)
    assert note.size <= len(rows)
    hashes = [hashlib.sha256(b"\x00" + row.leaf).digest() for row in rows[: note.size]]
    assert note.note.split("\n")[2] == base64.b64encode(naive_root(hashes)).decode()


def naive_root(hashes: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, word by word."""
    if len(hashes) < 2:
        return hashes[0] if hashes else hashlib.sha256(b"").digest()
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return hashlib.sha256(b"\x01" + naive_root(hashes[:split]) + naive_root(hashes[split:])).digest()


def _b64u(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _check_chain(chain: list[Any]) -> None:
    previous = None
    for number, entry in enumerate(chain, 1):
        leaf = json.loads(entry.leaf)
        assert entry.seq == leaf["seq"] == number
        assert leaf["prev"] == (_b64u(previous.leaf_hash) if previous else None)
        previous = entry


def _check_rows(query: Query, chains: dict[Any, list[Any]]) -> None:
    """The projections say what the entries say: version, head, status, open stages, and who posted what."""
    for case in query("SELECT * FROM cases WHERE id = ANY(%s)", list(chains)):
        last = chains[case.id][-1]
        leaf = json.loads(last.leaf)
        assert (case.version, case.head_hash, case.last_entry_id) == (last.seq, last.leaf_hash, last.id)
        assert (case.status, case.open_stages) == (leaf["status"], leaf["open"])
        open_now = query("SELECT stage FROM stage WHERE case_id = %s AND status = 'open'", case.id)
        assert sorted(row.stage for row in open_now) == sorted(leaf["open"])
    posted = query("SELECT * FROM stage WHERE status = 'posted' AND case_id = ANY(%s)", list(chains))
    for row in posted:
        entry = chains[row.case_id][max(row.posted_seq, 1) - 1]
        leaf = json.loads(entry.leaf)
        if leaf["type"] == "case.imported":  # all its posts came with one entry: the replay of the audit looks at them
            assert row.posted_entry_id == entry.id
            continue
        assert (leaf["stage"], leaf["round"], leaf["outcome"]) == (row.stage, row.round, row.outcome)
        assert (row.posted_entry_id, row.posted_by) == (entry.id, entry.party)
