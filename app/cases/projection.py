"""Turn a move of the rules into rows; the second of a write's two statements carries all of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb
from sqlalchemy import bindparam, insert, update
from sqlalchemy.dialects.postgresql import insert as upsert

from app.cases.locking import WriteIdentity
from app.cases.models import CaseRow, Idempotency, StageRow
from app.database.batches import StatementBatch
from app.database.statements import Statement
from app.ledger.append import Appended
from app.procedure.deadlines import Calendar, Due, due
from app.procedure.loading import rulebook
from app.procedure.model import Procedure
from app.procedure.rules import Move
from app.procedure.state import CaseState, StageState

S = StageRow.__table__.c
C = CaseRow.__table__.c
OPENED = (
    "case_id",
    "stage",
    "round",
    "status",
    "owner",
    "recorder",
    "after",
    "opened_on",
    "opened_at",
    "due_on",
    "due",
    "extended",
    "paused_from",
    "paused_until",
    "handlers",
    "passed_entry_id",
    "facts",
    "content_entry_id",
    "flags",
    "entry_id",
)
CLOCK = ("due_on", "due", "extended", "paused_from", "paused_until", "handlers", "passed_entry_id")
RECLOCKED = ("after", "opened_on", *CLOCK, "entry_id")
POSTED = (
    "status",
    "outcome",
    "facts",
    "posted_at",
    "posted_by",
    "posted_seq",
    "posted_entry_id",
    "content_entry_id",
    "flags",
)
MOVED = (
    "status",
    "conditions",
    "open_stages",
    "acted",
    "reached_ppk",
    "version",
    "head_hash",
    "updated_at",
    "closed_at",
    "last_entry_id",
    "agency_code",
    "identified",
    "subject_entry_id",
    "successors",
)

_insert_stage = upsert(StageRow).values({c: bindparam(c) for c in OPENED})
OPEN_STAGE = Statement(
    _insert_stage.on_conflict_do_update(
        index_elements=["case_id", "stage", "round"],
        set_={c: getattr(_insert_stage.excluded, c) for c in RECLOCKED},
    )
)
_this_round = (S.case_id == bindparam("b_case"), S.stage == bindparam("b_stage"), S.round == bindparam("b_round"))
POST_STAGE = Statement(update(StageRow).where(*_this_round).values({c: bindparam(c) for c in POSTED}))
PASSED = Statement(update(StageRow).where(*_this_round).values(passed_entry_id=bindparam("passed_entry_id")))
FLAG_ROUND = Statement(update(StageRow).where(*_this_round).values(flags=bindparam("flags")))
FACTS = ("facts", "content_entry_id", "flags")
CORRECT_ROUND = Statement(update(StageRow).where(*_this_round).values({c: bindparam(c) for c in FACTS}))
RECORD_RECEIPT = Statement(update(StageRow).where(*_this_round).values(facts=bindparam("facts")))
SKIP_STAGE = Statement(update(StageRow).where(*_this_round).values(status="skipped"))
INSERT_STAGE_POSTED = Statement(insert(StageRow).values({c: bindparam(c) for c in dict.fromkeys((*OPENED, *POSTED))}))
MOVE_CASE = Statement(update(CaseRow).where(C.id == bindparam("b_case")).values({c: bindparam(c) for c in MOVED}))
KEPT = ("acted", "version", "head_hash", "updated_at", "last_entry_id")
TOUCH_CASE = Statement(update(CaseRow).where(C.id == bindparam("b_case")).values({c: bindparam(c) for c in KEPT}))
INSERT_CASE = Statement(insert(CaseRow).values({c.name: bindparam(c.name) for c in CaseRow.__table__.columns}))
_COLUMNS = [c.name for c in CaseRow.__table__.columns if c.name not in ("number", "head_hash")]
# Number and leaf as PostgreSQL made them (app.ledger.append.FILLED).
INSERT_NUMBERED_CASE = Statement(
    f"INSERT INTO cases ({', '.join(_COLUMNS)}, number, head_hash)"
    f" SELECT {', '.join(f':{name}' for name in _COLUMNS)}, value, sha256(decode('00', 'hex') || leaf) FROM filled"
)
KEEP_KEY = Statement(insert(Idempotency).values({c.name: bindparam(c.name) for c in Idempotency.__table__.columns}))


@dataclass(frozen=True, slots=True)
class Dated:
    """An opened stage with its due date.
    `passed`: the entry that says that this date has passed, if it still has.
    """

    stage: StageState
    due: Due
    passed: UUID | None = None


def dated(move: Move, calendar: Calendar, passed: Mapping[tuple[str, int], UUID | None], today: date) -> list[Dated]:
    """The due date of every stage that a move opened or whose clock it set.
    `passed`: the entry that says that the due date of a round has passed, by stage and round number.
    """
    procedure = rulebook().procedures[move.case.procedure]
    dates = []
    for stage in move.opened:
        made, key = due_of(procedure, move.case, stage, calendar), (stage.stage, stage.round)
        restarted = key not in move.kept or made.on is None or made.on >= today
        dates.append(Dated(stage, made, None if restarted else passed.get(key)))
    return dates


def due_of(procedure: Procedure, case: CaseState, stage: StageState, calendar: Calendar) -> Due:
    return due(procedure, case, stage, calendar, rulebook().vocabulary.no_receipt_days)


def in_leaf(
    move: Move,
    opened: list[Dated],
    since: Mapping[tuple[str, int], str],
    owners: Mapping[str, str],
    calendar: Calendar,
) -> dict[str, Any]:
    """What the leaf records of a move: the stages it opened, skipped and left open.
    This is enough to replay the order of stages without a payload.
    `since`: when a stage was opened that only got a new clock.
    `owners`: who must act on each stage. `calendar`: the calendar that counted the days.
    """
    return {
        "opens": [
            {
                "stage": d.stage.stage,
                "round": d.stage.round,
                "due_on": d.due.on.isoformat() if d.due.on else None,
                "since": since.get((d.stage.stage, d.stage.round)),
                "owner": owners[d.stage.stage],
            }
            for d in opened
        ],
        "skips": [{"stage": s.stage, "round": s.round} for s in move.dropped],
        "status": move.status,
        "open": open_codes(move.case),
        "calendar": calendar.version,
    }


def open_codes(case: CaseState) -> list[str]:
    """Codes of the open stages, in the order of the procedure's list."""
    codes = set(case.open_codes())
    return [c for c in rulebook().procedures[case.procedure].stages if c in codes]


