"""The lists that everybody looks up."""

from typing import Any

import pytest

from app.errors import catalogue
from tests.support.house import House, refusal

LISTS = ["violations", "sanctions", "procedures", "statuses", "parties", "elections", "provinces", "purposes", "job_levels",
         "subject_kinds", "report_kinds", "channels", "evidence_kinds", "fields", "conditions", "holidays", "problems", "scopes", "control_actions", "sanction_levels", "legacy_violations", "laws", "clocks", "mandates"]  # fmt: skip


@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_public_and_cacheable(api: House, name: str) -> None:
    answer = api.http.get(f"/v1/reference/{name}")
    assert answer.status_code == 200 and answer.json()["data"]
    assert answer.headers["cache-control"] == "public, max-age=300" and answer.headers["etag"]


def test_the_catalogue_is_whole_and_in_both_languages(api: House) -> None:
    """SKB 2022, Lampiran II: 7 ethics forms, 16 discipline forms; 16 older categories; seven control actions."""

    def rows(name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = api.http.get(f"/v1/reference/{name}").json()["data"]
        return found

    forms = rows("violations")
    assert len(forms) == 23 and sum(f["category"] == "kode_etik" for f in forms) == 7
    assert len(rows("legacy_violations")) == 16 and len(rows("control_actions")) == 7 and len(rows("sanctions")) == 20
    for name in ("violations", "legacy_violations", "sanctions", "control_actions", "laws", "parties", "elections"):
        for row in rows(name):
            assert (row.get("text_id") or row["name_id"]) and (row.get("text_en") or row["name_en"]), (
                name,
                row["code"],
            )
    levels = {r["code"] for r in rows("sanction_levels")}
    assert {r["level"] for r in rows("sanctions")} <= levels | {None}
    known = {r["code"] for r in rows("sanctions")}
    assert all(set(f["sanctions"]) <= known for f in forms)
    assert all(set(r["maps_to"]) <= {f["code"] for f in forms} for r in rows("legacy_violations"))


def test_every_row_has_its_days_and_a_list_its_version(api: House) -> None:
    whole = api.http.get("/v1/reference/laws").json()
    assert len(whole["version"]) == 16
    then = api.http.get("/v1/reference/laws?on=2021-08-30").json()
    assert {r["code"] for r in then["data"]} == {"uu_5_2014", "pp_42_2004", "pp_53_2010"}
    assert then["version"] == whole["version"]
    now = {r["code"] for r in api.http.get("/v1/reference/sanctions?on=2024-01-01").json()["data"]}
    assert "berat_turun_jabatan" in now and "h_berat_bebas" not in now
    for name in LISTS:
        assert all(
            {"valid_from", "valid_to"} <= set(r) for r in api.http.get(f"/v1/reference/{name}").json()["data"]
        ), name
    assert refusal(api.http.get("/v1/reference/laws?on=kemarin"))[0] == 422
    tag = api.http.get("/v1/reference/laws").headers["etag"]
    assert api.http.get("/v1/reference/laws", headers={"If-None-Match": tag}).status_code == 304


def test_the_mandates_say_who_follows_kasn(api: House) -> None:
    rows = api.http.get("/v1/reference/mandates?on=2024-09-04").json()["data"]
    after = {(r["party"], r["if"], r["unless"]) for r in rows if r["role"] == "kasn"}
    assert after == {("bkn", None, "processed_by_kasn"), ("kemenpanrb", "processed_by_kasn", None)}


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
