"""Import an older case: one line, one transaction, one entry.
The business dates are those of the line; the log time is now.
"""

import asyncio
import json
from collections import ChainMap
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb
from pydantic import ValidationError
from uuid_utils.compat import uuid7

from app import clock
from app.cases import charging, checks, projection, unsealed_texts
from app.cases.bodies import MODELS
from app.cases.case import regime_of
from app.cases.charging import ChargedReport
from app.cases.context import WriteContext
from app.cases.entry import append_fitting, idempotency_members, owners
from app.cases.flaws import FlawCollector
from app.cases.locking import EarlierLeaf, NewCaseGuard, guard_opening
from app.cases.models import StageRow
from app.cases.opening import duplicates, opening, preparing
from app.cases.opening.number import give_number
from app.cases.sealing import EntryParts
from app.cases.stages import post
from app.database.batches import StatementBatch
from app.database.statements import Statement
from app.errors import DomainError, Flaw, OutcomeNotAllowed, UnknownReference, ValidationFailed
from app.http.problems import flaws_of
from app.imports.replay import Deciders, PastPost, PastPostError, PastWalk, PostCheck, posts_in_summary, walk_posts
from app.imports.schemas import ImportedCase, Past
from app.ledger.append import Appended, Link
from app.ledger.canonical import read_leaf
from app.procedure import views
from app.procedure.code_lists import ReferenceBasis
from app.procedure.loading import rulebook
from app.procedure.model import Procedure, Stage
from app.procedure.state import CaseState
from app.vault.seal import NO_PERSON, REPORTER, SUBJECT, new_key

COLUMNS = ", ".join(c.name for c in StageRow.__table__.columns)
# one statement, however many rounds a case has
INSERT_STAGES = Statement(
    f"INSERT INTO stage ({COLUMNS}) SELECT {COLUMNS} FROM jsonb_populate_recordset(NULL::stage, CAST(:rows AS jsonb))"
)


@dataclass(frozen=True, slots=True)
class Imported:
    """The result of a line.
    `already`: an earlier attempt imported it.
    """

    case_id: UUID
    entry_id: UUID
    already: bool


async def import_case(write: WriteContext, line: ImportedCase, batch: StatementBatch, began: date) -> Imported:
    """Imports the case of one line.
    `batch`: what else must be on record with it, in the same statement. `began`: the first day of this ledger.
    """
    basis = preparing.basis_of_new(write.caller, line)
    procedure = _procedure(line, basis)
    preparing.require_known(line, basis)
    incident, override = line.incident, line.phase_override
    charging.require_phase(line.election, line.contest, incident.occurred_on, line.violations, "/violations", override)
    guard = await guard_opening(write.session, write.vault, write.request, write.signed, write.begin_comparison)
    if isinstance(guard, EarlierLeaf):
        leaf = read_leaf(guard)
        return Imported(UUID(leaf["case"]), UUID(leaf["id"]), already=True)
    write = await write.on(clock.day_of(guard.at))  # midnight may have passed, and a mandate with it
    bodies = []
    for n, past in enumerate(line.posts):
        bodies.append(_body(procedure, n, past, line, basis))
        await asyncio.sleep(0)  # a line of long texts takes a second: other requests run in between
    texts = [unsealed_texts.unsealed(body, f"/posts/{n}/body") for n, body in enumerate(bodies)]
    await preparing.require_report_names_nobody(
        line, dict(ChainMap(*texts)), *map(unsealed_texts.matcher_for_post, bodies)
    )
    first = procedure.stages[line.posts[0].stage]
    preparing.require_identified(line, first, line.posts[0].outcome)
    posts = _past(procedure, line, bodies)
    try:
        deciders = Deciders(write.caller.snapshot.mandates, write.caller.snapshot.parties, write.caller.party, began)
        done = walk_posts(_empty(procedure, line), posts, deciders, write.calendar, _checker(line, posts, bodies))
    except PastPostError as error:
        raise _at(error) from None
    await duplicates.require_new(write, line, guard.epoch)
    return await _record(write, guard, line, bodies, posts, done, batch)


