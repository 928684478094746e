"""Correct a post: a new entry holds the whole content as it should have been, and the reason.
The first entry stays; the owners of stages that relied on it get a flag.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from app.access import policy
from app.access.caller import Caller
from app.access.policy import AccessFacts
from app.cases import checks, projection
from app.cases.case import Case, Round
from app.cases.contents import contents
from app.cases.context import WriteContext
from app.cases.deadlines.recounting import recount_move
from app.cases.entry import CaseEntry, Step, on_case
from app.cases.locking import LockedCase, require_version
from app.cases.refusals import NothingToCorrect
from app.cases.schemas import Written
from app.cases.showing import owner_now
from app.cases.stages.posting import Post, effective_members, person_of_post, require_fit, require_texts_name_nobody
from app.database.sessions import StatementBatch
from app.errors import Flaw, NotFound, ValidationFailed
from app.http.wire import Body
from app.ledger.append import Appended
from app.procedure import rules, views
from app.procedure.deadlines import RECEIVED
from app.procedure.loading import rulebook
from app.procedure.model import Stage
from app.procedure.state import CaseState, StageState

EMPLOYER = ("subject_agency_code", "new_agency_code")
IDENTITY = ("subject_nip", "subject_name")


@dataclass(frozen=True, slots=True)
class Correction:
    """The content of a corrected post, and the members that differ from before.
    `names_person`: the identity of the case's person is read from this post.
    """

    stage: Stage
    was: Round
    body: dict[str, Any]
    changed: list[str]
    names_person: bool


async def correct(
    write: WriteContext, case_id: UUID, stage: str, number: int | None, body: Body, reason: str
) -> Written:
    """Corrects the latest posted round of a stage, or round `number`.
    The outcome stays: what follows from it has already happened.
    """
    stored: dict[str, Any] = body.model_dump(mode="json", exclude_none=True)
    checks.require_sound(stored)
    return await _correct(write, case_id, stage, number, stored, reason)


@on_case
async def _correct(
    write: WriteContext, locked: LockedCase, stage: str, number: int | None, body: dict[str, Any], reason: str
) -> Written:
    case = locked.case
    found = _require_right(write, case, stage)
    was = _posted(case, stage, number)
    policy.require_author(write.caller, was.posted_by)
    require_fit(case, case.state.before(was.state), found, Post(stage, was.outcome or "", body))
    require_texts_name_nobody(write, locked, body)
    writing = CaseEntry(write, locked)
    correction = await _correction(write, case, found, was, body)
    require_order(case.state, was.state, body, correction.changed)
    return await _record(writing, correction, reason)


def names_person(case: Case, was: Round) -> bool:
    """Whether the identity of the case's person is read from this post.
    False for every post of the entry that opened or imported the case.
    """
    return was.content_entry_id == case.subject_entry_id != case.entry_id


def _require_right(write: WriteContext, case: Case, stage: str) -> Stage:
    """403 unless the stage is the caller's; a first stage is the opener's. Then 428 and 412 (If-Match).
    404 if the procedure has no such stage.
    """
    found = case.its_procedure.stages.get(stage)
    if found is None:
        raise NotFound
    if found.opened_by_case:
        policy.require_named(write.caller, [policy.OPENER], case.access_facts)
    else:
        policy.require_mandate(write.caller, found, case.access_facts)
    require_version(case, write.if_match)
    return found


def _posted(case: Case, stage: str, number: int | None) -> Round:
    rounds = [r for r in case.rounds if r.stage == stage and r.status == "posted" and number in (None, r.round)]
    if not rounds:
        raise NothingToCorrect
    return rounds[-1]


async def _correction(write: WriteContext, case: Case, stage: Stage, was: Round, body: dict[str, Any]) -> Correction:
    before = (await contents(write.session, write.vault, [was])).get(was.key, {})
    names = {*stage.body.members, *rulebook().vocabulary.every_stage.members}
    changed = sorted(n for n in names if body.get(n) != before.get(n))
    if not changed and not was.flags:
        raise NothingToCorrect
    named = names_person(case, was)
    moved = [n for n in changed if n in EMPLOYER and _moved_by(stage, was, n, named=named)]
    if moved:
        text_id = "Instansi menentukan jalannya kasus dan tidak dikoreksi; isi tahap baru."
        text_en = "The employer decides the way of the case and is not corrected; post a new stage."
        raise ValidationFailed(*(Flaw(f"/body/{n}", "NOT_CORRECTABLE", text_id, text_en) for n in moved))
    return Correction(stage, was, body, changed, names_person=named)


def _moved_by(stage: Stage, was: Round, name: str, *, named: bool) -> bool:
    """Whether the employer of the case came from this member.
    It comes from a move, or from the post that identified the person.
    """
    effective = {*stage.body.required, *stage.body.required_for.get(was.outcome or "", ())}
    return name in effective and (name == "new_agency_code" or named)


def require_order(state: CaseState, was: StageState, body: Mapping[str, Any], changed: Collection[str]) -> None:
    """422 if the letter is dated after the receipt that stays on record."""
    facts = corrected(state, was, body, changed).rounds(was.stage)[was.round - 1].facts or {}
    letter, receipt = facts.get("letter_date"), facts.get(RECEIVED)
    if letter and receipt and str(receipt) < str(letter):
        raise ValidationFailed(checks.before_letter("/body/letter_date"))


async def _record(writing: CaseEntry, correction: Correction, reason: str) -> Written:
    case, was, body = writing.case, correction.was.state, correction.body
    state = case.state
    facts, model = views.in_summary(rulebook().vocabulary, body), correction.stage.model
    writing.parts.seal("content", model, {**body, "correction_reason": reason}, of="correction_")
    writing.parts.seal("summary", model, {**facts, "agency_code": case.agency_code, "identified": case.identified})
    writing.parts.say(body)
    changes = _renames(writing, correction)
    after, relying = corrected(state, was, facts, correction.changed), rules.dependent_rounds(rulebook(), state, was)
    move = recount_move(after, case.rounds, writing.write.calendar, was=case.status)
    flags = flagged(writing.write.caller, case.procedure, case.access_facts, relying)
    says = {"stage": was.stage, "round": was.round, "changed": correction.changed, "flags": flags}
    entry = writing.enter(Step("stage.corrected", says, move, changes))
    answer = await writing.answer(entry)
    # a row with a new clock may also get a flag, and one statement changes a row only once
    second = StatementBatch()
    flag(second, case, was, relying, after, entry)
    await second.send(writing.write.session)
    return answer


def corrected(state: CaseState, was: StageState, facts: Mapping[str, Any], changed: Collection[str]) -> CaseState:
    """The case with the corrected facts.
    A receipt that was confirmed later is no part of the post, and stays.
    """
    received = {n: v for n, v in (was.facts or {}).items() if n == RECEIVED and n not in changed}
    return rules.with_round(state, replace(was, facts={**received, **facts}))


def _renames(writing: CaseEntry, correction: Correction) -> dict[str, Any]:
    """If the person's identity is read from this post, seals the corrected identity in its place."""
    effective = effective_members(
        correction.stage, Post(correction.stage.code, correction.was.outcome or "", correction.body)
    )
    if not correction.names_person or not {*IDENTITY} & {*correction.changed} or effective.get("subject_nip") is None:
        writing.parts.mention(correction.body)
        return {}
    writing.parts.name(person_of_post(effective))
    return {"subject_entry_id": writing.entry_id}


