"""Who gets what: every operation x every party x a case in every state.
A cell is the expected answer, with the guarded members that it shows.

It is made from the operations' scopes and the procedures' data, not from the code that decides.
A test compares the service with it, cell by cell.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.cases.acts import ROWS
from app.matrix.situations import (  # fmt: skip
    PPK,
    Situation,
    filler,
    holders,
    identifies,
    kind_of,
    poster,
    sees,
    sees_all,
    view,
)
from app.procedure.loading import rulebook
from app.procedure.model import Stage
from app.procedure.scopes import scopes_of, stage_scope
from app.procedure.views import FULL, STATUS

STRANGER, SUSPENDED = "stranger", "suspended"
IDENTITY = ("/subject/nip", "/subject/nik", "/subject/name")
REPORTER, ACCOUNT = ("/report/reporter",), ("/incident/account",)
OK, CREATED, ACCEPTED, NO_CONTENT = 200, 201, 202, 204
UNAUTHORIZED, FORBIDDEN, MISSING, CONFLICT = 401, 403, 404, 409


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of the OpenAPI document.
    `scope`: None where any token, or none, is enough; `public`: no token is asked for.
    """

    name: str
    method: str
    path: str
    scope: str | None
    public: bool


@dataclass(frozen=True, slots=True)
class Cell:
    """What a party gets.
    `shows`: guarded members that are not null, as pointers; for a stage its view and members.
    """

    status: int
    shows: tuple[str, ...] = ()


def operations(document: Mapping[str, Any]) -> list[Operation]:
    """Every operation of the document, in its order."""
    rows = []
    for path, verbs in document["paths"].items():
        for method, operation in verbs.items():
            scopes = [s for need in operation.get("security", ()) for s in need["oauth2"]]
            public = "security" not in operation
            rows.append(
                Operation(operation["operationId"], method.upper(), path, scopes[0] if scopes else None, public)
            )
    return rows


def parties() -> list[str]:
    return [*rulebook().catalogue.codes("parties"), PPK, STRANGER, SUSPENDED]


def state(party: str, case: Situation) -> str:
    """Say how the case relates to a party, in the words of the published matrix."""
    if party in (STRANGER, SUSPENDED) or not sees(party, case):
        return "not_theirs"
    if case.erased:
        return "erased"
    if not case.open:
        return "closed"
    if case.successors:
        return "transferred"
    return "own" if party in {poster(case.stages[s], case) for s in case.open} else "others"


def expected(operation: Operation, party: str, case: Situation) -> Cell:
    """Return the cell of an operation, a party and a case."""
    rule = rule_of(operation.name)
    if operation.public:
        return Cell(NO_CONTENT if operation.name == "cosign_checkpoint" else OK)
    if party == STRANGER:
        return Cell(UNAUTHORIZED)
    stage = stage_of(operation, case)
    scope = operation.scope.format(stage=stage) if operation.scope else None
    if party == SUSPENDED or (scope is not None and scope not in scopes_of(rulebook(), kind_of(party))):
        return Cell(FORBIDDEN)
    cell: Cell = rule(operation, party, case)
    return cell


def stage_of(operation: Operation, case: Situation) -> str:
    """Return the stage that an operation names.
    For an operation that takes any stage: the open one, else the last one that was posted.
    """
    for verb in ("post_", "correct_"):
        if operation.name.startswith(verb):
            return operation.name.removeprefix(verb)
    return case.open[0] if case.open else list(case.posted)[-1]


def _anybody(_operation: Operation, _party: str, _case: Situation) -> Cell:
    return Cell(OK)


def _operator(operation: Operation, party: str, _case: Situation) -> Cell:
    """Return 201; in production it is 202 for what gives power, until a second operator has approved it."""
    if kind_of(party) != "operator":
        return Cell(FORBIDDEN)
    return Cell(CREATED if operation.method == "POST" else OK)


def _case(_operation: Operation, party: str, case: Situation) -> Cell:
    return Cell(OK) if sees(party, case) else Cell(MISSING)