def _procedure(line: ImportedCase, basis: ReferenceBasis) -> Procedure:
    """The procedure that the line names, or the one in force on the day of receipt.
    Only an import may name one.
    """
    if line.procedure is None:
        return preparing.governing(line, basis)
    received, procedure = line.report.received_on, rulebook().procedures.get(line.procedure)
    if received > basis.today:
        raise ValidationFailed(checks.in_future("/report/received_on"))
    if procedure is None:
        raise UnknownReference(checks.unknown_code("/procedure"))
    if not procedure.may_import(received):
        until = f"{procedure.valid_from} - {procedure.valid_to or ''}"
        text_id, text_en = f"Prosedur ini berlaku {until}.", f"This procedure was in force {until}."
        raise ValidationFailed(Flaw("/report/received_on", "NO_PROCEDURE", text_id, text_en))
    return procedure


def _body(procedure: Procedure, n: int, past: Past, line: ImportedCase, basis: ReferenceBasis) -> dict[str, Any]:
    """The content of a post, validated by the model of its stage."""
    stage, where = procedure.stages.get(past.stage), f"/posts/{n}"
    if stage is None:
        raise UnknownReference(checks.unknown_code(f"{where}/stage"))
    try:
        stored = MODELS[stage.model].model_validate(past.body).stored()
    except ValidationError as error:
        flaws = flaws_of(error.errors(), ("body",))
        raise ValidationFailed(*(Flaw(f"{where}/body{f.pointer}", f.code, f.id, f.en) for f in flaws)) from None
    collector = FlawCollector()
    with collector.collect():
        checks.require_valid_values(stored, basis, known_of=f"{where}/body")
    with collector.collect():
        checks.require_valid_in_time(stored, basis, known_of=f"{where}/body")
    with collector.collect():
        if past.outcome not in stage.outcomes:
            raise UnknownReference(checks.unknown_code(f"{where}/outcome"))
    with collector.collect():
        checks.require_complete(stage, past.outcome, stored, f"{where}/body")
    with collector.collect():
        checks.require_numbers({f"{where}/body/subject_nip": (stored.get("subject_nip"), "nip")}, line.subject.kind)
    collector.raise_collected()
    return stored


def _checker(line: ImportedCase, posts: list[PastPost], bodies: list[dict[str, Any]]) -> PostCheck:
    """The check that charges and sanctions of each post fit, as in a post of today."""
    case = ChargedReport(
        violations=line.violations,
        election=line.election,
        contest=line.contest,
        occurred_on=line.incident.occurred_on,
        subject_kind=line.subject.kind,
    )

    def check(state: CaseState, stage: Stage, post: PastPost) -> None:
        body = next(b for p, b in zip(posts, bodies, strict=True) if p is post)
        charging.require_phase_of_post(case, state, body)
        charging.require_sanction(case, state, stage.outcomes[post.outcome], body)

    return check


def _past(procedure: Procedure, line: ImportedCase, bodies: list[dict[str, Any]]) -> list[PastPost]:
    identified, posts = bool(line.subject.nip or line.subject.nik), []
    for past, body in zip(line.posts, bodies, strict=True):
        stage = procedure.stages[past.stage]
        effective = post.members_of_outcome(stage, post.Post(past.stage, past.outcome, body))
        names = post.identifies_person(effective, identified=identified)
        facts = views.in_summary(rulebook().vocabulary, body)
        posts.append(
            PastPost(past.stage, past.outcome, facts, names, post.new_employer(effective, identified=identified))
        )
        identified = identified or names
    return posts


def _empty(procedure: Procedure, line: ImportedCase) -> CaseState:
    regime = regime_of(line.election)
    report, employer = line.report, line.subject.agency_code
    return CaseState(procedure.code, regime, report.kind, report.received_on, employer, ())


def _at(error: PastPostError) -> DomainError:
    """The refusal of a post, with pointers into the line."""
    where, why = f"/posts/{error.n}", error.why
    if why.flaws and not isinstance(why, OutcomeNotAllowed):
        why.flaws = tuple(replace(f, pointer=where + f.pointer) for f in why.flaws)
        return why
    allowed = why.members.get("allowed")
    listed = f" ({', '.join(allowed)})" if allowed else ""
    return ValidationFailed(Flaw(where, why.code, why.title_id + listed, why.title_en + listed))


