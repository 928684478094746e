"""Find cases of the same person, election, day and violation; locks order simultaneous openings."""

from collections.abc import Iterable
from dataclasses import replace

from app.access import policy
from app.cases.case import Case
from app.cases.context import WriteContext
from app.cases.refusals import DuplicateCase
from app.cases.schemas import NewCase
from app.cases.showing import parts_in
from app.cases.visibility import FINDS, STAGES, VISIBLE, seen_by
from app.database.statements import Statement
from app.vault.seal import digests

MOST = 20  # cases of one person, election, day and violation that are checked
HANDLING = "penanganan"
NEWEST = Statement("SELECT max(epoch) FROM key_epoch")
EPOCHS = Statement("SELECT epoch FROM key_epoch ORDER BY epoch")
# under the newest epoch, simultaneous openings compute the same digest of the same number
LOCK = Statement(
    "SELECT pg_advisory_xact_lock(('x' || encode(substr(CAST(:digest AS bytea), 1, 8), 'hex'))::bit(64)::bigint)"
)
SAME = Statement(
    f"SELECT c.*, {STAGES} FROM cases c WHERE c.election = :election AND c.occurred_on = :occurred_on"
    " AND c.violations && CAST(:violations AS text[])"
    " AND c.id IN (SELECT case_id FROM blind_index WHERE digest = ANY(CAST(:digests AS bytea[])))"
    f" AND {FINDS} AND {VISIBLE} ORDER BY c.id LIMIT {MOST}"
)


async def lock(write: WriteContext, news: Iterable[NewCase]) -> None:
    """Locks the numbers of all persons in one order.
    Two reports of the same persons wait for each other, without a deadlock.
    """
    epoch = await write.session.value(NEWEST)
    numbers = [{"nip": new.subject.nip, "nik": new.subject.nik} for new in news]
    for digest in sorted({d for n in numbers for _, d in digests(write.vault, [epoch], n)}):
        await write.session.run(LOCK, digest=digest)


async def require_new(write: WriteContext, new: NewCase, epoch: int) -> None:
    """409 with the cases in which the caller may identify the person.
    No refusal if the reason for another case is recorded (`duplicate_override`).
    To any other caller a refusal would reveal whose number it is: the case is opened as usual (docs/decisions/0010).
    The same name alone makes no duplicate.
    """
    numbers = {"nip": new.subject.nip, "nik": new.subject.nik}
    newest = sorted(digest for _, digest in digests(write.vault, [epoch], numbers))
    *_, epoch_rows = await write.session.run_each(*((LOCK, {"digest": digest}) for digest in newest), (EPOCHS, {}))
    if not newest or new.duplicate_override is not None:
        return
    epochs = [row.epoch for row in epoch_rows]
    number_digests = [digest for _, digest in digests(write.vault, epochs, numbers)]
    incident = {"election": new.election, "occurred_on": new.incident.occurred_on, "violations": new.violations}
    rows = await write.session.run(SAME, digests=number_digests, **incident, **seen_by(write.caller))
    visible = [case for case in map(Case.of, rows) if _identifies(write, case)]
    if visible:
        refusal = DuplicateCase(cases=[_link(case) for case in visible])
        refusal.shows = [case.id for case in visible]
        raise refusal


def _identifies(write: WriteContext, case: Case) -> bool:
    """Whether the caller may identify the person; without a named purpose, opening counts as handling."""
    caller = replace(write.caller, purpose=write.caller.purpose or HANDLING)
    return policy.may_read_identity(caller, case.access_facts, parts_in(caller, case))


def _link(case: Case) -> dict[str, str]:
    return {"id": str(case.id), "number": case.number, "href": f"/v1/cases/{case.id}"}
