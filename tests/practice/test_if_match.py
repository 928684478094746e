"""Between an agency and the service stand proxies and a clock: the version it has read stays good until people decide something."""

from typing import Any

import psycopg
import pytest

from app.cases.if_match import SERVICE_TYPES, read_if_match
from app.cases.locking import DECIDED
from app.cases.refusals import IfMatchInvalid
from app.database import embedded, roles
from tests.access.credentials import registered
from tests.audit.checking import audit
from tests.cases.reading.test_search_cost import blocks
from tests.support.house import Case, House, refusal
from tests.support.walks import body_for

STAGE, OUTCOME = "verifikasi_satgas", "lolos"
TAKEN = ['"1"', 'W/"1"', '"1-gzip"', '"1--gzip"', 'W/"1;br"', '"7", W/"1"', '"nothing", "1"', "*"]
NO_TAG = ["1", '"1', "W/1", "'1'", "abc", '"1" "2"', 'w/"1"', '*, "1"', '""1""']
NEVER_OURS = ['"abc"', '"01"', '"1-x"', '""', '"-1"', '"2"', 'W/"9"', '"1.0"']


def post(api: House, case: Case, if_match: str) -> Any:
    return api.try_post(api.turn(case, STAGE), case, STAGE, OUTCOME, If_Match=if_match)


@pytest.mark.parametrize("if_match", TAKEN)
def test_a_tag_that_a_proxy_has_weakened_marked_or_listed_is_the_same_version(api: House, if_match: str) -> None:
    assert post(api, api.open(), if_match).status_code == 201


@pytest.mark.parametrize("if_match", NO_TAG)
def test_what_is_no_tag_is_400_and_says_how_one_looks(api: House, if_match: str) -> None:
    answer = post(api, api.open(), if_match)
    assert refusal(answer) == (400, "IF_MATCH_INVALID") and 'If-Match: "3"' in answer.json()["detail"]


@pytest.mark.parametrize("if_match", NEVER_OURS)
def test_a_tag_of_another_version_or_of_another_thing_is_412(api: House, if_match: str) -> None:
    assert refusal(post(api, api.open(), if_match)) == (412, "STALE_VERSION")


def test_every_act_on_a_case_reads_if_match_by_one_rule(api: House) -> None:
    case = api.open()
    reason = {"reason": "Laporan dicabut oleh pelapor sendiri."}
    opener = "bkn"
    path = f"/v1/cases/{case.id}"
    acts: list[tuple[str, str, Any]] = [
        (opener, f"{path}/withdrawals", reason),
        (opener, f"{path}/stages/penerimaan/corrections", {"reason": "Salah ketik", "body": {}}),
        (api.turn(case, STAGE), f"{path}/stages/{STAGE}/pauses", {"until": "2099-01-01", **reason}),
        (api.turn(case, STAGE), f"{path}/stages/{STAGE}/extensions", reason),
    ]
    for party, where, body in acts:
        assert api.send(party, where, body, If_Match="1").json()["code"] in ("IF_MATCH_INVALID", "VALIDATION_FAILED")
    items = [
        {"case_id": case.id, "if_match": tag, **body_for("sbt_2024", STAGE, OUTCOME)} for tag in ("1", '"9"', 'W/"1"')
    ]
    results = api.send(api.turn(case, STAGE), "/v1/stage-posts", {"stage": STAGE, "posts": items}).json()["results"]
    assert [one["status"] for one in results] == [400, 412, 201]


def test_what_the_service_adds_by_itself_makes_no_version_stale_and_what_a_party_adds_does(api: House) -> None:
    api.at("2024-10-18")
    case = api.open()
    read = case.etag
    api.at("2025-06-02")
    assert api.watched() >= 1
    now = api.get("auditor", f"/v1/cases/{case.id}").headers["ETag"]
    assert now != read, "the due date has passed, and the case says so"
    posted = post(api, case, read)
    assert posted.status_code == 201, posted.text
    stale = api.send("bkn", f"/v1/cases/{case.id}/withdrawals", {"reason": "Dicabut."}, If_Match=now)
    assert refusal(stale) == (412, "STALE_VERSION")


def test_the_verifier_takes_what_the_service_took(api: House) -> None:
    """Signed: by a tag that a proxy weakened, and by the one from before a due date passed."""
    api.at("2024-10-18")
    weak, late = api.open(), api.open()
    path = "/v1/cases/{}/stages/" + STAGE
    mine = registered(api, api.turn(weak, STAGE))
    body = body_for("sbt_2024", STAGE, OUTCOME)
    assert mine.post(path.format(weak.id), body, If_Match='W/"1-gzip"').status_code == 201
    api.at("2025-06-02")
    assert api.watched() >= 1
    mine = registered(api, api.turn(late, STAGE))
    assert mine.post(path.format(late.id), body, If_Match='"1"').status_code == 201
    assert [finding for finding in audit(api).findings if finding.step == "signatures"] == []


def test_an_entry_of_the_service_closes_no_stage_and_drops_none(api: House) -> None:
    """This is why they make no version stale."""
    leaves = api.superuser(
        "SELECT convert_from(leaf, 'UTF8')::jsonb AS leaf FROM entry WHERE type = ANY(%s)", sorted(SERVICE_TYPES)
    )
    assert all(row.leaf["skips"] == [] for row in leaves)


def test_asking_what_people_last_decided_touches_the_newest_entries_alone(api: House) -> None:
    case = api.open()
    url = api.server.url(embedded.SUPERUSER, api.server.password, roles.DATABASE)
    values = {"case_id": case.id, "service_types": sorted(SERVICE_TYPES)}
    more = """
        INSERT INTO entry (id, log, type, case_id, seq, party, received_at, leaf)
        SELECT gen_random_uuid(), log, type, case_id, g, party, received_at, leaf || convert_to(g::text, 'UTF8')
        FROM (SELECT * FROM entry WHERE case_id = %s LIMIT 1) e, generate_series(2, 3000) g
    """
    with psycopg.connect(roles.plain(url)) as session:
        session.execute("ANALYZE entry")
        few = blocks(session, DECIDED, values)
        session.execute("SET LOCAL session_replication_role = replica")
        session.execute(more, [case.id])
        session.execute("ANALYZE entry")
        many = blocks(session, DECIDED, values)
        session.rollback()
    assert 0 < many <= few + 6, f"{few} blocks before, {many} with 3000 entries of the case"


@pytest.mark.parametrize("lines", [['"1"'], ['"1"', 'W/"2"'], ["*"], []])
def test_several_lines_are_one_list(lines: list[str]) -> None:
    read = read_if_match(lines)
    if not lines:
        assert read is None
    else:
        assert read is not None and read.allows(1, 1) and (read.allows(2, 2) == (lines != ['"1"']))


def test_a_list_without_end_is_refused() -> None:
    with pytest.raises(IfMatchInvalid):
        read_if_match([", ".join(['"1"'] * 200)])
