"""A list that is asked for by an instant is in the order of that instant, and shows every case once."""

import pytest

from tests.support.house import House


@pytest.mark.parametrize(
    ("filters", "instant"),
    [
        ("updated_since=2025-06-30T00:00:00Z", "updated_at"),
        ("opened_from=2025-07-01&opened_to=2025-07-01", "opened_at"),
        ("opened_to=2025-07-01", "opened_at"),
    ],
)
def test_the_pages_follow_the_instant_and_show_each_case_once(api: House, filters: str, instant: str) -> None:
    opened = [api.open(report__report_number="INSTAN") for _ in range(5)]
    api.post("bkn", opened[1], "verifikasi_satgas", "lolos")
    shown, path = [], f"/v1/cases?report_number=INSTAN&limit=2&{filters}"
    while path:
        page = api.get("bkn", path)
        assert page.status_code == 200, page.text
        shown += page.json()["data"]
        path = page.headers["Link"].split(">")[0][1:] if "Link" in page.headers else ""
    mine = [line for line in shown if line["id"] in {case.id for case in opened}]
    assert len(mine) == len({line["id"] for line in mine}) == 5
    assert [line[instant] for line in shown] == sorted((line[instant] for line in shown), reverse=True)
    if instant == "updated_at":
        assert mine[0]["id"] == opened[1].id, "what changed last comes first"


def test_a_line_shows_whose_turn_it_is_and_no_stage_that_waits(api: House) -> None:
    case = api.walked("tindak_lanjut_ppk", subject__agency_code="5210")
    (line,) = [x for x in api.get("bkn", "/v1/cases?agency_code=5210&limit=200").json()["data"] if x["id"] == case.id]
    whole = api.get("bkn", f"/v1/cases/{case.id}").json()
    assert line["open_stages"] == whole["open_stages"] == [step["stage"] for step in line["next"]]
    for step, said in zip(line["next"], whole["next"], strict=True):
        assert {n: step[n] for n in step if n != "overdue"} == {n: said[n] for n in step if n != "overdue"}
        assert step["overdue"] == (said["state"] == "overdue")
    assert "stages" not in line and "subject" not in line
