"""The lists that everybody looks up."""

import pytest

from app.errors import catalogue
from tests.house import House, refusal

LISTS = ["violations", "sanctions", "procedures", "statuses", "parties", "elections", "provinces", "purposes", "job_levels",
         "subject_kinds", "report_kinds", "channels", "evidence_kinds", "fields", "conditions", "holidays", "problems", "scopes"]  # fmt: skip


@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_public_and_cacheable(api: House, name: str) -> None:
    answer = api.http.get(f"/v1/reference/{name}")
    assert answer.status_code == 200 and answer.json()["data"]
    assert answer.headers["cache-control"] == "public, max-age=300" and answer.headers["etag"]


def test_an_unknown_list_is_not_found(api: House) -> None:
    assert refusal(api.http.get("/v1/reference/secrets")) == (404, "NOT_FOUND")


def test_every_problem_has_a_cause_and_a_remedy_in_both_languages(api: House) -> None:
    rows = api.http.get("/v1/reference/problems").json()["data"]
    assert len(rows) == len(catalogue()) == len({r["code"] for r in rows})
    assert all(r[f"{n}_{lang}"] for r in rows for n in ("name", "remedy") for lang in ("id", "en"))


def test_the_holidays_are_the_snapshot_that_due_dates_name(api: House) -> None:
    days = {r["day"]: r for r in api.http.get("/v1/reference/holidays").json()["data"]}
    assert days["2024-04-08"]["category"] == "government"  # joint leave before Idul Fitri
    case = api.open()
    due = api.get("bkn", f"/v1/cases/{case.id}/stages/verifikasi_satgas").json()["latest"]["due"]
    assert due["calendar"] == days["2024-04-08"]["version"]
