"""The rows of one stage post, with invented values: the same statement as the service sends, for the floor."""

import os
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb
from uuid_utils.compat import uuid7

from app.access.trail import INSERT_ACCESS
from app.cases.projection import KEEP_KEY, MOVE_CASE, OPEN_STAGE, POST_STAGE
from app.database.batches import joined
from app.database.statements import Statement
from app.ledger.append import INSERT_ENTRY, INSERT_PENDING
from app.vault.seal import INSERT_PAYLOAD

LEAF, ACCESS_LEAF, CIPHERTEXT = 1500, 520, 450  # bytes: what a stage post comes to
Rows = list[tuple[Statement, dict[str, Any]]]


def rows_of_a_post(case: UUID, body: dict[str, Any]) -> tuple[str, list[Any]]:
    """The statement and its values; `case` is one that the service has opened, with `verifikasi_satgas` open."""
    del body  # what it says does not matter to the floor
    entry = uuid4()
    rows = _log(case, entry) + _projections(case, entry)
    return joined(tuple(("", part) for part, _ in rows)), [value for part, row in rows for value in part.values(row)]


def _log(case: UUID, entry: UUID) -> Rows:
    """The entry with two sealed parts, its leaf in the access log, and their places in the queue."""
    look, now = uuid4(), datetime.now(UTC)
    common = {"party": "bkn", "received_at": now}
    leaf = {"id": entry, "log": "cases", "type": "stage.posted", "case_id": case, "seq": 2, "leaf": os.urandom(LEAF)}
    seen = {
        "id": look,
        "log": "access",
        "type": "access",
        "case_id": None,
        "seq": None,
        "leaf": os.urandom(ACCESS_LEAF),
    }
    sealed = {"entry_id": entry, "key_id": uuid4()}
    asked = {
        "operation": "post",
        "purpose": None,
        "stage": "verifikasi_satgas",
        "status": 201,
        "code": None,
        "actor": None,
    }
    access = {**asked, "entry_id": look, "at": now, "request_id": uuid7(), "party": "bkn", "client_id": "bkn-sandbox"}
    return [
        (INSERT_PAYLOAD, {**sealed, "part": "content", "ciphertext": os.urandom(CIPHERTEXT)}),
        (INSERT_PAYLOAD, {**sealed, "part": "summary", "ciphertext": os.urandom(CIPHERTEXT)}),
        (INSERT_ENTRY, leaf | common),
        (INSERT_PENDING, {"log": "cases", "entry_id": entry}),
        (INSERT_ENTRY, seen | common),
        (INSERT_PENDING, {"log": "access", "entry_id": look}),
        (INSERT_ACCESS, {**access, "case_ids": [case]}),
    ]


def _projections(case: UUID, entry: UUID) -> Rows:
    now, today = datetime.now(UTC), date(2024, 10, 18)
    members = {
        "b_case": case, "b_stage": "verifikasi_satgas", "b_round": 1, "status": "posted", "outcome": "lolos",
        "facts": Jsonb({"decided_on": "2024-10-18"}), "posted_at": now, "posted_by": "bkn", "posted_seq": 2,
        "posted_entry_id": entry, "stage": "kajian_bawaslu", "round": 1, "owner": "bawaslu", "recorder": None,
        "after": "verifikasi_satgas.lolos", "opened_on": today, "opened_at": now, "due_on": today, "due": Jsonb({}),
        "conditions": [], "open_stages": ["kajian_bawaslu"], "acted": ["bkn"], "reached_ppk": False, "version": 2,
        "head_hash": os.urandom(32), "updated_at": now, "closed_at": None, "last_entry_id": entry, "agency_code": "7600",
        "identified": True, "subject_entry_id": entry, "client_id": "bkn-sandbox", "key": uuid4(), "case_id": case,
        "fingerprint": os.urandom(32), "entry_id": entry, "content_entry_id": entry, "flags": Jsonb([]), "successors": Jsonb({}),
        "extended": 0, "paused_from": None, "paused_until": None, "handlers": [], "passed_entry_id": None,
    }  # fmt: skip
    return [
        (POST_STAGE, members),
        (OPEN_STAGE, members | {"status": "open"}),
        (MOVE_CASE, members | {"status": "di_bawaslu"}),
        (KEEP_KEY, members),
    ]
