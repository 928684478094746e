"""A process of the operator that seals other words than were sent to it: the verifier tells, from the content or from what was signed."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any
from unittest.mock import patch

import pytest

from app import clock
from app.cases.sealing import EntryParts
from app.cases.stages import correcting, posting
from demo.bodies import body_for as past_body
from tests.audit.checking import audit
from tests.cases.test_corrections import WHY, correction
from tests.cases.test_imports import imported, line
from tests.cases.test_terms import act
from tests.house import FAKE, Case, House, running_house
from tests.walks import body_for

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
    with patch.object(posting, "named", lambda _: OTHER):
        case, _ = identified(home)
    assert told(home, case.id) >= {"SUMMARY_DIFFERS"}


def test_another_employer_than_the_one_a_post_names_is_told(home: House) -> None:
    with patch.object(posting, "new_employer", lambda *_, **__: "4011"):
        case, _ = identified(home)
    assert told(home, case.id) >= {"SUMMARY_DIFFERS"}


def test_a_person_whom_no_post_names_is_told(home: House) -> None:
    case = home.open()
    with patch.object(posting, "identifies", lambda *_, **__: True), patch.object(posting, "named", lambda _: OTHER):
        home.post("bkn", case, "verifikasi_satgas", "lolos")
    assert told(home, case.id) >= {"SUMMARY_DIFFERS"}


def test_another_person_than_the_one_a_correction_names_is_told(home: House) -> None:
    case, post = identified(home)
    right = {**post["body"], "subject_nip": "198001012005011978"}
    with patch.object(correcting, "named", lambda _: OTHER):
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
    known = EntryParts.name

    def other(parts: EntryParts, _: Any) -> None:
        known(parts, OTHER)

    day = date(2024, 10, 10)
    posts = [
        {"stage": "pelaporan_publik", **past_body("sbt_2024", "pelaporan_publik", "perlu_identifikasi", day)},
        {"stage": "identifikasi", **past_body("sbt_2024", "identifikasi", "teridentifikasi", day)},
    ]
    older = line(1, procedure=None, subject__nip=None, violations=["ds_13"], **OF_2024) | {"posts": posts}
    with patch.object(EntryParts, "name", other):
        (row,) = imported(home, [older])
    assert row["status"] == "imported", row
    assert told(home, row["case_id"]) >= {"SUMMARY_DIFFERS"}
