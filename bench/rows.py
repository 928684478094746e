"""The rows of one stage post, with invented values: the same statement as the service sends, for the floor."""

import os
from datetime import UTC, date, datetime
from functools import cache
from typing import Any
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb
from uuid_utils.compat import uuid7

from app.access.trail import INSERT_ACCESS
from app.cases.projecting import KEEP_KEY, MOVE_CASE, OPEN_STAGE, POST_STAGE
from app.database import Statement, joined
from app.ledger.append import INSERT_ENTRY, INSERT_PENDING
from app.vault.seal import INSERT_PAYLOAD

PARTS = (INSERT_PAYLOAD, INSERT_ENTRY, INSERT_PENDING, POST_STAGE, OPEN_STAGE, MOVE_CASE, KEEP_KEY, INSERT_ACCESS)
LEAF = 700  # bytes: what a leaf of a stage post comes to


@cache
def _sql() -> str:
    return joined(PARTS)


def rows_of_a_post(case: UUID, body: dict[str, Any]) -> tuple[str, list[Any]]:
    """The statement and its values; `case` is one that the service has opened, with `verifikasi_satgas` open."""
    entry, now, today = uuid4(), datetime.now(UTC), date(2024, 10, 18)
    members = {
        "entry_id": entry, "part": "content", "content": Jsonb(body), "salt": os.urandom(32), "id": entry, "log": "cases",
        "type": "stage.posted", "case_id": case, "seq": 2, "party": "bkn", "received_at": now, "leaf": os.urandom(LEAF),
        "b_case": case, "b_stage": "verifikasi_satgas", "b_round": 1, "status": "posted", "outcome": "lolos",
        "facts": Jsonb({"decided_on": "2024-10-18"}), "posted_at": now, "posted_by": "bkn", "posted_seq": 2,
        "posted_entry_id": entry, "stage": "kajian_bawaslu", "round": 1, "owner": "bawaslu", "recorder": None,
        "after": "verifikasi_satgas.lolos", "opened_on": today, "opened_at": now, "due_on": today, "due": Jsonb({}),
        "conditions": [], "open_stages": ["kajian_bawaslu"], "acted": ["bkn"], "reached_ppk": False, "version": 2,
        "head_hash": os.urandom(32), "updated_at": now, "closed_at": None, "last_entry_id": entry, "agency_code": "7600",
        "identified": True, "subject_entry_id": entry, "client_id": "bkn-sandbox", "key": uuid4(),
        "fingerprint": os.urandom(32), "at": now, "request_id": uuid7(), "actor": None, "operation": "post", "purpose": None,
        "case_ids": [case], "code": None,
    }  # fmt: skip
    return _sql(), [value for part in PARTS for value in _values(part, members)]


def _values(part: Statement, members: dict[str, Any]) -> list[Any]:
    changes: dict[Statement, dict[str, Any]] = {
        OPEN_STAGE: {"status": "open"},
        MOVE_CASE: {"status": "di_bawaslu"},
        INSERT_ACCESS: {"status": 201, "id": uuid7()},
    }
    return part.values(members | changes.get(part, {}))
