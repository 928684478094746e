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
from app.cases.entry import CaseEntry, Step, with_locked_case
from app.cases.locking import LockedCase, require_version
from app.cases.refusals import NothingToCorrect
from app.cases.schemas import Written
from app.cases.showing import owner_now
from app.cases.stages.post import (
    Post,
    members_of_outcome,
    person_of_post,
    require_consistent_with_case,
    require_no_person_in_unsealed_texts,
)
from app.database.batches import StatementBatch
from app.errors import Flaw, NotFound, ValidationFailed
from app.http.wire import Body
from app.ledger.append import Appended
from app.procedure import rules, views
from app.procedure.deadlines import RECEIVED
from app.procedure.loading import rulebook
from app.procedure.model import Stage
from app.procedure.state import CaseState, StageState

EMPLOYER_MEMBERS = ("subject_agency_code", "new_agency_code")
IDENTITY_MEMBERS = ("subject_nip", "subject_name")


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
    checks.require_valid_values(stored, checks.basis_of(write.caller))
    return await _correct(write, case_id, stage, number, stored, reason)


@with_locked_case
async def _correct(
    write: WriteContext, locked: LockedCase, stage: str, number: int | None, body: dict[str, Any], reason: str
) -> Written:
    case = locked.case
    stage_rule = _require_may_correct_stage(write, locked, stage)
    was = _posted(case, stage, number)
    policy.require_may_correct(write.caller, was.posted_by)
    checks.require_valid_in_time(body, checks.basis_of(write.caller, case.province, case.occurred_on))
    require_consistent_with_case(case, case.state.before(was.state), stage_rule, Post(stage, was.outcome or "", body))
    entry = CaseEntry(write, locked)
    write.begin_comparison()  # whether the corrected identity is the one on record
    correction = await _correction(write, case, stage_rule, was, body)
    require_letter_before_delivery(case.state, was.state, body, correction.changed)
    # last: whoever passes it has learnt that the names do not match, and the correction itself is then recorded
    await require_no_person_in_unsealed_texts(write, locked, body)
    return await _record(entry, correction, reason)


def holds_identity(case: Case, was: Round) -> bool:
    """Whether the identity of the case's person is read from this post.
    False for every post of the entry that opened or imported the case.
    """
    return was.content_entry_id == case.subject_entry_id and case.subject_entry_id != case.entry_id


def _require_may_correct_stage(write: WriteContext, locked: LockedCase, stage: str) -> Stage:
    """404 if the procedure has no such stage; 403 unless the stage is the caller's.
    The first stage may be corrected only by the party that opened the case.
    Then 428 and 412 (If-Match).
    """
    case = locked.case
    stage_rule = case.its_procedure.stages.get(stage)
    if stage_rule is None:
        raise NotFound
    if stage_rule.opened_by_case:
        policy.require_named(write.caller, [policy.OPENER], case.access_facts)
    else:
        policy.require_mandate(write.caller, stage_rule, case.access_facts)
    require_version(locked, write.if_match)
    return stage_rule


def _posted(case: Case, stage: str, number: int | None) -> Round:
    rounds = [r for r in case.rounds if r.stage == stage and r.status == "posted" and number in (None, r.round)]
    if not rounds:
        raise NothingToCorrect
    return rounds[-1]


async def _correction(write: WriteContext, case: Case, stage: Stage, was: Round, body: dict[str, Any]) -> Correction:
    """What the correction changes; 409 if it changes nothing.
    A flagged post may be sent again unchanged: that clears its flags.
    """
    before = (await contents(write.session, write.vault, [was])).get(was.key, {})
    names = {*stage.body.members, *rulebook().vocabulary.every_stage.members}
    changed = sorted(n for n in names if body.get(n) != before.get(n))
    if not changed and not was.flags:
        raise NothingToCorrect
    names_person = holds_identity(case, was)
    uncorrectable = [
        n for n in changed if n in EMPLOYER_MEMBERS and _determines_employer(stage, was, n, names_person=names_person)
    ]
    if uncorrectable:
        text_id = "Instansi menentukan jalannya kasus dan tidak dikoreksi; isi tahap baru."
        text_en = "The employer determines the course of the case and cannot be corrected; post a new stage instead."
        raise ValidationFailed(*(Flaw(f"/body/{n}", "NOT_CORRECTABLE", text_id, text_en) for n in uncorrectable))
    return Correction(stage, was, body, changed, names_person=names_person)


def _determines_employer(stage: Stage, was: Round, name: str, *, names_person: bool) -> bool:
    """Whether the employer of the case came from this member.
    It comes from a transfer to another agency, or from the post that identified the person.
    """
    outcome_members = {*stage.body.required, *stage.body.required_for.get(was.outcome or "", ())}
    return name in outcome_members and (name == "new_agency_code" or names_person)