def project_stages(batch: StatementBatch, case_id: UUID, move: Move, opened: list[Dated], entry: Appended) -> None:
    for round_ in opened:
        batch.add(OPEN_STAGE, **opened_row(case_id, move.case, round_, entry))
    for gone in move.dropped:
        batch.add(SKIP_STAGE, b_case=case_id, b_stage=gone.stage, b_round=gone.round)


def opened_row(case_id: UUID, case: CaseState, opened: Dated, entry: Appended) -> dict[str, Any]:
    stage = rulebook().procedures[case.procedure].stages[opened.stage.stage]
    return {
        "case_id": case_id,
        "stage": stage.code,
        "round": opened.stage.round,
        "status": "open",
        "owner": stage.owner,
        "recorder": stage.recorder,
        "after": opened.stage.after,
        "opened_on": opened.stage.opened_on,
        "opened_at": entry.received_at,
        "due_on": opened.due.on,
        "due": Jsonb(opened.due.explained()),
        **clock_columns(opened.stage),
        "passed_entry_id": opened.passed,
        "facts": Jsonb({}),
        "content_entry_id": None,
        "flags": Jsonb([]),
        "entry_id": entry.id,
    }


def clock_columns(stage: StageState) -> dict[str, Any]:
    since, until = stage.paused or (None, None)
    handlers = list(stage.handlers)
    return {"extended": stage.extended, "paused_from": since, "paused_until": until, "handlers": handlers}


def posted_row(facts: dict[str, Any], outcome: str, party: str, seq: int, entry: Appended) -> dict[str, Any]:
    return {
        "status": "posted",
        "outcome": outcome,
        "facts": Jsonb(facts),
        "posted_at": entry.received_at,
        "posted_by": party,
        "posted_seq": seq,
        "posted_entry_id": entry.id,
        "content_entry_id": entry.id,
        "flags": Jsonb([]),
    }


def keep_key(batch: StatementBatch, request: WriteIdentity, fingerprint: bytes, entry: Appended) -> None:
    batch.add(KEEP_KEY, client_id=request.client, key=request.key, fingerprint=fingerprint, entry_id=entry.id)


def closed_at(move: Move, before: datetime | None, entry: Appended) -> datetime | None:
    """When the case was closed, after this move.
    `before`: the closing time before the move; a move that opens and closes nothing keeps it.
    """
    if move.closed:
        return entry.received_at
    return None if move.case.open_codes() else before
