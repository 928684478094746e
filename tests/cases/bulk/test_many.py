"""Several at once, and the same thing twice: reports of many persons, bulk posts, duplicates."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import psycopg

from app.database import embedded, roles
from tests.http.test_limits import measures
from tests.support.house import House, refusal
from tests.support.replaying import check_replay
from tests.support.walks import body_for, first_body


def opening(**changes: Any) -> dict[str, Any]:
    return first_body("sbt_2024", **changes)


def again(body: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Another report of the same matter."""
    copy = {**body, "report": {**body["report"], "report_number": f"UJI-{uuid4().int % 10**9:09}"}}
    return copy | changes


def test_the_same_person_election_day_and_form_is_one_case(api: House) -> None:
    api.at("2024-10-10")
    body = opening()
    first = api.send("bkn", "/v1/cases", body)
    answer = api.send("bkn", "/v1/cases", again(body))
    assert refusal(answer) == (409, "DUPLICATE_CASE")
    case = first.json()["id"]
    assert answer.json()["cases"] == [{"id": case, "number": first.json()["number"], "href": f"/v1/cases/{case}"}]
    assert body["subject"]["nip"] not in answer.text
    overridden = api.send("bkn", "/v1/cases", again(body, duplicate_override="Peristiwa lain pada hari yang sama."))
    assert overridden.status_code == 201
    check_replay(api, overridden.json()["id"])


def test_no_answer_tells_whoever_may_not_identify_that_a_case_is_about_a_person(api: House) -> None:
    """Else a number that is guessed, with an election, a day and a form, would be confirmed by a 409."""
    api.at("2024-10-10")
    body = opening()
    first = api.send("bkn", "/v1/cases", body).json()["id"]
    guess = api.send("bawaslu", "/v1/cases", again(body))
    assert guess.status_code == 201 and first not in guess.text


def test_another_day_form_election_or_person_is_another_case(api: House) -> None:
    api.at("2024-10-10")
    body = opening(violations=["ds_13", "ds_14"])
    assert api.send("bkn", "/v1/cases", body).status_code == 201
    for changes in (
        {"incident": {**body["incident"], "occurred_on": "2024-09-30"}},
        {"violations": ["ds_06"]},
        {"subject": {**body["subject"], "nip": opening()["subject"]["nip"]}},
    ):
        assert api.send("bkn", "/v1/cases", again(body, **changes)).status_code == 201, changes
    assert refusal(api.send("bkn", "/v1/cases", again(body, violations=["ds_13"])))[1] == "DUPLICATE_CASE"


def test_a_name_alone_makes_nobody_the_same(api: House) -> None:
    api.at("2024-10-10")
    for _ in range(2):
        body = opening(outcome="perlu_identifikasi", subject__nip=None, subject__name="Siti Contoh")
        assert api.send("bkn", "/v1/cases", body).status_code == 201


def test_of_eight_openings_of_one_case_at_once_one_is_there(api: House) -> None:
    api.at("2024-10-10")
    body = opening()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: api.send("bkn", "/v1/cases", again(body)), range(8)))
    codes = sorted(a.status_code for a in answers)
    assert codes == [201] + [409] * 7, [a.text[:200] for a in answers]


def test_of_two_openings_that_both_found_nothing_the_second_waits_and_finds_the_first(api: House) -> None:
    """Neither can write while the table of keys is held: without a lock of their own both would have looked already."""
    api.at("2024-10-10")
    body = opening()
    url = roles.plain(api.server.url(embedded.SUPERUSER, api.server.password, roles.DATABASE))
    with ThreadPoolExecutor(2) as pool:
        with psycopg.connect(url) as held:
            held.execute("LOCK TABLE idempotency IN EXCLUSIVE MODE")
            answers = [pool.submit(api.send, "bkn", "/v1/cases", again(body)) for _ in range(2)]
            time.sleep(0.8)
        assert sorted(a.result().status_code for a in answers) == [201, 409]


def report(*persons: dict[str, Any], **changes: Any) -> dict[str, Any]:
    body = first_body("sbt_2024", **changes)
    shared = {n: body[n] for n in ("report", "election", "incident", "violations", "outcome", "body")}
    return {**shared, "persons": [{"subject": opening()["subject"], **p} for p in persons]}


def test_one_report_of_three_persons_opens_three_cases_that_share_its_number(api: House) -> None:
    api.at("2024-10-10")
    unknown = {"outcome": "perlu_identifikasi"}
    sent = report({}, {"violations": ["ds_14"]}, unknown)
    sent["persons"][2]["subject"] = {**sent["persons"][2]["subject"], "nip": None}
    answer = api.send("bkn", "/v1/reports", sent)
    assert answer.status_code == 201, answer.text
    cases = answer.json()["cases"]
    assert len({c["number"] for c in cases}) == len(cases) == 3
    assert [c["status"] for c in cases] == ["menunggu_verifikasi", "menunggu_verifikasi", "menunggu_identifikasi"]
    listed = api.get("bkn", f"/v1/cases?report_number={sent['report']['report_number']}").json()["data"]
    assert {c["id"] for c in listed} == {c["id"] for c in cases}
    for case in cases:
        check_replay(api, case["id"])
    shown = api.accesses(answer.headers["x-request-id"])
    assert {str(row.case_ids[0]) for row in shown} == {c["id"] for c in cases}


