"""Import an older case: one line, one transaction, one entry. Its business dates are those of the line, its log time is now."""

import json
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb
from pydantic import ValidationError
from uuid_utils.compat import uuid7

from app import clock
from app.cases import charging, checks, duplicates, opening, posting, projecting
from app.cases.act import Act
from app.cases.bodies import MODELS
from app.cases.entering import asked, owners
from app.cases.import_schemas import ImportedCase, Past
from app.cases.locking import next_number
from app.cases.models import StageRow
from app.cases.number import case_number
from app.cases.past import PastPost, PastPostError, Walked, case_columns, decider, stage_rows, walk
from app.cases.sealing import EntryParts
from app.database import Statement, Together
from app.errors import Flaw, UnknownReference, ValidationFailed
from app.ledger.append import Appended, Link, append
from app.ledger.canonical import read_leaf
from app.problems import flaw_of
from app.procedure import views
from app.procedure.loading import rulebook
from app.procedure.model import Procedure, Stage
from app.procedure.state import CaseState
from app.vault.seal import NOBODY, REPORTER, SUBJECT, new_key

COLUMNS = ", ".join(c.name for c in StageRow.__table__.columns)
# one statement however many rounds a case had
INSERT_STAGES = Statement(
    f"INSERT INTO stage ({COLUMNS}) SELECT {COLUMNS} FROM jsonb_populate_recordset(NULL::stage, CAST(:rows AS jsonb))"
)
INSERT_CASE = projecting.INSERT_CASE


@dataclass(frozen=True, slots=True)
class Imported:
    """What a line became. `known`: it was there from an earlier try."""

    case_id: UUID
    entry_id: UUID
    known: bool


async def import_case(act: Act, line: ImportedCase, batch: Together) -> Imported:
    """`batch`: what else must be on record with it, in the same statement."""
    procedure = _procedure(line)
    opening.require_known(line)
    charging.require_phase(
        line.election, line.contest, line.incident.occurred_on, line.violations, "/violations", line.phase_override
    )
    locked = await next_number(act.session, act.vault, act.request)
    if locked.replay is not None:
        leaf = read_leaf(locked.replay)
        return Imported(UUID(leaf["case"]), UUID(leaf["id"]), known=True)
    bodies = [_body(procedure, n, past) for n, past in enumerate(line.posts)]
    posts = _past(act, procedure, line, bodies)
    try:
        walked = walk(_empty(procedure, line), posts, act.calendar)
    except PastPostError as error:
        raise _at(error) from None
    await duplicates.require_new(act, line, locked.row.epoch)
    return await _record(act, locked, line, procedure, bodies, posts, walked, batch)


def _procedure(line: ImportedCase) -> Procedure:
    """The one that is named, which only an import may do, or the one in force on the day of receipt."""
    if line.procedure is None:
        return opening.governing(line)
    if line.report.received_on > clock.today():
        raise ValidationFailed(checks.in_future("/report/received_on"))
    found = rulebook().procedures.get(line.procedure)
    if found is None:
        raise UnknownReference(checks.unknown_code("/procedure"))
    if found.valid_to is not None and line.report.received_on > found.valid_to:
        text_id, text_en = (
            f"Prosedur ini berlaku sampai {found.valid_to}.",
            f"This procedure ended on {found.valid_to}.",
        )
        raise ValidationFailed(Flaw("/report/received_on", "NO_PROCEDURE", text_id, text_en))
    return found


def _body(procedure: Procedure, n: int, past: Past) -> dict[str, Any]:
    """The content of a post, by the model of its stage."""
    stage, where = procedure.stages.get(past.stage), f"/posts/{n}"
    if stage is None:
        raise UnknownReference(checks.unknown_code(f"{where}/stage"))
    try:
        found = MODELS[stage.model].model_validate(past.body).stored()
    except ValidationError as error:
        flaws = [flaw_of({**e, "loc": ("body", *e["loc"])}) for e in error.errors()]
        raise ValidationFailed(*(Flaw(f"{where}/body{f.pointer}", f.code, f.id, f.en) for f in flaws)) from None
    checks.require_sound(found, known_of=f"{where}/body")
    if past.outcome not in stage.outcomes:
        raise UnknownReference(checks.unknown_code(f"{where}/outcome"))
    checks.require_complete(stage, past.outcome, found, f"{where}/body")
    return found


def _past(act: Act, procedure: Procedure, line: ImportedCase, bodies: list[dict[str, Any]]) -> list[PastPost]:
    known, employer = act.caller.snapshot, line.subject.agency_code
    found = []
    for past, body in zip(line.posts, bodies, strict=True):
        stage = procedure.stages[past.stage]
        employer = _employer(stage, past, body) or employer
        day = date.fromisoformat(body["decided_on"])
        party = decider(known.mandates, known.parties, stage, day, act.caller.party)
        facts = views.in_summary(rulebook().vocabulary, body)
        found.append(PastPost(past.stage, past.outcome, facts, party, employer))
    return found


