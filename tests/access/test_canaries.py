"""Canaries in every personal field: each is heard where the matrix lets it, and nowhere else: no body, header, problem, log line, event or row."""

import base64
import io
import json
import logging
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from app.matrix import cells
from app.matrix import situations as lives
from app.matrix.situations import Situation, situations
from app.procedure.loading import rulebook
from app.recovery.tables import METADATA
from tests.access.credentials import registered
from tests.matrix.test_matrix import DOCUMENT, NAME
from tests.support.house import PPK_EMPLOYER, Case, House
from tests.support.walks import body_for, first_body

SONG = "KENARI"
OURS = ("sbt", "uvicorn")


def canary(name: str) -> str:
    return f"{SONG}-{name.replace('_', '-')}"


def planted(body: dict[str, Any]) -> dict[str, Any]:
    """The body with a canary in every personal field that is there, and in those that may be there."""
    found = dict(body)
    for name, known in rulebook().vocabulary.fields.items():
        if not known.personal or name == "subject_nip" or (name not in body and name not in ("documents", "reason")):
            continue
        song: Any = canary(name)
        if known.type == "[string]":
            found[name] = [song]
        elif known.type == "[evidence]":
            found[name] = [{"kind": "foto", "note": song}]
        elif known.type in ("string", "text") and name in body:
            found[name] = song
    return found


@dataclass
class Planted:
    """A case full of canaries: which of them lies in which stage."""

    api: House
    situation: Situation
    case: Case
    nip: str
    stages: dict[str, set[str]] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)  # what the writers were answered


@pytest.fixture(scope="module")
def sung(house: House) -> Planted:
    house.at("2025-07-01")
    house.add_ppk()
    situation = next(s for s in situations() if s.name == "ditutup_di_ppk")
    row = next(r for r in lives.read_situations() if r["name"] == situation.name)
    (_, outcome), *path = row["path"]
    opening = first_body(
        situation.procedure,
        outcome,
        subject__name=canary("subject-name-of-opening"),
        subject__agency_code=PPK_EMPLOYER,
        report__reporter={
            "name": canary("reporter-name"),
            "address": canary("reporter-address"),
            "phone": "+62811KENARI",
        },
        incident__account=canary("account"),
    )
    opening["body"] = planted(opening["body"])
    answer = house.send(situation.opened_by, "/v1/cases", opening)
    assert answer.status_code == 201, answer.text
    found = Planted(
        house,
        situation,
        Case(answer.json()["id"], answer.headers["ETag"], situation.procedure),
        opening["subject"]["nip"],
    )
    found.stages[row["path"][0][0]], found.said = set(opening["body"]), [answer.text]
    for code, chosen in path:
        sent = body_for(situation.procedure, code, chosen)
        sent["body"] = planted(sent["body"])
        turn = house.turn(found.case, code)
        found.said.append(house.post(NAME.get(turn, turn), found.case, code, chosen, sent).text)
        found.stages[code] = set(sent["body"])
    return found