def require_letter_before_delivery(
    state: CaseState, was: StageState, body: Mapping[str, Any], changed: Collection[str]
) -> None:
    """422 if the letter is dated after its delivery, which stays on record."""
    facts = corrected(state, was, body, changed).rounds(was.stage)[was.round - 1].facts or {}
    letter, delivered = facts.get("letter_date"), facts.get(RECEIVED)
    if letter and delivered and str(delivered) < str(letter):
        raise ValidationFailed(checks.before_letter("/body/letter_date"))


async def _record(entry: CaseEntry, correction: Correction, reason: str) -> Written:
    case, was, body = entry.case, correction.was.state, correction.body
    state = case.state
    facts, model = views.in_summary(rulebook().vocabulary, body), correction.stage.model
    entry.parts.seal("content", model, {**body, "correction_reason": reason}, of="correction_")
    entry.parts.seal("summary", model, {**facts, "agency_code": case.agency_code, "identified": case.identified})
    entry.parts.seal_summary_text(body)
    changes = _seal_identity_if_corrected(entry, correction)
    corrected_state = corrected(state, was, facts, correction.changed)
    dependent = rules.dependent_rounds(rulebook(), state, was)
    move = recount_move(corrected_state, case.rounds, entry.write.calendar, was=case.status)
    flags = flag_notices(entry.write.caller, case.procedure, case.access_facts, dependent)
    leaf_members = {"stage": was.stage, "round": was.round, "changed": correction.changed, "flags": flags}
    appended = entry.enter(Step("stage.corrected", leaf_members, move, changes))
    answer = await entry.answer(appended)
    # PostgreSQL updates a row once per statement, and the batch may have set a new due date already: flags take a second statement
    flag_updates = StatementBatch()
    add_flag_updates(flag_updates, case, was, dependent, corrected_state, appended)
    flag_updates.send_last(entry.write.session)
    return answer


def corrected(state: CaseState, was: StageState, facts: Mapping[str, Any], changed: Collection[str]) -> CaseState:
    """The case with the corrected facts.
    A delivery that was confirmed later is no part of the post, and stays.
    """
    received = {n: v for n, v in (was.facts or {}).items() if n == RECEIVED and n not in changed}
    return rules.with_round(state, replace(was, facts={**received, **facts}))


def _seal_identity_if_corrected(entry: CaseEntry, correction: Correction) -> dict[str, Any]:
    """If the person's identity is read from this post, seals the corrected identity in its place."""
    members = members_of_outcome(
        correction.stage, Post(correction.stage.code, correction.was.outcome or "", correction.body)
    )
    if (
        not correction.names_person
        or not {*IDENTITY_MEMBERS} & {*correction.changed}
        or members.get("subject_nip") is None
    ):
        entry.parts.index_named_person(correction.body)
        return {}
    entry.parts.seal_identity(person_of_post(members))
    return {"subject_entry_id": entry.entry_id}


def flag_notices(
    author: Caller, procedure: str, facts: AccessFacts, dependent: list[StageState]
) -> list[dict[str, Any]]:
    """What the entry says of the rounds that depend on the post, each with the owner it notifies."""
    stages = rulebook().procedures[procedure].stages
    return [{"stage": s.stage, "round": s.round, "owner": owner_now(author, stages[s.stage], facts)} for s in dependent]


def add_flag_updates(
    batch: StatementBatch,
    case: Case,
    was: StageState,
    dependent: list[StageState],
    corrected_state: CaseState,
    entry: Appended,
) -> None:
    """Writes the corrected row, and a flag on each row that depends on it."""
    facts = next(s.facts for s in corrected_state.stages if (s.stage, s.round) == (was.stage, was.round))
    where = {"b_case": case.id, "b_stage": was.stage, "b_round": was.round}
    batch.add(
        projection.CORRECT_ROUND, **where, facts=Jsonb(dict(facts or {})), content_entry_id=entry.id, flags=Jsonb([])
    )
    for round_ in dependent:
        flags_now = merge_flag(case.round(round_.stage, round_.round).flags, new_flag(was, entry))
        where = {"b_case": case.id, "b_stage": round_.stage, "b_round": round_.round}
        batch.add(projection.FLAG_ROUND, **where, flags=Jsonb(flags_now))


def merge_flag(flags: Sequence[Mapping[str, Any]], new: dict[str, Any]) -> list[Mapping[str, Any]]:
    """Adds the flag; the newest correction of a round replaces the flags of earlier ones."""
    return [f for f in flags if (f["stage"], f["round"]) != (new["stage"], new["round"])] + [new]


def new_flag(was: StageState, entry: Appended) -> dict[str, Any]:
    return {"stage": was.stage, "round": was.round, "entry": str(entry.id)}
