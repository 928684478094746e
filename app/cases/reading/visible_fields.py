"""Decide which fields a caller sees, for stage view, case view, history and bundle.

Two more guards stand behind it: the SQL predicate that selects cases (visibility.py), and row-level security.
The access matrix derives the same from the procedures' data alone; a test compares both, cell by cell.
"""

from app.access import policy
from app.access.caller import Caller
from app.cases.case import Case
from app.cases.part_schemas import EmployerFacts, Outline
from app.cases.schemas import Reporter
from app.cases.showing import parts_in
from app.procedure.loading import rulebook
from app.procedure.views import FULL, STATUS, view_of

SUBJECT, REPORTER, SUMMARY, TEXT, CONTENT = "subject", "reporter", "summary", "text", "content"
NOTHING = frozenset[str]()
PERSON = frozenset({"nip", "nik", "name"})
OUTLINE = frozenset({*Outline.model_fields, *EmployerFacts.model_fields})
# Members of a content beside the fields of a post: what happened, and why something was done.
WORDS = frozenset({"account", "reason", "documents", "correction_reason", "phase_override", "duplicate_override"})


def visible_fields(caller: Caller, case: Case, stage: str, part: str) -> frozenset[str]:
    """The fields that the caller sees of a sealed part of an entry of this stage; empty: nothing.

    `stage`: for an act on the case as a whole, its first stage. `part`: one of the five above.
    """
    if part == SUBJECT:
        return PERSON if _identifies(caller, case) else NOTHING
    if part == REPORTER:
        return frozenset(Reporter.model_fields) if policy.may_read_reporter(caller, case.access_facts) else NOTHING
    view, fields = stage_view(caller, case, stage), rulebook().vocabulary.fields
    if part == SUMMARY:
        return OUTLINE if view == STATUS else OUTLINE | set(fields)
    if part == TEXT:
        return NOTHING if view == STATUS else frozenset(fields)
    if view != FULL:
        return NOTHING
    clear = _identifies(caller, case)
    return WORDS | {name for name, field in fields.items() if clear or not field.identity}


def stage_view(caller: Caller, case: Case, stage: str) -> str:
    """The caller's view of the stage: full, summary or status, as the procedure's data decide."""
    return view_of(case.its_procedure.stages[stage], policy.view_names(caller, case.access_facts))


def _identifies(caller: Caller, case: Case) -> bool:
    return policy.may_read_identity(caller, case.access_facts, parts_in(caller, case))