@pytest.fixture(scope="module")
def asking(house: House) -> Callable[..., httpx.Response]:
    """A request of a party of the matrix: the stranger without a token, the suspended with one that was good before."""
    gone = registered(house, "kemenpanrb")
    token = gone.token()
    assert house.send("operator", f"/v1/admin/clients/{gone.client_id}/suspensions", None).status_code == 201

    def ask(method: str, party: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        mine = {n.replace("_", "-"): v for n, v in headers.items()}
        if party == cells.SUSPENDED:
            mine |= {"Authorization": f"Bearer {token}"}
        elif party != cells.STRANGER:
            mine |= house.headers(NAME.get(party, party))
        return house.http.request(method, path, json=body, headers=mine)

    return ask


def heard(text: str) -> set[str]:
    """The canaries in a text."""
    songs = {part.split('"')[0].split("\\")[0].split("<")[0].split(",")[0] for part in text.split(SONG)[1:]}
    return {SONG + song for song in songs}


def unzipped(answer: httpx.Response) -> str:
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        return "\n".join(archive.read(n).decode(errors="replace") for n in archive.namelist() if n != "verify.py")


def may_hear(party: str, found: Planted, operation: str, stage: str = "") -> set[str]:
    """As the matrix has it."""
    case = found.situation
    if party in (cells.STRANGER, cells.SUSPENDED) or not lives.sees(party, case):
        return set()
    shown = cells.expected(next(o for o in cells.operations(DOCUMENT) if o.name == "read_case"), party, case).shows
    person = {canary("subject-name-of-opening")} if "/subject/name" in shown else set()
    reporter = {canary("reporter-name"), canary("reporter-address"), "KENARI"} if "/report/reporter" in shown else set()
    account = {canary("account")} if "/incident/account" in shown else set()
    fields = {
        code: {canary(n) for n in cells.stage_members(party, case.stages[code], case) if n in found.stages[code]}
        for code in found.stages
    }
    return {
        "read_case": person | reporter | account,
        "read_stage": fields.get(stage, set()),
        "read_bundle": person | reporter | account | set().union(*fields.values()),
    }.get(operation, set())


def reads(found: Planted) -> Iterator[tuple[str, str, str]]:
    """Every GET there is: operation, stage, address."""
    case = found.case.id
    for operation in cells.operations(DOCUMENT):
        if operation.method != "GET":
            continue
        if operation.name == "read_stage":
            for code in found.stages:
                yield operation.name, code, f"/v1/cases/{case}/stages/{code}"
            continue
        values = {
            "case_id": case,
            "entry": case,
            "job": case,
            "change": case,
            "event_id": case,
            "log": "cases",
            "level": "0",
        }
        path = operation.path.format_map(values | {"path": "000.p/1", "name": "fields"})
        yield (
            operation.name,
            "",
            path + {"read_events": "?limit=200", "list_cases": "?limit=200"}.get(operation.name, ""),
        )


@pytest.mark.parametrize("party", cells.parties())
def test_a_canary_is_heard_where_the_matrix_lets_it_and_nowhere_else(
    sung: Planted, asking: Callable[..., httpx.Response], party: str, caplog: pytest.LogCaptureFixture
) -> None:
    for name in OURS:
        caplog.set_level(logging.DEBUG, name)
    wrong = []
    for purpose in ("penanganan", "audit", None):
        for operation, stage, path in reads(sung):
            headers = {"X_Purpose": purpose} if purpose else {}
            answer = asking("GET", party, path, **headers)
            text = unzipped(answer) if answer.headers["content-type"] == "application/zip" else answer.text
            found = heard(text) | heard(json.dumps(dict(answer.headers)))
            allowed = may_hear(party, sung, operation, stage)
            if not found <= allowed or (sung.nip in text and "/subject/nip" not in shows(party, sung)):
                wrong.append((operation, stage, purpose, found - allowed))
    assert wrong == []
    assert SONG not in "".join(r.getMessage() + str(r.exc_text) for r in caplog.records if r.name.startswith(OURS))


def shows(party: str, found: Planted) -> tuple[str, ...]:
    read = next(o for o in cells.operations(DOCUMENT) if o.name == "read_case")
    return cells.expected(read, party, found.situation).shows


@pytest.mark.parametrize("party", cells.parties())
def test_a_search_tells_a_canary_to_nobody(
    sung: Planted, asking: Callable[..., httpx.Response], party: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Who may search knows the number it asks for; the name and whatever else was written stay where they are."""
    for name in OURS:
        caplog.set_level(logging.DEBUG, name)
    for purpose in ("penanganan", "audit", None):
        headers = {"X_Purpose": purpose} if purpose else {}
        answer = asking("POST", party, "/v1/cases/search", {"nip": sung.nip}, **headers)
        assert heard(answer.text + json.dumps(dict(answer.headers))) == set(), (purpose, answer.text)
        assert sung.nip not in answer.text or "/subject/nip" in shows(party, sung), (purpose, answer.text)
        if (party, purpose) in (("bkn", "penanganan"), ("auditor", "audit")):
            assert sung.case.id in {c["id"] for c in answer.json()["data"]}, "the search that was asked finds it"
    logged = "".join(r.getMessage() + str(r.exc_text) for r in caplog.records if r.name.startswith(OURS))
    assert SONG not in logged and sung.nip not in logged


def test_the_answer_to_a_post_repeats_no_canary(sung: Planted) -> None:
    assert len(sung.said) == len(sung.stages)
    assert [text for text in sung.said if SONG in text or sung.nip in text] == []


def test_every_canary_is_heard_by_somebody(sung: Planted) -> None:
    """Else a silent one would prove nothing."""
    everything: set[str] = set()
    for party in ("bkn", "bawaslu", "ppk_banda_aceh"):
        for _, _, path in reads(sung):
            answer = sung.api.get(party, path, X_Purpose="penanganan")
            if answer.headers["content-type"] != "application/zip":
                everything |= heard(answer.text)
    vocabulary = rulebook().vocabulary.fields
    wanted = {canary(n) for names in sung.stages.values() for n in names if vocabulary[n].personal and vocabulary[n].type in ("string", "text", "[string]", "[evidence]") and n != "subject_nip"}  # fmt: skip
    assert wanted and wanted <= everything, wanted - everything
    assert {
        canary(n) for n in ("subject-name-of-opening", "reporter-name", "reporter-address", "account")
    } <= everything


def test_no_row_and_no_leaf_holds_a_canary(sung: Planted) -> None:
    """Not as text, not as bytes, in no table: what is personal lies in the vault, encrypted."""
    texts = [SONG, SONG.encode().hex(), base64.b64encode(SONG.encode()).decode()[:7], sung.nip, sung.nip.encode().hex()]
    for table in METADATA.tables:
        for text in texts:
            rows = sung.api.superuser(f'SELECT 1 FROM "{table}" t WHERE t::text LIKE %s LIMIT 1', f"%{text}%")
            assert rows == [], (table, text)


def test_refusals_repeat_no_canary(sung: Planted) -> None:
    api, path = sung.api, f"/v1/cases/{sung.case.id}"
    bad: list[Any] = [
        {"outcome": SONG, "body": {SONG: SONG}},
        {"outcome": "lolos", "body": {"decided_on": SONG, "reason": [SONG], "subject_nip": SONG}},
    ]
    for party in ("bkn", "bawaslu", "kemendagri", "operator"):
        for body in bad:
            for where in ("/stages/verifikasi_satgas", "/stages/kajian_bawaslu", "/withdrawals"):
                answer = api.send(party, f"{path}{where}", body, If_Match='"1"')
                assert answer.status_code >= 400 and SONG not in answer.text, answer.text