def flagged(author: Caller, procedure: str, place: AccessFacts, relying: list[StageState]) -> list[dict[str, Any]]:
    """What the entry says of the rounds that relied on the post, each with the owner it notifies."""
    stages = rulebook().procedures[procedure].stages
    return [{"stage": s.stage, "round": s.round, "owner": owner_now(author, stages[s.stage], place)} for s in relying]


def flag(
    batch: StatementBatch, case: Case, was: StageState, relying: list[StageState], after: CaseState, entry: Appended
) -> None:
    """Writes the corrected row, and a flag on each row that relied on it."""
    facts = next(s.facts for s in after.stages if (s.stage, s.round) == (was.stage, was.round))
    where = {"b_case": case.id, "b_stage": was.stage, "b_round": was.round}
    batch.add(
        projection.CORRECT_STAGE, **where, facts=Jsonb(dict(facts or {})), content_entry_id=entry.id, flags=Jsonb([])
    )
    for one in relying:
        raised = raise_flag(case.round(one.stage, one.round).flags, flag_of(was, entry))
        where = {"b_case": case.id, "b_stage": one.stage, "b_round": one.round}
        batch.add(projection.FLAG_STAGE, **where, flags=Jsonb(raised))


def raise_flag(flags: Sequence[Mapping[str, Any]], new: dict[str, Any]) -> list[Mapping[str, Any]]:
    """Adds the flag; the newest correction of a round replaces the flags of earlier ones."""
    return [f for f in flags if (f["stage"], f["round"]) != (new["stage"], new["round"])] + [new]


def flag_of(was: StageState, entry: Appended) -> dict[str, Any]:
    return {"stage": was.stage, "round": was.round, "entry": str(entry.id)}
