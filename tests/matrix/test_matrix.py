"""The access matrix, cell by cell, against the running service: a stranger, a suspended client, a curious agency and the operator get just that."""

import itertools
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from app.cases.acts import ROWS
from app.matrix import cells
from app.matrix import situations as lives
from app.matrix.cells import (
    ACCOUNT,
    CONFLICT,
    FORBIDDEN,
    IDENTITY,
    MISSING,
    OK,
    REPORTER,
    UNAUTHORIZED,
    Cell,
    Operation,
)
from app.matrix.situations import Situation, situations
from app.procedure.loading import rulebook
from tests.access.credentials import registered
from tests.support.house import PPK_EMPLOYER, Case, House
from tests.support.walks import body_for, first_body

DOCUMENT = json.loads((Path(__file__).parents[2] / "openapi" / "openapi.json").read_text())
OPERATIONS = cells.operations(DOCUMENT)
NIK = itertools.count(1)
STALE = '"9999"'
REFUSED_STALE = 412
NAME = {"ppk": "ppk_banda_aceh"}


@dataclass
class Made:
    """A situation as it was made in the service."""

    situation: Situation
    case: Case
    opening: dict[str, Any]
    entry: str
    bodies: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass
class World:
    """Every situation, a token for each party, a job for each opener."""

    api: House
    made: list[Made]
    tokens: dict[str, str]
    jobs: dict[str, str]
    look: str

    def bearer(self, party: str) -> dict[str, str]:
        return {} if party == cells.STRANGER else {"Authorization": f"Bearer {self.tokens[party]}"}


@pytest.fixture(scope="module")
def world(house: House) -> World:
    rows = {row["name"]: row for row in lives.read_situations()}
    house.at("2025-07-01")
    house.add_ppk()
    made = [_make(house, s, rows[s.name]) for s in situations()]
    house.at("2025-07-01")
    jobs = {party: _job(house, party) for party in {m.situation.opened_by for m in made}}
    gone = registered(house, "kemenpanrb")
    tokens = {p: house.token(NAME.get(p, p)) for p in cells.parties() if p not in (cells.STRANGER, cells.SUSPENDED)}
    tokens[cells.SUSPENDED] = gone.token()
    assert house.send("operator", f"/v1/admin/clients/{gone.client_id}/suspensions", None).status_code == 201
    look = house.get("auditor", "/v1/audit/events?limit=1").json()["data"][0]["id"]
    return World(house, made, tokens, jobs, look)


def _make(api: House, situation: Situation, row: dict[str, Any]) -> Made:
    api.at(row["day"])
    (stage, outcome), *path = row["path"]
    person = {"subject__agency_code": PPK_EMPLOYER} if row.get("ppk") else {}
    reporter = {"name": "Pelapor Matriks", "address": "Jalan Contoh 1"}
    opening = first_body(situation.procedure, outcome, report__reporter=reporter, **person)
    opening["subject"]["nik"] = f"317503150890{next(NIK):04}"
    answer = api.send(situation.opened_by, "/v1/cases", opening)
    assert answer.status_code == 201, answer.text
    made = Made(
        situation,
        Case(answer.json()["id"], answer.headers["ETag"], situation.procedure),
        opening,
        answer.json()["entry"]["id"],
    )
    made.bodies[stage] = opening["body"]
    for code, chosen in path:
        sent = body_for(situation.procedure, code, chosen)
        api.post(NAME.get(api.turn(made.case, code), api.turn(made.case, code)), made.case, code, chosen, sent)
        made.bodies[code] = sent["body"]
    api.at("2025-07-01")
    if "transfer" in row:
        _transfer(api, made, row["transfer"])
    if row.get("erase"):
        assert api.erase(made.case.id).status_code == 201
    made.case.etag = api.get("auditor", f"/v1/cases/{made.case.id}").headers["ETag"]
    return made


def _transfer(api: House, made: Made, said: dict[str, str]) -> None:
    giver = lives.filler(said["role"], next(s for s in situations() if s.name == "ditinggalkan_kasn"))
    assert giver is not None
    body = {"reason": "Contoh.", **said}
    answer = api.send(giver, f"/v1/cases/{made.case.id}/transfers", body, If_Match=made.case.etag)
    assert answer.status_code == 201, answer.text


def _job(api: House, party: str) -> str:
    headers = api.headers(party, Content_Type="application/x-ndjson", Idempotency_Key=str(uuid4()))
    answer = api.http.post("/v1/imports", content=b"{}", headers=headers)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def path_of(operation: Operation, made: Made, world: World) -> str:
    values = {
        "case_id": made.case.id, "stage": cells.stage_of(operation, made.situation), "entry": made.entry,
        "job": world.jobs[made.situation.opened_by], "log": "cases", "level": "0", "path": "000.p/1", "name": "violations",
        "party": "nobody", "client": "nobody", "kid": "nobody", "change": str(uuid4()), "event_id": world.look,
    }  # fmt: skip
    return operation.path.format(**values)


