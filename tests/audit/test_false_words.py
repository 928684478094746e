"""A process of the operator that seals other words than were sent to it: the verifier tells, from the content or from what was signed."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest

from app import clock
from app.access.trail import Trail
from app.audit import cases_replay
from app.cases.context import WriteContext
from app.cases.entry import CaseEntry
from app.cases.locking import LockedCase
from app.cases.opening import opening
from app.cases.sealing import EntryParts
from app.cases.stages import correcting, posting
from demo.bodies import body_for as past_body
from tests.access.credentials import registered
from tests.audit.checking import audit
from tests.cases.deadlines.test_terms import act
from tests.cases.stages.test_corrections import WHY, correction
from tests.imports.test_imports import imported, line
from tests.support.house import FAKE, Case, House, running_house
from tests.support.walks import body_for, first_body

OF_2024 = {"report__received_on": "2024-10-10", "incident__occurred_on": "2024-10-01", "election": "pilkada_2024"}
OTHER = {"nip": "198001012005011999", "nik": None, "name": "Orang Tak Bersalah"}
NAMED = {"subject_nip": "198001012005011977", "subject_name": "Orang Contoh"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house of its own: what is falsified here stays."""
    fake = FAKE["ahead"]
    with running_house(tmp_path_factory.mktemp("false"), "2024-10-01T09:00:00+07:00") as found:
        found.at("2024-10-10")
        yield found
    FAKE["ahead"] = fake
    clock.shift(fake)


def told(home: House, case: str) -> set[str]:
    return {finding.code for finding in audit(home).findings if case in finding.place}


def identified(home: House) -> tuple[Case, dict[str, Any]]:
    case = home.open(outcome="perlu_identifikasi", subject__nip=None)
    post = body_for("sbt_2024", "identifikasi", "teridentifikasi")
    post["body"] |= NAMED
    home.post("bkn", case, "identifikasi", "teridentifikasi", post)
    return case, post


def test_what_was_said_truly_is_sound(home: House) -> None:
    case, _ = identified(home)
    assert told(home, case.id) == set()


def test_another_person_than_the_one_a_post_names_is_told(home: House) -> None:
    with patch.object(posting, "person_of_post", lambda _: OTHER):
        case, _ = identified(home)
    assert told(home, case.id) >= {"SUMMARY_DIFFERS"}


def test_another_employer_than_the_one_a_post_names_is_told(home: House) -> None:
    with patch.object(posting, "new_employer", lambda *_, **__: "4011"):
        case, _ = identified(home)
    assert told(home, case.id) >= {"SUMMARY_DIFFERS"}


def test_a_person_whom_no_post_names_is_told(home: House) -> None:
    case = home.open()
    with (
        patch.object(posting, "identifies_person", lambda *_, **__: True),
        patch.object(posting, "person_of_post", lambda _: OTHER),
    ):
        home.post("bkn", case, "verifikasi_satgas", "lolos")
    assert told(home, case.id) >= {"SUMMARY_DIFFERS"}


def test_another_person_than_the_one_a_correction_names_is_told(home: House) -> None:
    case, post = identified(home)
    right = {**post["body"], "subject_nip": "198001012005011978"}
    with patch.object(correcting, "person_of_post", lambda _: OTHER):
        answer = act(home, "bkn", case, "stages/identifikasi/corrections", {"body": right, "reason": WHY})
    assert answer.status_code == 201, answer.text
    assert told(home, case.id) >= {"SUMMARY_DIFFERS"}


def test_a_correction_that_tells_of_other_members_than_it_changed_is_told(home: House) -> None:
    case = home.open()
    home.post("bkn", case, "verifikasi_satgas", "lolos")
    known = correcting._correction

    async def other(*given: Any) -> Any:
        return replace(await known(*given), changed=["satgas_members"])

    body = correction("sbt_2024", "verifikasi_satgas", "lolos", decided_on="2024-10-08")
    with patch.object(correcting, "_correction", other):
        answer = act(home, "bkn", case, "stages/verifikasi_satgas/corrections", body)
    assert answer.status_code == 201, answer.text
    assert told(home, case.id) >= {"SUMMARY_DIFFERS"}


