"""A post: its outcome and body, what it must fulfil, and what it says of the person and the employer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.cases import charging, checks, unsealed_texts
from app.cases.case import Case
from app.cases.context import WriteContext
from app.cases.locking import LockedCase
from app.procedure.model import Stage
from app.procedure.state import CaseState


@dataclass(frozen=True, slots=True)
class Post:
    """What is posted, before it is recorded."""

    stage: str
    outcome: str
    body: dict[str, Any]


def members_of_outcome(stage: Stage, post: Post) -> dict[str, Any]:
    """The members that this outcome is about.
    A member that belongs to another outcome is kept as sent, but has no effect.
    """
    names = {*stage.body.required, *stage.body.required_for.get(post.outcome, ())}
    return {name: value for name, value in post.body.items() if name in names}


def new_employer(members: Mapping[str, Any], *, identified: bool) -> str | None:
    """The employer that a post names: by a transfer to another agency, or by identifying the person."""
    named = members.get("subject_agency_code") if identifies_person(members, identified=identified) else None
    employer = members.get("new_agency_code") or named
    return str(employer) if employer else None


def identifies_person(members: Mapping[str, Any], *, identified: bool) -> bool:
    """Whether this post identifies the person.
    It is the first with a NIP in a case whose person is not identified yet.
    A later letter that names another person changes nothing.
    """
    return not identified and members.get("subject_nip") is not None


def person_of_post(members: Mapping[str, Any]) -> dict[str, Any]:
    """The person that a post names."""
    return {"nip": members["subject_nip"], "nik": None, "name": members.get("subject_name")}


def require_consistent_with_case(case: Case, state: CaseState, stage: Stage, post: Post) -> None:
    """Checks that need the stored case.
    The body has the members that this outcome needs in this procedure, and the NIP fits the kind of person.
    The charges fit the incident, and the sanction fits the charges.
    """
    checks.require_complete(stage, post.outcome, post.body)
    nip = post.body.get("subject_nip")
    checks.require_numbers({"/body/subject_nip": (nip, "nip")}, case.subject_kind)
    charging.require_phase_of_post(case, state, post.body)
    charging.require_sanction(case, state, stage.outcomes[post.outcome], members_of_outcome(stage, post))


async def require_no_person_in_unsealed_texts(write: WriteContext, locked: LockedCase, body: Mapping[str, Any]) -> None:
    """422 if an unsealed text names somebody.
    Looks for name, NIP and NIK of the case's person, and of the person in this post, who may become the case's person.
    """
    write.begin_comparison()
    await unsealed_texts.require_no_person(
        unsealed_texts.unsealed(body),
        unsealed_texts.matcher_for_case(write.vault, locked.found_by),
        unsealed_texts.matcher_for_post(body),
    )
    if body.get("subject_nip") or body.get("subject_name"):
        await unsealed_texts.require_not_named_before(
            _earlier_texts(locked.case), unsealed_texts.matcher_for_post(body)
        )


def _earlier_texts(case: Case) -> dict[str, str]:
    """The unsealed texts of the case so far, by the place where they stand."""
    texts = {"report_number": case.report_number}
    for round_ in case.rounds:
        texts |= unsealed_texts.unsealed(round_.facts, f"{round_.stage}/{round_.round}")
    return texts
