"""Several at once: a report that names several persons, all or none; the same stage of many cases, each with a result of its own."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol
from uuid import UUID, uuid5

from fastapi import Request

from app.access import policy
from app.access.signatures.signed_requests import spend_now
from app.access.trail import Trail, write
from app.cases.bodies import StageBody
from app.cases.bulk.schemas import Opened, StageResult, StageResults
from app.cases.context import Act
from app.cases.opening import duplicates, opening, preparing
from app.cases.schemas import NewCase, Written
from app.cases.stages import posting
from app.database.sessions import Statement
from app.errors import DomainError, Flaw, IdempotencyKeyReused, ValidationFailed
from app.http.limits import WRITE
from app.http.problems import document
from app.ledger.canonical import canonical
from app.procedure.scopes import stage_scope

CREATED = 201
MOST = 100  # items of one request
KNOWN = Statement("SELECT key FROM idempotency WHERE client_id = :client AND key = ANY(CAST(:keys AS uuid[]))")


@dataclass(frozen=True, slots=True)
class Person:
    """One person of a report, as a case about to be opened. `own`: the members that were said of this person, not of all."""

    case: NewCase
    outcome: str
    body: StageBody
    own: frozenset[str]


class StagePost(Protocol):
    """One item of a bulk post: the typed models are made from the procedures."""

    case_id: UUID
    if_match: str | None
    outcome: str
    body: StageBody

    def model_dump(self, *, mode: str) -> dict[str, Any]: ...


Acts = Callable[[UUID, bytes, str | None], AbstractAsyncContextManager[Act]]


def item_key(key: UUID, n: int) -> UUID:
    """The key of the n-th item: the first has the request's own, so that it cannot be used for anything else."""
    return key if n == 0 else uuid5(key, str(n))


async def open_report(act: Act, stage: str, persons: Sequence[Person]) -> Opened:
    """One case per person, in one transaction: if one is refused, none is there; the pointer says whose fault it was."""
    _require_each_once(persons)
    cases, everybody = [], [preparing.of_subject(person.case) for person in persons]
    for n, person in enumerate(persons):
        with _placed(n, person):
            cases.append(preparing.prepared(person.case, stage, person.outcome, person.body, *everybody))
    policy.require_may_open(act.caller, cases[0].stage)
    await duplicates.lock(act, [case.new for case in cases])
    await spend_now(act.session, act.signed)
    written: list[Written] = []
    for n, (person, case) in enumerate(zip(persons, cases, strict=True)):
        with _placed(n, person):
            written.append(await opening.register(_of_person(act, n), case))
    for name in ("ETag", "Location"):
        del act.response.headers[name]
    return Opened(cases=written)


@contextmanager
def _placed(n: int, person: Person) -> Iterator[None]:
    """A refusal says of which person it is."""
    try:
        yield
    except DomainError as error:
        error.flaws = tuple(replace(f, pointer=_pointer(f.pointer, n, person)) for f in error.flaws)
        error.members["at"] = f"/persons/{n}"
        raise


def _pointer(pointer: str, n: int, person: Person) -> str:
    """Where the flaw stands in what was sent: with the person, or with what was said of all."""
    member = pointer.split("/")[1] if pointer else ""
    return f"/persons/{n}{pointer}" if member in person.own or not pointer else pointer


def _require_each_once(persons: Sequence[Person]) -> None:
    """The same number twice is a slip of the pen: the second would be a duplicate of a case that is not there yet."""
    seen: set[str] = set()
    for n, person in enumerate(persons):
        numbers = {v for v in (person.case.subject.nip, person.case.subject.nik) if v}
        if numbers & seen:
            text_id, text_en = "Orang ini sudah disebut dalam laporan ini.", "This person is in the report already."
            raise ValidationFailed(Flaw(f"/persons/{n}/subject", "TWICE", text_id, text_en))
        seen |= numbers


def _of_person(act: Act, n: int) -> Act:
    asked = act.request.asked + b"\x1f" + str(n).encode()
    request = replace(act.request, key=item_key(act.request.key, n), asked=asked)
    return replace(act, request=request, trail=act.trail.another(), signed=act.signed and act.signed.of_many())


async def post_stages(request: Request, acts: Acts, key: UUID, stage: str, items: Sequence[StagePost]) -> StageResults:
    """Each item in a transaction of its own, in their order: what one is refused for does not touch the others."""
    policy.require_scope(request.state.caller, stage_scope(stage))
    await request.app.state.limits.charge(request.state.caller.client_id, WRITE, len(items) - 1)
    if request.state.signed is not None:
        async with request.app.state.database.writing(request.state.caller.who) as session:
            await spend_now(session, request.state.signed)
        request.state.signed = request.state.signed.of_many()
    keys = [item_key(key, n) for n in range(len(items))]
    whole = hashlib.sha256(canonical([item.model_dump(mode="json") for item in items])).digest()
    known = await _known(request, keys)
    found: dict[int, StageResult] = {}
    for n in sorted(range(len(items)), key=lambda n: (keys[n] not in known, n)):  # what was posted before answers first
        found[n] = await _one(request, acts, keys[n], stage, n, items[n], whole)
        if keys[n] in known and (found[n].problem or {}).get("code") == IdempotencyKeyReused.code:
            raise IdempotencyKeyReused  # the key belongs to another request: nothing of this one is posted
    results = [found[n] for n in range(len(items))]
    posted = sum(r.status == CREATED for r in results)
    return StageResults(stage=stage, posted=posted, refused=len(results) - posted, results=results)


async def _known(request: Request, keys: Sequence[UUID]) -> set[UUID]:
    """Which of these keys the client has used."""
    async with request.app.state.database.reading(request.state.caller.who) as session:
        rows = await session.run(KNOWN, client=request.state.caller.client_id, keys=[str(k) for k in keys])
    return {row.key for row in rows}


async def _one(
    request: Request, acts: Acts, key: UUID, stage: str, n: int, item: StagePost, whole: bytes
) -> StageResult:
    try:
        async with acts(key, stage.encode() + b"\x1f" + str(n).encode() + whole, item.if_match) as act:
            done = await posting.post_stage(act, item.case_id, stage, item.outcome, item.body)
        return StageResult(case_id=item.case_id, status=CREATED, written=done, problem=None)
    except DomainError as error:
        await _refused(request, stage, item.case_id, error)
        problem = document(request, error, f"/posts/{n}")
        return StageResult(case_id=item.case_id, status=error.status, written=None, problem=problem)


async def _refused(request: Request, stage: str, case_id: UUID, error: DomainError) -> None:
    """A refusal of an item is on record as it would be alone."""
    trail = Trail(request)
    trail.stage = stage
    trail.shows(case_id)
    await write(request, trail, error.status, error.code)
