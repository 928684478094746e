"""The feed: agencies learn what became of their case, in the order of the log, and nothing of cases they do not see."""

import time
from typing import Any

from tests.access.credentials import registered
from tests.support.house import Case, House, refusal


def told(api: House, party: str, after: int = -1) -> list[dict[str, Any]]:
    """The whole feed from `after` on."""
    found: list[dict[str, Any]] = []
    while True:
        answer = api.get(party, f"/v1/events?after={after}&limit=200")
        assert answer.status_code == 200, answer.text
        found += answer.json()["data"]
        after = answer.json()["page"]["next_after"]
        if not answer.json()["page"]["has_more"]:
            return found


def told_of(api: House, party: str, case: Case, count: int) -> list[dict[str, Any]]:
    for _ in range(400):
        found = [event for event in told(api, party) if event["case"] == case.id]
        if len(found) >= count:
            return found
        time.sleep(0.02)
    raise AssertionError("not told")


def test_an_agency_learns_what_became_of_its_case(api: House) -> None:
    case = api.walked("kajian_bawaslu")
    events = told_of(api, "bawaslu", case, 2)
    assert [(e["type"], e["stage"], e["outcome"], e["party"]) for e in events][1] == (
        "stage.posted",
        "verifikasi_satgas",
        "lolos",
        "bkn",
    )
    places = [int(str(e["index"])) for e in events]
    assert places == sorted(places)
    assert set(events[0]) == {"index", "id", "type", "case", "stage", "round", "party", "outcome", "facts", "at"}


def test_the_feed_goes_on_where_it_stopped(api: House) -> None:
    first = api.open()
    told_of(api, "bkn", first, 1)
    after = api.get("bkn", "/v1/events?limit=200").json()["page"]["next_after"]
    while api.get("bkn", f"/v1/events?after={after}&limit=200").json()["data"]:
        after = api.get("bkn", f"/v1/events?after={after}&limit=200").json()["page"]["next_after"]
    second = api.open()
    told_of(api, "bkn", second, 1)
    later = told(api, "bkn", after)
    assert second.id in {e["case"] for e in later} and first.id not in {e["case"] for e in later}


def test_the_feed_tells_of_cases_one_sees_alone(api: House) -> None:
    api.add_ppk()
    case = api.open()
    told_of(api, "auditor", case, 1)
    for party in ("kasn", "ppk_banda_aceh"):
        assert case.id not in {event["case"] for event in told(api, party)}
    assert refusal(api.get("operator", "/v1/events")) == (403, "INSUFFICIENT_SCOPE")
    assert refusal(api.get("bkn", "/v1/events?after=-2")) == (422, "VALIDATION_FAILED")


def test_a_party_is_told_of_every_key_and_client_in_its_name_and_of_nobody_elses(api: House) -> None:
    """A key that nobody here asked for is noticed: in the feed, and in /v1/me of every client."""
    mine, other = registered(api, "bawaslu"), registered(api, "kemendagri")
    for _ in range(400):
        seen = {str(e["facts"]["key"]) for e in told(api, "bawaslu") if e["type"] == "key.registered"}
        if mine.sign_kid in seen:
            break
        time.sleep(0.02)
    assert {mine.sign_kid, mine.auth_kid} <= seen and other.sign_kid not in seen
    types = {e["type"] for e in told(api, "bawaslu") if e["case"] is None}
    assert {"client.registered", "key.registered", "mandate.granted", "party.registered"} <= types
    me = api.get("bawaslu", "/v1/me").json()
    keys = {key["key"] for client in me["clients"] for key in client["keys"]}
    assert mine.client_id in {c["client_id"] for c in me["clients"]} and {mine.sign_kid, mine.auth_kid} <= keys
    assert other.client_id not in {c["client_id"] for c in me["clients"]} and other.sign_kid not in keys