def test_if_one_person_of_a_report_is_refused_no_case_is_there(api: House) -> None:
    api.at("2024-10-10")
    sent = report({}, {"violations": ["ke_04"]})
    before = api.superuser("SELECT count(*) AS n FROM cases")[0].n
    answer = api.send("bkn", "/v1/reports", sent)
    assert refusal(answer) == (422, "CHARGE_NOT_IN_PHASE")
    assert answer.json()["errors"][0]["pointer"] == "/persons/1/violations/0"
    assert api.superuser("SELECT count(*) AS n FROM cases")[0].n == before
    twice = report({})
    twice["persons"].append(twice["persons"][0])
    answer = api.send("bkn", "/v1/reports", twice)
    assert answer.status_code == 422 and answer.json()["errors"][0]["pointer"] == "/persons/1/subject"
    wrong = api.send("bkn", "/v1/reports", {**report({}), "election": "pilkada_1999"})
    assert wrong.json()["errors"][0]["pointer"] == "/election", "what was said of all is not the person's fault"
    assert api.superuser("SELECT count(*) AS n FROM cases")[0].n == before


def test_a_report_is_opened_once_however_often_it_is_sent(api: House) -> None:
    api.at("2024-10-10")
    sent, key = report({}, {}), str(uuid4())
    first, second = (api.send("bkn", "/v1/reports", sent, Idempotency_Key=key) for _ in range(2))
    assert first.json() == second.json() and second.headers["Idempotent-Replayed"] == "true"
    other = api.send("bkn", "/v1/cases", opening(), Idempotency_Key=key)
    assert refusal(other) == (422, "IDEMPOTENCY_KEY_REUSED")


def test_a_backlog_of_first_verifications_is_posted_at_once_each_with_its_result(api: House) -> None:
    api.at("2024-10-10")
    cases = [api.open() for _ in range(5)]
    lolos = body_for("sbt_2024", "verifikasi_satgas", "lolos")
    posts = [{"case_id": c.id, "if_match": c.etag, **lolos} for c in cases]
    posts[1]["if_match"] = '"7"'
    posts[2] = {**posts[2], **body_for("sbt_2024", "verifikasi_satgas", "ditolak")}
    posts[3]["case_id"] = str(uuid4())
    key = str(uuid4())
    answer = api.send("bkn", "/v1/stage-posts", {"stage": "verifikasi_satgas", "posts": posts}, Idempotency_Key=key)
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert (said["posted"], said["refused"]) == (3, 2)
    assert [r["status"] for r in said["results"]] == [201, 412, 201, 404, 201]
    assert said["results"][1]["problem"]["code"] == "STALE_VERSION"
    assert said["results"][2]["written"]["status"] == "ditolak"
    assert api.get("bkn", f"/v1/cases/{cases[1].id}").json()["open_stages"] == ["verifikasi_satgas"]
    assert [row.status for row in api.accesses(answer.headers["x-request-id"])].count(201) == 3
    other = {
        "stage": "pelengkapan_data",
        "posts": [{**posts[0], **body_for("sbt_2024", "pelengkapan_data", "dilengkapi")}],
    }
    for wrong in (other, {"stage": "verifikasi_satgas", "posts": [*posts, {**posts[0], "case_id": api.open().id}]}):
        reused = api.send("bkn", "/v1/stage-posts", wrong, Idempotency_Key=key)
        assert refusal(reused) == (422, "IDEMPOTENCY_KEY_REUSED"), "a key is good for just this, and nothing is posted"
    again_ = api.send("bkn", "/v1/stage-posts", {"stage": "verifikasi_satgas", "posts": posts}, Idempotency_Key=key)
    assert [r["status"] for r in again_.json()["results"]] == [201, 412, 201, 404, 201], "what is there stays, once"
    for case in cases:
        check_replay(api, case)


