"""Read one case, one of its stages, or its history.
Every query selects through the one visibility predicate.
"""

import base64
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from app.access import policy
from app.cases import showing
from app.cases.acts import ACTS
from app.cases.case import Case, Round
from app.cases.charging import sanction_of
from app.cases.contents import contents, open_contents
from app.cases.context import ReadContext
from app.cases.deadlines.explanation import explain, flags, state_now, when_overdue
from app.cases.due_schemas import NextStep
from app.cases.reading.visible_fields import CONTENT, REPORTER, SUBJECT, TEXT, stage_view, visible_fields
from app.cases.schemas import CaseView, EntryRef, History, HistoryEntry, RoundView, StageView
from app.cases.visibility import STAGES, VISIBLE, seen_by
from app.database.statements import Row, Statement
from app.errors import NotFound
from app.http import paging
from app.ledger.canonical import read_leaf
from app.ledger.parts import unb64u
from app.procedure import rules
from app.procedure.loading import rulebook
from app.procedure.model import Stage
from app.procedure.state import CaseState
from app.procedure.views import FULL, STATUS
from app.vault.opening import JOINED, SEALED_COLUMNS, SealedRow, show_row

CASE = Statement[Row](f"SELECT c.*, {STAGES} FROM cases c WHERE c.id = :case_id AND {VISIBLE}")
SEALED = Statement[SealedRow](
    f"""
        SELECT {SEALED_COLUMNS} FROM {JOINED}
        WHERE (CAST(:subject AS boolean) AND p.part = 'subject' AND p.entry_id = :subject_entry)
           OR (CAST(:reporter AS boolean) AND p.part = 'reporter' AND p.entry_id = :first_entry)
           OR (CAST(:account AS boolean) AND p.part = 'content' AND p.entry_id = :first_entry)
        """
)


class HistoryRow(Protocol):
    """One entry of a case; `leaf_index` is None until the entry is in the log."""

    id: UUID
    leaf: bytes
    leaf_hash: bytes
    seq: int
    type: str
    party: str
    received_at: datetime
    leaf_index: int | None


HISTORY = Statement[HistoryRow](
    f"""
        SELECT e.id, e.leaf, e.leaf_hash, e.seq, e.type, e.party, e.received_at, s.leaf_index
        FROM entry e LEFT JOIN sequenced s ON s.entry_id = e.id JOIN cases c ON c.id = e.case_id
        WHERE e.case_id = :case_id AND e.seq > :after AND {VISIBLE} ORDER BY e.seq LIMIT :limit
        """
)


# Members that an entry shows beside its stage and outcome, as its leaf names them.
SAYS = ("letter", "pause", "changed", "flags", "role", "from", "to", "due_on", "was", "opens", "skips")


async def find(read: ReadContext, case_id: UUID) -> Case:
    """The case with its stages; 404 also for a case that the caller may not see."""
    rows = await read.session.run(CASE, case_id=case_id, **seen_by(read.caller))
    if not rows:
        raise NotFound
    read.trail.shows(case_id)
    return Case.of(rows[0])


async def show_case(read: ReadContext, case_id: UUID) -> CaseView:
    case = await find(read, case_id)
    return showing.full_view(read.caller, case, await _sealed(read, case), steps(read, case), read.language)


def steps(read: ReadContext, case: Case) -> list[NextStep]:
    """The open stages: whose turn, since when, until when and why, and what happens then."""
    state, facts, stages = case.state, case.access_facts, case.its_procedure.stages
    order = list(stages)
    running = sorted(case.open_rounds(), key=lambda round_: order.index(round_.stage))
    return [
        NextStep(
            stage=round_.stage,
            round=round_.round,
            **showing.turn_members(read.caller, stages[round_.stage], facts),
            since=round_.opened_on,
            opened_at=round_.opened_at,
            due_on=round_.due_on,
            state=state_now(read, round_),
            due=explain(read, state, round_),
            when_overdue=when_overdue(read, state, round_, facts),
            outcomes=rules.allowed_outcomes(rulebook(), state, round_.stage),
            flags=flags(round_),
            yours=policy.may_post(read.caller, stages[round_.stage], facts),
        )
        for round_ in running
    ]


async def _sealed(read: ReadContext, case: Case) -> dict[str, Any]:
    """The person, the reporter and the account of the incident.
    The query selects only what the caller may see; nothing is filtered afterwards.
    """
    seen = {part: visible_fields(read.caller, case, case.first_stage, part) for part in (SUBJECT, REPORTER, CONTENT)}
    wanted = {"subject": bool(seen[SUBJECT]), "reporter": bool(seen[REPORTER]), "account": "account" in seen[CONTENT]}
    if not any(wanted.values()):
        return {}
    rows = await read.session.run(SEALED, **wanted, subject_entry=case.subject_entry_id, first_entry=case.entry_id)
    opened = {r.part: show_row(read.vault, r) for r in rows}
    fields = {part: opened_part.fields for part, opened_part in opened.items() if opened_part is not None}
    account = fields.pop("content", {}).get("account")  # this view names nothing else of the content
    return fields | ({"account": account} if account else {})