def _employer(stage: Stage, past: Past, body: dict[str, Any]) -> str | None:
    named = posting.effective_members(stage, posting.Post(past.stage, past.outcome, body)).get("new_agency_code")
    return str(named) if named else None


def _empty(procedure: Procedure, line: ImportedCase) -> CaseState:
    regime = str(rulebook().catalogue.codes("elections")[line.election]["regime"])
    report, employer = line.report, line.subject.agency_code
    return CaseState(procedure.code, regime, report.kind, report.received_on, employer, ())


def _at(error: PastPostError) -> ValidationFailed:
    text_id, text_en = error.why.title_id, error.why.title_en
    allowed = error.why.members.get("allowed")
    more = f" ({', '.join(allowed)})" if allowed else ""
    return ValidationFailed(Flaw(f"/posts/{error.n}", error.why.code, text_id + more, text_en + more))


async def _record(
    act: Act,
    locked: Any,
    line: ImportedCase,
    procedure: Procedure,
    bodies: list[dict[str, Any]],
    posts: list[PastPost],
    walked: Walked,
    batch: Together,
) -> Imported:
    case_id, entry_id, epoch = uuid7(), uuid4(), locked.row.epoch
    number = case_number(clock.today().year, locked.row.serial)
    persons = [SUBJECT, NOBODY, *([REPORTER] if line.report.reporter else [])]
    keys = {person: new_key(batch, act.vault, epoch, case_id, person) for person in persons}
    parts = EntryParts(batch, act, case_id, entry_id, keys, epoch)
    _seal(parts, line, bodies, posts, walked)
    fingerprint = act.request.fingerprint(keys[SUBJECT])
    at = clock.now()
    entry = append(
        batch,
        type_="case.imported",
        party=act.caller.party,
        received_at=at,
        link=Link(case_id, 1, None),
        client=act.caller.client_id,
        actor=act.caller.actor,
        says={**_says(act, line, procedure, number, posts, walked), **asked(act, fingerprint)},
        parts=parts.done,
        entry_id=entry_id,
    )
    batch.add(INSERT_CASE, **_row(act, line, procedure, number, walked, entry, case_id))
    rows = stage_rows(case_id, walked, entry)
    batch.add(INSERT_STAGES, rows=json.dumps(rows, default=_text))
    projecting.keep_key(batch, act.request, fingerprint, entry)
    return Imported(case_id, entry_id, known=False)


def _text(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _seal(
    parts: EntryParts, line: ImportedCase, bodies: list[dict[str, Any]], posts: list[PastPost], walked: Walked
) -> None:
    subject, state = line.subject, walked.move.case
    parts.name({"nip": subject.nip, "nik": subject.nik, "name": subject.name})
    whole = [{"stage": p.stage, "outcome": p.outcome, "body": b} for p, b in zip(posts, bodies, strict=True)]
    shown = [{"stage": p.stage, "outcome": p.outcome, "body": p.facts} for p in posts]
    outline = {**opening.outline(line), "agency_code": state.agency_code}
    parts.seal("content", "Import", {**opening.account(line), "posts": whole}, of="import_")
    parts.seal("summary", "Import", {**outline, "first_agency_code": subject.agency_code, "posts": shown}, of="import_")
    if line.report.reporter is not None:
        parts.seal("reporter", None, line.report.reporter.model_dump(mode="json", exclude_none=True))


def _says(
    act: Act, line: ImportedCase, procedure: Procedure, number: str, posts: list[PastPost], walked: Walked
) -> dict[str, Any]:
    move = walked.move
    opened = [walked.dues[s.stage, s.round] for s in move.opened]
    left = projecting.in_leaf(
        move, opened, {}, owners(act.caller, move, opening.nobody(act.caller.party)), act.calendar
    )
    return {
        "number": number,
        "procedure": procedure.code,
        "election": line.election,
        "received_on": line.report.received_on.isoformat(),
        "overrides": opening.overrides(line),
        "posts": [
            {"stage": p.stage, "round": n, "outcome": p.outcome, "party": p.party}
            for p, n in zip(posts, walked.rounds, strict=True)
        ],
        **left,
    }


def _row(
    act: Act, line: ImportedCase, procedure: Procedure, number: str, walked: Walked, entry: Appended, case_id: UUID
) -> dict[str, Any]:
    outline = {n: v for n, v in opening.outline(line).items() if n != "occurred_on"}
    at = entry.received_at
    return {
        **outline,
        "occurred_on": line.incident.occurred_on,
        "id": case_id,
        "number": number,
        "procedure": procedure.code,
        "election": line.election,
        "received_on": line.report.received_on,
        "opened_by": act.caller.party,
        "successors": Jsonb({}),
        **case_columns(walked, act.caller.party),
        "version": 1,
        "head_hash": entry.leaf_hash,
        "opened_at": at,
        "updated_at": at,
        "closed_at": at if walked.move.closed else None,
        **dict.fromkeys(("entry_id", "last_entry_id", "subject_entry_id"), entry.id),
    }