async def _record(
    write: WriteContext,
    guard: NewCaseGuard,
    line: ImportedCase,
    bodies: list[dict[str, Any]],
    posts: list[PastPost],
    done: PastWalk,
    batch: StatementBatch,
) -> Imported:
    case_id, entry_id, epoch = uuid7(), uuid4(), guard.epoch
    persons = [SUBJECT, NO_PERSON, *([REPORTER] if line.report.reporter else [])]
    keys = {person: new_key(batch, write.vault, epoch, case_id, person) for person in persons}
    parts = EntryParts(
        batch=batch,
        vault=write.vault,
        party=write.caller.party,
        signed=write.signed,
        case_id=case_id,
        entry_id=entry_id,
        keys=keys,
        epoch=epoch,
    )
    _seal(parts, line, bodies, posts, done)
    sig = parts.sign()
    fingerprint = write.request.fingerprint(keys[SUBJECT])
    number = await give_number(write.session, case_id, guard.at)
    entry = append_fitting(
        batch,
        type_="case.imported",
        party=write.caller.party,
        received_at=guard.at,
        link=Link(case_id, 1, None),
        client=write.caller.client_id,
        actor=write.caller.actor,
        leaf_members={**_leaf_members(write, line, number, posts, done), **idempotency_members(write, fingerprint)},
        parts=parts.done,
        sig=sig,
        entry_id=entry_id,
    )
    batch.add(projection.INSERT_CASE, **_row(write, line, number, posts, done, entry, case_id))
    batch.add(INSERT_STAGES, rows=json.dumps(done.stage_rows(case_id, entry), default=_text))
    projection.keep_key(batch, write.request, fingerprint, entry)
    return Imported(case_id, entry_id, already=False)


def _text(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _identified(line: ImportedCase, posts: list[PastPost]) -> bool:
    return bool(line.subject.nip or line.subject.nik) or any(p.names for p in posts)


def _seal(
    parts: EntryParts, line: ImportedCase, bodies: list[dict[str, Any]], posts: list[PastPost], done: PastWalk
) -> None:
    subject = line.subject
    person = {"nip": subject.nip, "nik": subject.nik, "name": subject.name}
    named = next((b for p, b in zip(posts, bodies, strict=True) if p.names), None)
    if named is not None:
        person |= {"nip": named["subject_nip"], "name": named.get("subject_name", subject.name)}
    parts.seal_identity(person)
    shown = posts_in_summary(posts, done.rounds)
    whole = [{**s, "body": b} for s, b in zip(shown, bodies, strict=True)]
    outline = {**opening.outline(line), "agency_code": done.state.agency_code, "identified": _identified(line, posts)}
    parts.seal("content", "Import", {**opening.account(line), "posts": whole}, of="import_")
    parts.seal("summary", "Import", {**outline, "first_agency_code": subject.agency_code, "posts": shown}, of="import_")
    words = [views.in_words(rulebook().vocabulary, body) for body in bodies]
    if any(words):
        posts_said = [
            {"stage": s["stage"], "round": s["round"], "body": w} for s, w in zip(shown, words, strict=True) if w
        ]
        parts.seal("text", "Import", {"posts": posts_said}, of="import_")
    if line.report.reporter is not None:
        parts.seal("reporter", None, line.report.reporter.model_dump(mode="json", exclude_none=True))


def _leaf_members(
    write: WriteContext, line: ImportedCase, number: str, posts: list[PastPost], done: PastWalk
) -> dict[str, Any]:
    move = done.move()
    owned = owners(write.caller, move, write.caller.party, {})
    left = projection.in_leaf(move, done.opened(), {}, owned, write.calendar)
    return {
        "number": number,
        "procedure": done.procedure.code,
        "election": line.election,
        "received_on": line.report.received_on.isoformat(),
        "overrides": opening.overrides(line),
        "posts": done.lines(posts),
        **left,
    }


def _row(
    write: WriteContext,
    line: ImportedCase,
    number: str,
    posts: list[PastPost],
    done: PastWalk,
    entry: Appended,
    case_id: UUID,
) -> dict[str, Any]:
    outline = {n: v for n, v in opening.outline(line).items() if n != "occurred_on"}
    at = entry.received_at
    return {
        **outline,
        "identified": _identified(line, posts),
        "occurred_on": line.incident.occurred_on,
        "id": case_id,
        "number": number,
        "procedure": done.procedure.code,
        "election": line.election,
        "received_on": line.report.received_on,
        "opened_by": write.caller.party,
        "successors": Jsonb({}),
        **done.case_columns(),
        "version": 1,
        "head_hash": entry.leaf_hash,
        "opened_at": at,
        "updated_at": at,
        "closed_at": at if done.closed else None,
        **dict.fromkeys(("entry_id", "last_entry_id", "subject_entry_id"), entry.id),
    }