def test_another_person_than_the_one_a_post_of_an_older_case_names_is_told(home: House) -> None:
    known = EntryParts.seal_identity

    def other(parts: EntryParts, _: Any) -> None:
        known(parts, OTHER)

    day = date(2024, 10, 10)
    posts = [
        {"stage": "pelaporan_publik", **past_body("sbt_2024", "pelaporan_publik", "perlu_identifikasi", day)},
        {"stage": "identifikasi", **past_body("sbt_2024", "identifikasi", "teridentifikasi", day)},
    ]
    older = line(1, procedure=None, subject__nip=None, violations=["ds_13"], **OF_2024) | {"posts": posts}
    with patch.object(EntryParts, "seal_identity", other):
        (row,) = imported(home, [older])
    assert row["status"] == "imported", row
    assert told(home, row["case_id"]) >= {"SUMMARY_DIFFERS"}


def signed_by(home: House, *parties: str) -> None:
    home.signers = {party: registered(home, party) for party in parties}


@pytest.fixture
def signing(tmp_path: Path) -> Iterator[House]:
    """A house in the machine's time: its agencies sign."""
    fake = FAKE["ahead"]
    with running_house(tmp_path) as found:
        FAKE["ahead"] = timedelta(0)
        clock.shift(timedelta(0))
        found.app.state.register_cache.forget()
        yield found
    FAKE["ahead"] = fake
    clock.shift(fake)


def test_the_round_that_a_correction_means_is_the_newest_one(signing: House) -> None:
    signed_by(signing, "bkn", "bawaslu")
    case, stage = signing.open(), "verifikasi_satgas"
    first = body_for("sbt_2024", stage, "lolos")
    signing.post("bkn", case, stage, "lolos", first)
    signing.post("bawaslu", case, "kajian_bawaslu", "tidak_terbukti")
    act(signing, "bkn", case, "reopenings", {"reason": "Bukti baru.", "stage": stage})
    signing.post("bkn", case, stage, "lolos")
    assert told(signing, case.id) == set()
    right = {**first["body"], "summary_text": "Putaran kedua, dibetulkan."}
    known = correcting._posted
    with patch.object(correcting, "_posted", lambda case, code, _: known(case, code, 1)):
        sent = {"body": right, "reason": "Salah tulis."}
        signing.send("bkn", f"/v1/cases/{case.id}/stages/{stage}/corrections", sent, If_Match=case.etag)
    assert told(signing, case.id) == {"SIGNATURE_WRONG"}


def test_a_transfer_without_the_reason_that_was_signed_is_told(signing: House) -> None:
    signed_by(signing, "bkn")
    case = signing.walked("verval_kasn", "skb_2022")

    async def without(self: CaseEntry, _: Any, step: Any) -> Any:
        return await self.answer(self.enter(step))

    with patch.object(CaseEntry, "reasoned", without):
        sent = {"reason": "Sesuai surat edaran.", "role": "kasn", "to": "kemenpanrb"}
        answer = signing.send("bkn", f"/v1/cases/{case.id}/transfers", sent, If_Match=case.etag)
    assert answer.status_code == 201
    assert "LEAF_MALFORMED" in {finding.code for finding in audit(signing).findings}


def test_an_override_that_nobody_signed_is_told(signing: House) -> None:
    signed_by(signing, "bkn")
    known = opening.account
    with patch.object(opening, "account", lambda new: known(new) | {"duplicate_override": "Ditambahkan."}):
        case = signing.open()
    assert told(signing, case.id) == {"SIGNATURE_WRONG"}