def _read_case(_operation: Operation, party: str, case: Situation) -> Cell:
    """Return the guarded members of a case that the party sees.
    The identity is for a party with a part in the case, the reporter for the party that received the report.
    The account is for a party with the full view of the first stage.
    """
    if not sees(party, case):
        return Cell(MISSING)
    shown: tuple[str, ...] = ()
    if not case.erased and identifies(party, case):
        shown += IDENTITY
    if party == case.opened_by:
        shown += REPORTER
    first = case.stages[next(iter(case.posted))]
    if not case.erased and view(party, first, case) == FULL:
        shown += ACCOUNT
    return Cell(OK, shown)


def _bundle(operation: Operation, party: str, case: Situation) -> Cell:
    """Return what the case shows, and what each of its posts shows."""
    seen = _read_case(operation, party, case)
    if seen.status != OK:
        return seen
    posts = ((code, name) for code in case.posted for name in stage_members(party, case.stages[code], case))
    return Cell(OK, (*seen.shows, *(f"/stages/{code}/{name}" for code, name in posts)))


def _read_stage(operation: Operation, party: str, case: Situation) -> Cell:
    if not sees(party, case):
        return Cell(MISSING)
    return Cell(OK, stage_members(party, case.stages[stage_of(operation, case)], case))


def stage_members(party: str, stage: Stage, case: Situation) -> tuple[str, ...]:
    """Return the members of a post that a party may see, if all of them were there.
    For an erased person only the members that name nobody are left.
    """
    seen, vocabulary = view(party, stage, case), rulebook().vocabulary
    fields = {n: vocabulary.fields[n] for n in sorted({*stage.body.members, *vocabulary.every_stage.members})}
    if seen == STATUS or stage.code not in case.posted:
        return ()
    if seen == FULL and not case.erased:
        clear = identifies(party, case)
        return tuple(n for n, f in fields.items() if clear or not f.identity)
    return tuple(n for n, f in fields.items() if f.summary)


def _post(operation: Operation, party: str, case: Situation) -> Cell:
    """Return 404, 403, 409 or 201; they are checked in this order."""
    code = stage_of(operation, case)
    if not sees(party, case):
        return Cell(MISSING)
    if code in case.stages and poster(case.stages[code], case) != party:
        return Cell(FORBIDDEN)
    return Cell(CREATED if code in case.open else CONFLICT)


def _correct(operation: Operation, party: str, case: Situation) -> Cell:
    code = stage_of(operation, case)
    if not sees(party, case) or code not in case.stages:
        return Cell(MISSING)
    stage = case.stages[code]
    may = party == case.opened_by and sees_all(party) if stage.opened_by_case else poster(stage, case) == party
    return Cell((CREATED if code in case.posted else CONFLICT) if may else FORBIDDEN)


def _withdraw(_operation: Operation, party: str, case: Situation) -> Cell:
    if not sees(party, case):
        return Cell(MISSING)
    may = {case.opened_by if name == "opener" else name for name in rulebook().vocabulary.withdrawal.by}
    reached = set(case.posted) | set(case.open)
    until = rulebook().vocabulary.withdrawal.until
    if party not in may or not sees_all(party):
        return Cell(FORBIDDEN)
    return Cell(CREATED if case.open and not reached & until else CONFLICT)


def _reopen(operation: Operation, party: str, case: Situation) -> Cell:
    code = stage_of(operation, case)
    if not sees(party, case):
        return Cell(MISSING)
    if stage_scope(code) not in scopes_of(rulebook(), kind_of(party)) or poster(case.stages[code], case) != party:
        return Cell(FORBIDDEN)
    return Cell(CONFLICT if case.open else CREATED)


def _transfer(_operation: Operation, party: str, case: Situation) -> Cell:
    """The role is one whose mandate has ended; the party that fills it now may transfer it."""
    role = next(s.role for s in rulebook().vocabulary.succession)
    if not sees(party, case):
        return Cell(MISSING)
    if not any(role in (s.owner, s.recorder) for s in case.stages.values()):
        return Cell(422)
    return Cell((CREATED if case.open else CONFLICT) if filler(role, case) == party else FORBIDDEN)