def test_bulk_posts_need_the_stages_scope_and_mandate_and_a_right_shape(api: House) -> None:
    api.at("2024-10-10")
    case = api.open()
    item = {"case_id": case.id, "if_match": case.etag, **body_for("sbt_2024", "verifikasi_satgas", "lolos")}
    sent = {"stage": "verifikasi_satgas", "posts": [item]}
    other = api.send("kemendagri", "/v1/stage-posts", sent).json()["results"][0]
    assert other["problem"]["code"] == "NO_MANDATE_FOR_STAGE"
    headers = {"Authorization": f"Bearer {api.token('bkn', 'cases:read')}", "Idempotency-Key": str(uuid4())}
    narrow = api.http.post("/v1/stage-posts", json=sent, headers=headers)
    assert refusal(narrow) == (403, "INSUFFICIENT_SCOPE")
    wrong = {**sent, "posts": [item, {**item, "body": {}}]}
    answer = api.send("bkn", "/v1/stage-posts", wrong)
    assert answer.status_code == 422 and answer.json()["errors"][0]["pointer"].startswith("/posts/1/body/")
    assert api.get("bkn", f"/v1/cases/{case.id}").json()["version"] == 1, "a wrong shape posts nothing"
    assert refusal(api.send("bkn", "/v1/stage-posts", {**sent, "posts": [item] * 101}))[0] == 422


def test_two_reports_of_the_same_persons_the_other_way_round_do_not_block_each_other(api: House) -> None:
    api.at("2024-10-10")
    one = report(*({} for _ in range(12)))
    two = {**one, "persons": one["persons"][::-1], "report": {**one["report"], "report_number": "UJI-balik"}}
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda body: api.send("bkn", "/v1/reports", body).status_code, (one, two)))
    assert sorted(answers) == [201, 409]


def test_keys_that_look_alike_do_not_refuse_each_other(api: House) -> None:
    api.at("2024-10-10")
    keys = [f"{n:08x}-bbbb-4000-8000-00000000cafe" for n in range(8)]
    bodies = [opening() for _ in keys]
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(
            lambda pair: api.send("bkn", "/v1/cases", pair[0], Idempotency_Key=pair[1]), zip(bodies, keys, strict=True)
        )
    assert [a.status_code for a in answers] == [201] * 8


def test_a_hundred_posts_fit_into_one_request(api: House) -> None:
    api.at("2024-10-10")
    post = body_for("sbt_2024", "verifikasi_satgas", "lolos")
    post["body"]["summary_text"] = "x" * 3000
    items = [{"case_id": str(uuid4()), "if_match": '"1"', **post} for _ in range(100)]
    answer = api.send("bkn", "/v1/stage-posts", {"stage": "verifikasi_satgas", "posts": items})
    assert answer.status_code == 200 and answer.json()["refused"] == 100


def test_a_report_of_guesses_looks_nobody_up_when_one_of_its_persons_is_refused(api: House) -> None:
    """Valid guesses beside one wrong person told which guesses were right, and left no trace."""
    api.at("2024-10-10")
    known = opening()
    assert api.send("bkn", "/v1/cases", known).status_code == 201
    guesses = report({}, {}, incident=known["incident"], election=known["election"], violations=known["violations"])
    guesses["persons"][0]["subject"] = known["subject"]
    guesses["persons"][1]["subject"] = {**known["subject"], "nip": "199013012015031001"}
    answer = api.send("bkn", "/v1/reports", guesses)
    assert answer.status_code == 422 and answer.json()["at"] == "/persons/1", answer.text
    assert "cases" not in answer.json() and api.accesses(answer.headers["x-request-id"])[0].case_ids == []
    guesses["persons"].pop()
    assert refusal(api.send("bkn", "/v1/reports", guesses)) == (409, "DUPLICATE_CASE"), "it was a right guess"


def test_identities_that_a_client_looks_up_are_measured(api: House) -> None:
    """By searches, by openings, and by each person of a report."""
    api.at("2024-10-10")
    with measures(api, "identity=0.001/3"):
        searched = [
            api.send("kemendagri", "/v1/cases/search", {"nip": opening()["subject"]["nip"]}, X_Purpose="penanganan")
            for _ in range(4)
        ]
        assert [a.status_code for a in searched] == [200] * 3 + [429]
        assert api.send("bkn", "/v1/reports", report({}, {}, {})).status_code == 201
        assert refusal(api.send("bkn", "/v1/cases", opening())) == (429, "RATE_LIMITED")


def test_several_at_once_count_as_they_would_alone(api: House) -> None:
    """Also those that are refused: what costs is the look at them."""
    api.at("2024-10-10")
    items = [
        {"case_id": str(uuid4()), "if_match": '"1"', **body_for("sbt_2024", "verifikasi_satgas", "lolos")}
        for _ in range(9)
    ]
    with measures(api, "write=0.001/10, read=0.001/8, bulk=1/20"):
        sent = {"stage": "verifikasi_satgas", "posts": items}
        answers = [api.send("bkn", "/v1/stage-posts", sent).status_code for _ in range(2)]
        assert answers == [200, 429]
        pages = [api.get("bkn", "/v1/cases?limit=200").status_code for _ in range(3)]
        assert pages == [200, 200, 429], "a list of 200 weighs as much as four of 50"