def body_of(operation: Operation, made: Made) -> Any:
    """A body that is sound, so that only rights decide."""
    name, case = operation.name, made.situation
    code = cells.stage_of(operation, case)
    if name.startswith(("post_", "correct_")):
        procedure = (
            case.procedure if code in case.stages else next(p.code for p in rulebook().current() if code in p.stages)
        )
        sent = body_for(procedure, code, next(iter(rulebook().procedures[procedure].stages[code].outcomes)))
        return sent if name.startswith("post_") else {"body": sent["body"], "reason": "Contoh."}
    if name == "open_report":
        shared = {
            n: made.opening[n]
            for n in ("report", "election", "contest", "incident", "violations", "outcome", "body")
            if n in made.opening
        }
        return {**shared, "persons": [{"subject": made.opening["subject"]}]}
    sent = body_for(case.procedure, code, next(iter(case.stages[code].outcomes)))
    item = {"case_id": made.case.id, "if_match": STALE, **sent}
    role = next(s.role for s in rulebook().vocabulary.succession)
    return {
        "open_case": {**made.opening, "report": {**made.opening["report"], "report_number": "UJI-LAGI"}},
        "bulk_post_stage": {"stage": code, "posts": [item]},
        "confirm_receipt": {"received_on": "2025-06-30"},
        **{str(act.operation): {"reason": "Contoh."} for act in ROWS if act.reasoned},
        "pause_stage": {"reason": "Contoh.", "until": "2025-07-03"},
        "reopen_case": {"reason": "Contoh.", "stage": code},
        "transfer_role": {"reason": "Contoh.", "role": role, "to": "bkn"},
        "search_cases": {"nip": made.opening["subject"]["nip"]},
        "move_clock": {"now": "2000-01-01T00:00:00Z"},
    }.get(name, {})


def ask(world: World, party: str, operation: Operation, made: Made, **headers: str) -> httpx.Response:
    sent = world.bearer(party) | {n.replace("_", "-"): v for n, v in headers.items()}
    path = path_of(operation, made, world)
    if operation.name in ("prove_inclusion", "prove_consistency"):
        path += "?index=0&size=1" if operation.name == "prove_inclusion" else "?from=0&to=1"
    if operation.method == "GET":
        return world.api.http.get(path, headers=sent)
    sent |= {"Idempotency-Key": str(uuid4())}
    sent |= {"X-Purpose": "audit" if party == "auditor" else "penanganan"} if operation.name == "search_cases" else {}
    if operation.name == "start_import":
        return world.api.http.post(path, content=b"", headers=sent | {"Content-Type": "application/x-ndjson"})
    if operation.name == "cosign_checkpoint":
        return world.api.http.post(path, content=b"x", headers=sent | {"Content-Type": "text/plain"})
    return world.api.http.request(operation.method, path, json=body_of(operation, made), headers=sent)


# What an allowed write is answered with here, so that nothing is written: a stale version, a duplicate, an empty file, an unknown row.
# Whoever may not know whose number it is opens another case: no answer says that there is one.
ALLOWED: dict[str, set[int]] = {
    "open_case": {201, 409}, "open_report": {409}, "start_import": {422}, "move_clock": {422},
    "issue_token": {400, 401}, "revoke_token": {400, 401}, "cosign_checkpoint": {422}, "ready": {200, 503},
    **{o.name: {201, 202, 404, 409, 422} for o in OPERATIONS if o.path.startswith("/v1/admin") and o.method == "POST"},
    "read_change": {404},
}  # fmt: skip


def answers(operation: Operation, cell: Cell) -> set[int]:
    if cell.status in (UNAUTHORIZED, FORBIDDEN, MISSING, 422):
        return {cell.status}
    if operation.name in ALLOWED:
        return ALLOWED[operation.name]
    return {OK} if operation.method == "GET" or cell.status == OK else {REFUSED_STALE}


def on_a_case(operation: Operation, case: Situation) -> bool:
    """Whether its answer may differ from case to case. A stage of another procedure is asked of the first case."""
    if operation.name.startswith(("post_", "correct_")) and cells.stage_of(operation, case) not in case.stages:
        return False
    return "{case_id}" in operation.path or operation.name in ("read_import", "read_import_lines", "read_receipt")