def _open(_operation: Operation, party: str, _case: Situation) -> Cell:
    procedure = rulebook().current()[-1]
    first = procedure.stages[procedure.first_stages[0]]
    return Cell(CREATED if party in first.may_open and holders().get(party) == party else FORBIDDEN)


def _import(_operation: Operation, party: str, _case: Situation) -> Cell:
    return Cell(ACCEPTED if party in holders().values() else FORBIDDEN)


def _job(_operation: Operation, party: str, case: Situation) -> Cell:
    """The job belongs to the party that opened the case."""
    return Cell(OK if party == case.opened_by else MISSING)


def _leaves(_operation: Operation, party: str, _case: Situation) -> Cell:
    return Cell(OK if sees_all(party) else MISSING)


def _receipt(_operation: Operation, party: str, case: Situation) -> Cell:
    """The receipt is that of the entry that opened the case."""
    verifier = "ledger:verify" in scopes_of(rulebook(), kind_of(party)) and sees_all(party)
    return Cell(OK if party == case.opened_by or verifier else MISSING)


def _bulk(_operation: Operation, party: str, case: Situation) -> Cell:
    """The status is that of the request; each item answers as its post would alone."""
    scope = stage_scope(stage_of(Operation("", "", "", None, public=False), case))
    return Cell(OK if scope in scopes_of(rulebook(), kind_of(party)) else FORBIDDEN)


BY_WHO: dict[str, Any] = {
    "opener": _open,
    "turn": _post,
    "owner_or_author": _correct,
    "recipient": _withdraw,
    "turn_reopened": _reopen,
    "holder": _transfer,
    "importer": _import,
}
RULES: dict[str, Any] = {
    "read_case": _read_case,
    "read_stage": _read_stage,
    "read_bundle": _bundle,
    **dict.fromkeys(("read_history", "read_accesses"), _case),
    **{act.operation: BY_WHO[act.who] for act in ROWS if act.operation is not None and act.body is not None},
    **dict.fromkeys(("open_case", "open_report"), _open),
    "start_import": _import,
    "bulk_post_stage": _bulk,
    **dict.fromkeys(("read_import", "read_import_lines"), _job),
    "read_entries": _leaves,
    "read_receipt": _receipt,
    **dict.fromkeys(
        ("list_cases", "read_worklist", "list_deadlines", "search_cases", "read_events", "count_cases", "read_audit_events", "read_audit_event"),
        _anybody,
    ),
    **dict.fromkeys(("read_me", "check_signature"), _anybody),
    **dict.fromkeys(
        (
            "read_ledger", "read_checkpoint", "read_tile", "prove_inclusion", "prove_consistency", "cosign_checkpoint", "issue_token",
            "revoke_token", "read_jwks", "read_authorization_server", "read_protected_resource", "read_reference", "list_reference",
            "read_access_matrix", "live", "ready",
        ),
        _anybody,
    ),
    **dict.fromkeys(
        (
            "register_party", "anchor_party", "revise_calendar", "erase_person", "list_parties", "set_signature_policy", "register_client", "list_clients", "register_key", "list_keys",
            "set_grant", "list_grants", "grant_mandate", "list_mandates", "end_mandate", "suspend_party", "resume_party",
            "suspend_client", "resume_client", "suspend_key", "resume_key", "approve_change", "refuse_change", "list_changes",
            "read_change", "move_clock", "add_employer", "list_employers", "add_regency", "list_regencies",
        ),
        _operator,
    ),
}  # fmt: skip


def rule_of(name: str) -> Any:
    """Return the rule of an operation.
    An operation without a rule has no row: LookupError, and the test suite fails.
    """
    for act in ROWS:  # one operation for each stage
        verb, of_stages, _ = (act.operation or "").partition("{stage}")
        if of_stages and name.startswith(verb):
            return BY_WHO[act.who]
    if name not in RULES:
        raise LookupError(f"the access matrix has no rule for {name}: say in app/matrix/cells.py who gets what")
    return RULES[name]