async def show_stage(read: ReadContext, case_id: UUID, code: str) -> StageView:
    """The caller's view of a stage; whole contents are selected for the full view only."""
    case = await find(read, case_id)
    read.trail.stage = code
    stage = case.its_procedure.stages.get(code)
    if stage is None:
        raise NotFound
    view = stage_view(read.caller, case, code)
    rounds = [round_ for round_ in case.rounds if round_.stage == code]
    part = CONTENT if view == FULL else TEXT
    bodies = await contents(read.session, read.vault, rounds, part) if view != STATUS else {}
    state, fields = case.state, visible_fields(read.caller, case, code, part)
    shown = [
        _round(read, case, state, round_, _body(stage, round_, view, bodies.get(round_.key, {}), fields))
        for round_ in rounds
    ]
    return StageView(
        case_id=case.id,
        stage=code,
        title=stage.label[read.language],
        owner=showing.owner_now(read.caller, stage, case.access_facts),
        recorder=showing.recorder_now(read.caller, stage, case.access_facts),
        acts_now=showing.acts_now(read.caller, stage, case.access_facts, rounds[-1] if rounds else None),
        view=view,
        latest=shown[-1] if shown else None,
        rounds=shown,
    )


def _round(read: ReadContext, case: Case, state: CaseState, round_: Round, body: dict[str, Any] | None) -> RoundView:
    entry, content = round_.posted_entry_id, round_.content_entry_id
    return RoundView(
        round=round_.round,
        status=round_.status,
        opened_at=round_.opened_at,
        opened_by=round_.after,
        due_on=round_.due_on,
        due=explain(read, state, round_),
        sanction=sanction_of(case, state, round_),
        outcome=round_.outcome,
        posted_at=round_.posted_at,
        posted_by=round_.posted_by,
        entry=EntryRef(id=entry) if entry else None,
        corrected_by=EntryRef(id=content) if content and content != entry else None,
        flags=flags(round_),
        body=body if entry else None,
    )


def _body(
    stage: Stage, round_: Round, view: str, sealed: Mapping[str, Any], fields: Collection[str]
) -> dict[str, Any] | None:
    """The body of a post, as the view allows it.
    `sealed`: content or free text, as the view requires.
    The full view names every member of the stage; a member that the caller may not see is null.
    """
    if view == STATUS:
        return None
    # The projection has the day of a receipt that was recorded after the post; after an erasure only the projection is left.
    body = {**sealed, **round_.facts}
    if view != FULL:
        return {name: value for name, value in body.items() if name in fields}
    names = {*stage.body.members, *rulebook().vocabulary.every_stage.members}
    return {name: body[name] if name in fields else None for name in sorted(names & set(body))}


async def history(read: ReadContext, case_id: UUID, limit: int, cursor: str | None) -> History:
    """Every entry of the case in order.
    The reason of an act is shown if the caller sees that stage in full.
    """
    path = f"/v1/cases/{case_id}/history"
    # first: a wrong cursor must not tell whether there is such a case
    after = paging.decode(cursor, path, {}, paging.a_number)[0] if cursor else 0
    case = await find(read, case_id)
    rows = await read.session.run(HISTORY, case_id=case_id, after=after, limit=limit + 1, **seen_by(read.caller))
    leaves = {str(row.id): read_leaf(row.leaf) for row in rows[:limit]}
    readable = [entry for entry, leaf in leaves.items() if _may_read_reason(read, case, leaf)]
    reasons = await open_contents(read.session, read.vault, readable)
    entries = [_entry(row, leaves[str(row.id)], reasons.get(str(row.id), {})) for row in rows[:limit]]
    next_key = [entries[-1].seq] if len(rows) > limit else None
    return History(data=entries, page=paging.page(read.response, path, {}, next_key, limit))


def _may_read_reason(read: ReadContext, case: Case, leaf: dict[str, Any]) -> bool:
    """Whether the caller may read the reason of this entry.
    Its author may, so may the party that takes over a role by it, and a party that sees the stage in full.
    For an entry of the case as a whole, the view of its first stage decides.
    """
    if leaf["type"] not in ACTS or not ACTS[leaf["type"]].reasoned:
        return False
    if read.caller.party in (leaf["party"], leaf.get("to")):
        return True
    return "reason" in visible_fields(read.caller, case, leaf.get("stage") or case.first_stage, CONTENT)


def _entry(row: HistoryRow, leaf: dict[str, Any], reason: dict[str, Any]) -> HistoryEntry:
    return HistoryEntry(
        seq=row.seq,
        entry=EntryRef(id=row.id),
        index=row.leaf_index,
        type=row.type,
        party=row.party,
        received_at=row.received_at,
        stage=leaf.get("stage"),
        round=leaf.get("round"),
        outcome=leaf.get("outcome"),
        says={name: leaf[name] for name in SAYS if name in leaf},
        reason=reason.get("correction_reason") or reason.get("reason"),
        documents=reason.get("documents") if leaf["type"] != "stage.corrected" else None,
        leaf_hash=base64.b64encode(row.leaf_hash).decode(),
        prev=base64.b64encode(unb64u(leaf["prev"])).decode() if leaf["prev"] else None,
        signer=leaf["client"] if leaf.get("sig") else None,
    )
