"""Withdraw a case, reopen a closed one, transfer a role in it.
Each is an entry of the case as a whole, with its reason.
"""

from collections.abc import Mapping

from psycopg.types.json import Jsonb

from app import clock
from app.access import policy
from app.cases.case import Case
from app.cases.checks import unknown_code
from app.cases.context import WriteContext
from app.cases.entry import CaseEntry, Step, require_not_closed, with_locked_case
from app.cases.locking import LockedCase, require_version
from app.cases.refusals import CaseNotClosed, TransferNotAllowed, WithdrawalNotAllowed
from app.cases.schemas import Reasoned, ReopeningBody, TransferBody, Written
from app.errors import Flaw, UnknownReference, ValidationFailed
from app.procedure import rules
from app.procedure.loading import rulebook
from app.procedure.roles import succeeding_parties
from app.procedure.scopes import stage_scope


@with_locked_case
async def withdraw_case(write: WriteContext, locked: LockedCase, body: Reasoned) -> Written:
    """The party that received the report withdraws it, until a stage is reached that ends this right."""
    case, rule = locked.case, rulebook().vocabulary.withdrawal
    policy.require_named(write.caller, rule.by, case.access_facts)
    require_version(locked, write.if_match)
    require_not_closed(case)
    reached = next((round_.stage for round_ in case.rounds if round_.stage in rule.until), None)
    if reached is not None:
        raise WithdrawalNotAllowed(stage=reached)
    step = Step("case.withdrawn", {}, rules.withdraw(rulebook(), case.state))
    return await CaseEntry(write, locked).reasoned(body, step)


@with_locked_case
async def reopen_case(write: WriteContext, locked: LockedCase, body: ReopeningBody) -> Written:
    """The owner of a stage opens a new round of it in a closed case."""
    case = locked.case
    policy.require_scope(write.caller, stage_scope(body.stage))
    stage = case.its_procedure.stages.get(body.stage)
    if stage is not None:
        policy.require_mandate(write.caller, stage, case.access_facts)
    require_version(locked, write.if_match)
    if case.closed_at is None:
        raise CaseNotClosed(allowed=list(case.open_stages))
    if not rules.may_reopen(rulebook(), case.state, body.stage):
        raise no_such_stage()
    writing = CaseEntry(write, locked)
    move = rules.reopen(rulebook(), case.state, body.stage, clock.day_of(writing.at))
    return await writing.reasoned(
        body, Step("case.reopened", {"stage": body.stage, "round": move.opened[0].round}, move)
    )


@with_locked_case
async def transfer_case(write: WriteContext, locked: LockedCase, body: TransferBody) -> Written:
    """The party that fills a role by succession hands it to another possible successor.
    Or the entry records that this party keeps the role.
    """
    case = locked.case
    if case.procedure not in procedures_of(body.role):
        raise UnknownReference(unknown_code("/role", "mandates", body.role))
    policy.require_holder(write.caller, body.role, case.access_facts)
    require_version(locked, write.if_match)
    require_not_closed(case)
    allowed = possible_successors(write.caller.snapshot.holders, body.role)
    if body.to not in allowed or case.successors.get(body.role) == body.to:
        raise TransferNotAllowed(allowed=[p for p in allowed if p != case.successors.get(body.role)])
    return await CaseEntry(write, locked).reasoned(body, transfer_step(case, body.role, write.caller.party, body.to))


def no_such_stage() -> ValidationFailed:
    text_id, text_en = (
        "Tahap ini belum pernah terbuka pada kasus ini, atau tidak ada lagi yang dapat diputuskan.",
        "This stage was never open in this case, or has nothing left to decide.",
    )
    return ValidationFailed(Flaw("/stage", "CANNOT_REOPEN", text_id, text_en))


def procedures_of(role: str) -> list[str]:
    """The procedures in which the role owns or records a stage."""
    procedures = rulebook().procedures.values()
    return [p.code for p in procedures if any(role in (s.owner, s.recorder) for s in p.stages.values())]


def possible_successors(holders: Mapping[str, str], role: str) -> list[str]:
    """The parties that may take over a role today; none while a mandate for it is in force."""
    return [] if role in holders else succeeding_parties(rulebook(), role, clock.today())


def transfer_step(case: Case, role: str, giver: str, to: str, *, acts: bool = True) -> Step:
    """The entry that records who fills a role in this case from now on."""
    move = rules.moved(rulebook(), case.state, (), (), was=case.status)
    changes = {"successors": Jsonb({**case.successors, role: to})}
    return Step("case.transferred", {"role": role, "from": giver, "to": to}, move, changes, acts)
