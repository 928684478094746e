"""Take a case back, open a closed one again, hand over a role in it: entries of the case as a whole, each with its reason."""

from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from app import clock
from app.access import policy
from app.cases.checks import unknown_code
from app.cases.context import WriteContext
from app.cases.entry import CaseEntry, Step, require_not_closed, see, take
from app.cases.locking import require_version, state_of
from app.cases.refusals import CaseNotClosed, TransferNotAllowed, WithdrawalNotAllowed
from app.cases.schemas import Reasoned, ReopeningBody, TransferBody, Written
from app.cases.showing import access_facts
from app.errors import Flaw, UnknownReference, ValidationFailed
from app.procedure import rules
from app.procedure.loading import rulebook
from app.procedure.roles import succeeding_parties
from app.procedure.scopes import stage_scope


async def withdraw(write: WriteContext, case_id: UUID, body: Reasoned) -> Written:
    """Who received the report takes it back, until the matter has reached a stage that ends this right."""
    locked = await take(write, case_id)
    if isinstance(locked, Written):
        return locked
    case, rule = see(write, locked, case_id), rulebook().vocabulary.withdrawal
    policy.require_named(write.caller, rule.by, access_facts(case))
    require_version(case, write.if_match)
    require_not_closed(case)
    reached = next((s["stage"] for s in case.stages if s["stage"] in rule.until), None)
    if reached is not None:
        raise WithdrawalNotAllowed(stage=reached)
    step = Step("case.withdrawn", {}, rules.withdraw(rulebook(), state_of(case)))
    return await CaseEntry(write, locked).reasoned(body, step)


async def reopen(write: WriteContext, case_id: UUID, body: ReopeningBody) -> Written:
    """The owner of a stage opens a new round of it in a closed case."""
    locked = await take(write, case_id)
    if isinstance(locked, Written):
        return locked
    case = see(write, locked, case_id)
    policy.require_scope(write.caller, stage_scope(body.stage))
    stage = rulebook().procedures[case.procedure].stages.get(body.stage)
    if stage is not None:
        policy.require_mandate(write.caller, stage, access_facts(case))
    require_version(case, write.if_match)
    if case.closed_at is None:
        raise CaseNotClosed(allowed=list(case.open_stages))
    if not rules.may_reopen(rulebook(), state_of(case), body.stage):
        raise no_such_stage()
    writing = CaseEntry(write, locked)
    move = rules.reopen(rulebook(), state_of(case), body.stage, clock.day_of(writing.at))
    return await writing.reasoned(
        body, Step("case.reopened", {"stage": body.stage, "round": move.opened[0].round}, move)
    )


async def transfer(write: WriteContext, case_id: UUID, body: TransferBody) -> Written:
    """The party that fills a role by succession hands it to another possible successor, or settles that it keeps it."""
    locked = await take(write, case_id)
    if isinstance(locked, Written):
        return locked
    case = see(write, locked, case_id)
    place = access_facts(case)
    if case.procedure not in procedures_of(body.role):
        raise UnknownReference(unknown_code("/role"))
    policy.require_holder(write.caller, body.role, place)
    require_version(case, write.if_match)
    require_not_closed(case)
    allowed = passing_on(write.caller.snapshot.holders, body.role)
    if body.to not in allowed or case.successors.get(body.role) == body.to:
        raise TransferNotAllowed(allowed=[p for p in allowed if p != case.successors.get(body.role)])
    return await CaseEntry(write, locked).reasoned(body, handed_over(case, body.role, write.caller.party, body.to))


def no_such_stage() -> ValidationFailed:
    text_id, text_en = (
        "Tahap ini belum pernah terbuka pada kasus ini, atau tidak ada lagi yang dapat diputuskan.",
        "This stage was never open in this case, or has nothing left to decide.",
    )
    return ValidationFailed(Flaw("/stage", "CANNOT_REOPEN", text_id, text_en))


def procedures_of(role: str) -> list[str]:
    """Those in which the role owns or records a stage."""
    found = rulebook().procedures.values()
    return [p.code for p in found if any(role in (s.owner, s.recorder) for s in p.stages.values())]


def passing_on(holders: Any, role: str) -> list[str]:
    """Who may take a role over today; nobody, while a mandate for it is in force."""
    return [] if role in holders else succeeding_parties(rulebook(), role, clock.today())


def handed_over(case: Any, role: str, giver: str, to: str, *, acts: bool = True) -> Step:
    """The entry that settles who fills a role in this case from now on."""
    move = rules.moved(rulebook(), state_of(case), (), (), was=case.status)
    changes = {"successors": Jsonb({**case.successors, role: to})}
    return Step("case.transferred", {"role": role, "from": giver, "to": to}, move, changes, acts)
