"""A guess costs the same and leaves the same trace, right or wrong; who was erased cannot be guessed by a request that named them."""

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import httpx
import psycopg
import pytest

from app.access.signatures import signing
from app.database import roles
from app.database.sessions import Database
from app.http.limits import RateBucket, RateLimiter
from tests.access.credentials import KeyClient, registered
from tests.cases.bulk.test_many import opening, report
from tests.cases.deadlines.test_terms import act
from tests.cases.stages.test_corrections import correction
from tests.http.test_limits import measures
from tests.support.house import House, refusal
from tests.support.walks import body_for, first_body

NAME, OTHER = "Nirmala Contoh Wijaya", "Siti Aminah Kenari"


def used(api: House, client: str) -> float:
    """How many identities the client has used of its measure, in seconds of the bucket."""
    rows = api.superuser("SELECT tat FROM rate_limit WHERE who = %s AND class = 'identity'", client)
    return float(rows[0].tat) if rows else 0.0


def post_with_nonce(mine: KeyClient, path: str, body: Any, nonce: str, etag: str) -> httpx.Response:
    raw = json.dumps(body).encode()
    with patch.object(signing, "uuid4") as made:
        made.return_value.hex = nonce
        headers = mine.headers(path, raw, If_Match=etag)
    return mine.api.http.post(path, content=raw, headers=headers)


@pytest.mark.parametrize("named", [NAME, OTHER])
def test_a_guess_with_a_nonce_that_another_request_is_using_costs_and_is_on_record(api: House, named: str) -> None:
    """The nonce is taken, but not committed: the comparison comes first, so a wrong guess must not be free."""
    api.at("2024-10-10")
    case = api.open(subject__name=NAME)
    stage = "verifikasi_satgas"
    mine, nonce = registered(api, api.turn(case, stage)), uuid4().hex
    body = body_for("sbt_2024", stage, "lolos")
    body["body"]["summary_text"] = f"Disampaikan kepada {named}."
    with psycopg.connect(roles.plain(api.urls.owner)) as holder, ThreadPoolExecutor(1) as pool:
        taking = "INSERT INTO used_once (kid, value, expires_at) VALUES (%s, %s, now() + interval '1 hour')"
        holder.execute(taking, [mine.sign_kid, nonce])
        committing = threading.Timer(0.5, holder.commit)
        committing.start()
        path = f"/v1/cases/{case.id}/stages/{stage}"
        answer = pool.submit(post_with_nonce, mine, path, body, nonce, case.etag).result()
        committing.join()
    assert refusal(answer) == ((422, "VALIDATION_FAILED") if named == NAME else (401, "SIGNATURE_INVALID"))
    (seen,) = api.accesses(answer.headers["x-request-id"])
    assert (seen.status, [str(one) for one in seen.case_ids]) == (answer.status_code, [case.id])
    assert used(api, mine.client_id) > 0


@pytest.mark.parametrize("guess", [NAME, OTHER])
def test_a_report_does_not_tell_by_another_person_of_it_who_was_erased(api: House, guess: str) -> None:
    api.at("2024-10-10")
    sent, key = report({}, {"subject": {**opening()["subject"], "name": NAME}}), str(uuid4())
    opened = api.send("bkn", "/v1/reports", sent, Idempotency_Key=key)
    assert opened.status_code == 201, opened.text
    erased = opened.json()["cases"][1]["id"]
    api.send("bkn", f"/v1/cases/{erased}/withdrawals", {"reason": "Laporan ganda."}, If_Match='"1"')
    assert api.erase(erased).status_code == 201
    sent["persons"][1]["subject"]["name"] = guess
    answer = api.send("bkn", "/v1/reports", sent, Idempotency_Key=key)
    assert refusal(answer) == (422, "IDEMPOTENCY_KEY_REUSED") and answer.json()["at"] == "/persons/1"


@pytest.mark.parametrize("guess", [NAME, OTHER])
def test_a_repeated_opening_does_not_tell_which_reporter_was_erased(api: House, guess: str) -> None:
    api.at("2024-10-10")
    sent, key = first_body("sbt_2024", report__reporter={"name": NAME}), str(uuid4())
    case = api.send("bkn", "/v1/cases", sent, Idempotency_Key=key).json()["id"]
    assert api.send("bkn", "/v1/cases", sent, Idempotency_Key=key).headers["Idempotent-Replayed"] == "true"
    assert api.erase(case, person="reporter").status_code == 201
    sent["report"]["reporter"]["name"] = guess
    assert refusal(api.send("bkn", "/v1/cases", sent, Idempotency_Key=key)) == (422, "IDEMPOTENCY_KEY_REUSED")


def test_comparing_by_a_repeated_request_or_by_a_correction_is_measured(api: House) -> None:
    """Each tells by its refusal whether what was sent is what is on record, the person included."""
    api.at("2024-10-10")
    case = api.walked("penyampaian_ppk")
    body = correction("sbt_2024", "kajian_bawaslu", "terbukti")
    key, sent = str(uuid4()), first_body("sbt_2024", subject__name=NAME)
    assert api.send("bkn", "/v1/cases", sent, Idempotency_Key=key).status_code == 201
    with measures(api, "identity=0.001/2"):
        found = [refusal(act(api, "bawaslu", case, "stages/kajian_bawaslu/corrections", body)) for _ in range(3)]
        assert found == [(409, "NOTHING_TO_CORRECT")] * 2 + [(429, "RATE_LIMITED")]
        for wrong in (OTHER, "Agus Salim Contoh"):
            sent["subject"]["name"] = wrong
            answer = api.send("bkn", "/v1/cases", sent, Idempotency_Key=key)
            assert refusal(answer) in {(422, "IDEMPOTENCY_KEY_REUSED"), (429, "RATE_LIMITED")}
        sent["subject"]["name"] = NAME
        assert refusal(api.send("bkn", "/v1/cases", sent, Idempotency_Key=key)) == (429, "RATE_LIMITED")


def test_guesses_at_once_are_no_more_than_guesses_one_after_the_other(api: House) -> None:
    """Those that run count as charged: twenty at once would all have asked before the first was charged."""

    async def begun() -> int:
        database = Database.connect(api.urls.app, size=2)
        await database.open()
        try:
            limits = RateLimiter(database, {"identity": RateBucket("identity", 0.001, 3)})
            fresh = sum(limits.used_up("somebody-fresh", "identity", running) is None for running in range(24))
            await limits.take("somebody-known", "identity")
            known = sum(limits.used_up("somebody-known", "identity", running) is None for running in range(24))
        finally:
            await database.close()
        return max(fresh, known)

    assert asyncio.run(begun()) <= 3