def test_a_pause_begins_on_the_day_of_its_entry(home: House) -> None:
    case = home.walked("kajian_bawaslu")
    late = property(lambda self: clock.day_of(self.at) + timedelta(days=1))
    with patch.object(LockedCase, "today", late), patch.object(WriteContext, "on", _unchanged):
        act(home, "bawaslu", case, "stages/kajian_bawaslu/pauses", {"reason": "Alasan.", "until": "2024-10-15"})
    assert told(home, case.id) == {"PROCEDURE_BROKEN"}


def test_a_calendar_that_was_replaced_counts_nothing_any_more(signing: House) -> None:
    case, calendars = signing.open(), signing.app.state.calendars
    old, ahead = calendars.current, clock.today() + timedelta(days=5)
    leave = {"day": ahead.isoformat(), "category": "government", "name_id": "Cuti", "name_en": "Leave"}
    revised = {"version": "skb-uji", "known_until": old.known_until.isoformat(), "add": [leave], "remove": []}
    assert signing.send("operator", "/v1/admin/calendars", revised).status_code == 201
    with (
        patch.object(calendars, "current", old),
        patch.object(calendars, "refresh", _nothing),
        patch("app.audit.cases_replay.FOLLOWED_WITHIN", timedelta(0)),
    ):
        signing.post(
            "bkn",
            case,
            "verifikasi_satgas",
            "lolos",
            past_body("sbt_2024", "verifikasi_satgas", "lolos", clock.today()),
        )
        assert "PROCEDURE_BROKEN" in told(signing, case.id)


def test_of_two_revisions_at_once_a_process_that_has_heard_of_neither_breaks_no_rule(signing: House) -> None:
    case, calendars = signing.open(), signing.app.state.calendars
    old = calendars.current
    for n in (1, 2):
        day = (clock.today() + timedelta(days=n)).isoformat()
        leave = {"day": day, "category": "government", "name_id": "Cuti", "name_en": "Leave"}
        revised = {"version": f"skb-{n}", "known_until": old.known_until.isoformat(), "add": [leave], "remove": []}
        assert signing.send("operator", "/v1/admin/calendars", revised).status_code == 201
    with patch.object(calendars, "current", old), patch.object(calendars, "refresh", _nothing):
        body = past_body("sbt_2024", "verifikasi_satgas", "lolos", clock.today())
        signing.post("bkn", case, "verifikasi_satgas", "lolos", body)
    assert told(signing, case.id) == set()


async def _unchanged(write: WriteContext, _: date) -> WriteContext:
    """In place of the look for the mandates of another day."""
    return write


async def _nothing(*_: Any) -> None:
    """In place of the look for a newer calendar."""


def test_an_act_for_which_its_client_has_no_scope_is_told(home: House) -> None:
    """The row of the client was changed for a moment, and put back."""
    mine = registered(home, "bkn", ["cases:read"])

    def scoped(scopes: str) -> None:
        home.superuser(
            f"SET session_replication_role = replica; UPDATE client SET scopes = '{scopes}' WHERE id = '{mine.client_id}'"
        )
        home.app.state.register_cache.forget()

    scoped("{cases:read,cases:open}")
    opened = mine.post("/v1/cases", first_body("sbt_2024", **OF_2024))
    scoped("{cases:read}")
    assert opened.status_code == 201, opened.text
    with patch.object(cases_replay, "HEARD_WITHIN", timedelta(0)):
        assert told(home, opened.json()["id"]) == {"NO_SCOPE"}


def test_a_look_at_a_case_that_never_was_is_told(home: House) -> None:
    case, never = home.open(), uuid4()
    shows = Trail.shows
    with patch.object(Trail, "shows", lambda trail, *cases: shows(trail, *cases, never)):
        assert home.get("bkn", f"/v1/cases/{case.id}").status_code == 200
    found = [finding for finding in audit(home).findings if finding.code == "ACCESS_IMPOSSIBLE"]
    assert len(found) == 1 and str(never) in found[0].says
