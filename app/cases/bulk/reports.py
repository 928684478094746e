"""Open a case for each person of a report: all or none."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from app.access import policy
from app.access.signatures.signed_requests import consume_nonce_now
from app.cases.bodies import StageBody
from app.cases.bulk.keys import item_key
from app.cases.bulk.schemas import Opened
from app.cases.context import WriteContext
from app.cases.opening import duplicates, opening, preparing
from app.cases.schemas import NewCase, Written
from app.errors import DomainError, Flaw, ValidationFailed
from app.ledger.canonical import canonical


@dataclass(frozen=True, slots=True)
class Person:
    """One person of a report, as a case about to be opened.
    `own`: the members that were given for this person, not for all.
    """

    case: NewCase
    outcome: str
    body: StageBody
    own: frozenset[str]


async def open_report(write: WriteContext, stage: str, persons: Sequence[Person]) -> Opened:
    """Opens one case per person in one transaction: if one is refused, none is opened.
    The pointer of the refusal names the person.
    """
    _require_each_once(persons)
    cases, everybody = [], preparing.of_subject(*(person.case for person in persons))
    for n, person in enumerate(persons):
        with _placed(n, person):
            valid = await preparing.validate_new_case(
                write.caller, person.case, stage, person.outcome, person.body, everybody
            )
            cases.append(valid)
        await asyncio.sleep(0)  # a hundred long texts take a second: other requests run in between
    policy.require_may_open(write.caller, cases[0].stage)
    await duplicates.lock(write, [case.new for case in cases])
    await consume_nonce_now(write.session, write.signed)
    sealed: list[opening.SealedCase | Written] = []
    for n, (person, case) in enumerate(zip(persons, cases, strict=True)):
        with _placed(n, person):
            sealed.append(await opening.seal_case(_of_person(write, n, persons), case))
    # their numbers last: others who open a case wait from here to the commit
    to_record = [case for case in sealed if not isinstance(case, Written)]
    written = [
        case if isinstance(case, Written) else await opening.record_case(case, last=case is to_record[-1])
        for case in sealed
    ]
    for name in ("ETag", "Location"):
        del write.response.headers[name]
    return Opened(cases=written)


@contextmanager
def _placed(n: int, person: Person) -> Iterator[None]:
    """Adds to a refusal which person it concerns."""
    try:
        yield
    except DomainError as error:
        error.flaws = tuple(replace(f, pointer=_pointer(f.pointer, n, person)) for f in error.flaws)
        error.members["at"] = f"/persons/{n}"
        raise


def _pointer(pointer: str, n: int, person: Person) -> str:
    """The place of the flaw in the request: under the person, or in what all persons share."""
    member = pointer.split("/")[1] if pointer else ""
    return f"/persons/{n}{pointer}" if member in person.own or not pointer else pointer


def _require_each_once(persons: Sequence[Person]) -> None:
    """422 for the same number twice: it is a typing error.
    The second case would be a duplicate of a case that does not exist yet.
    """
    seen: set[str] = set()
    for n, person in enumerate(persons):
        numbers = {v for v in (person.case.subject.nip, person.case.subject.nik) if v}
        if numbers & seen:
            text_id, text_en = "Orang ini sudah disebut dalam laporan ini.", "This person is in the report already."
            raise ValidationFailed(Flaw(f"/persons/{n}/subject", "TWICE", text_id, text_en))
        seen |= numbers


def _of_person(write: WriteContext, n: int, persons: Sequence[Person]) -> WriteContext:
    """The context of one person's case.
    Its fingerprint covers what was said of this person, not of the others: whoever of them is erased cannot be guessed by it.
    """
    person = persons[n]
    stated = {
        "case": person.case.model_dump(mode="json"),
        "outcome": person.outcome,
        "body": person.body.model_dump(mode="json"),
    }
    asked = b"/v1/reports\x1f" + canonical([n, len(persons), stated])
    request = replace(write.request, key=item_key(write.request.key, n), asked=asked)
    return replace(
        write, request=request, trail=write.trail.another(), signed=write.signed and write.signed.for_batch_item()
    )