@pytest.mark.parametrize("party", cells.parties())
def test_every_operation_answers_a_party_as_the_matrix_says(world: World, party: str) -> None:
    wrong = []
    for made in world.made:
        for operation in OPERATIONS:
            if made is not world.made[0] and not on_a_case(operation, made.situation):
                continue
            cell = cells.expected(operation, party, made.situation)
            fresh = operation.name.startswith("post_") and cell.status == CONFLICT
            answer = ask(world, party, operation, made, If_Match=made.case.etag if fresh else STALE)
            wanted = {CONFLICT} if fresh else answers(operation, cell)
            if answer.status_code not in wanted:
                wrong.append((operation.name, made.situation.name, cell.status, answer.status_code, answer.text[:200]))
    assert wrong == []


GUARDED = (*IDENTITY, *REPORTER, *ACCOUNT)


def shown(seen: Any) -> set[str]:
    """Guarded members that are not null."""
    found = set()
    for pointer in GUARDED:
        value = seen
        for name in pointer.strip("/").split("/"):
            value = value[name]
        found |= {pointer} if value is not None else set()
    return found


READERS = [p for p in cells.parties() if p not in (cells.STRANGER, cells.SUSPENDED)]


@pytest.mark.parametrize("party", READERS)
def test_a_case_shows_a_party_exactly_the_members_the_matrix_says(world: World, party: str) -> None:
    read = next(o for o in OPERATIONS if o.name == "read_case")
    purpose = "audit" if party == "auditor" else "penanganan"
    for made in world.made:
        cell = cells.expected(read, party, made.situation)
        if cell.status != OK:
            continue
        with_purpose = ask(world, party, read, made, X_Purpose=purpose).json()
        assert shown(with_purpose) == set(cell.shows), (made.situation.name, "with a purpose")
        without = ask(world, party, read, made).json()
        assert shown(without) == set(cell.shows) & set(ACCOUNT), (made.situation.name, "without a purpose")


@pytest.mark.parametrize("party", READERS)
def test_a_stage_shows_a_party_exactly_the_members_the_matrix_says(world: World, party: str) -> None:
    purpose = "audit" if party == "auditor" else "penanganan"
    for made in world.made:
        if not lives.sees(party, made.situation) or lives.kind_of(party) == "operator":
            continue
        for code, body in made.bodies.items():
            headers = world.bearer(party) | {"X-Purpose": purpose}
            seen = world.api.http.get(f"/v1/cases/{made.case.id}/stages/{code}", headers=headers).json()
            last = [r for r in seen["rounds"] if r["status"] == "posted"][-1]["body"] or {}
            wanted = set(cells.stage_members(party, made.situation.stages[code], made.situation)) & set(body)
            assert {n for n, v in last.items() if v is not None} == wanted, (made.situation.name, code)


@pytest.mark.parametrize("party", READERS)
def test_lists_and_searches_show_a_party_the_cases_it_sees_and_no_other(world: World, party: str) -> None:
    purpose = "audit" if party == "auditor" else "penanganan"
    headers = world.bearer(party) | {"X-Purpose": purpose}
    if lives.kind_of(party) == "operator":
        pytest.skip("it has no scope for lists: another cell")
    for made in world.made:
        case = made.situation
        number = made.opening["report"]["report_number"]
        listed = world.api.http.get(f"/v1/cases?report_number={number}", headers=headers).json()["data"]
        assert [c["id"] for c in listed] == ([made.case.id] if lives.sees(party, case) else []), case.name
        found = world.api.http.post(
            "/v1/cases/search", json={"nip": made.opening["subject"]["nip"]}, headers=headers
        ).json()["data"]
        knows = lives.sees(party, case) and lives.identifies(party, case) and not case.erased
        assert (made.case.id in {c["id"] for c in found}) == knows, case.name


def test_every_route_has_a_row_and_every_row_a_route() -> None:
    names = {o.name for o in OPERATIONS}
    for name in names:
        assert cells.rule_of(name)
    assert set(cells.RULES) <= names, "a rule for a route that is gone"
    with pytest.raises(LookupError):
        cells.rule_of("made_up")


def test_every_state_is_in_the_matrix_for_somebody() -> None:
    found = {cells.state(party, case) for party in cells.parties() for case in situations()}
    assert found == {"own", "others", "closed", "transferred", "not_theirs", "erased"}
    for party in ("bawaslu", "bkn", "kemendagri", "kemenpanrb", "ppk"):
        assert "own" in {cells.state(party, case) for case in situations()}, party


def test_the_matrix_is_published_with_a_row_for_every_operation_and_party(api: House) -> None:
    answer = api.http.get("/v1/reference/access-matrix")
    assert answer.status_code == 200 and answer.headers["etag"] and "max-age" in answer.headers["cache-control"]
    rows = answer.json()["data"]
    assert {(r["operation"], r["party"]) for r in rows} == {(o.name, p) for o in OPERATIONS for p in cells.parties()}
    again = api.http.get("/v1/reference/access-matrix", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304
