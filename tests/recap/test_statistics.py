"""Numbers: each with numerator, denominator, unit and as-of; recounted here case by case."""

from typing import Any

from tests.support.house import House, refusal


def test_the_numbers_are_those_a_recount_gives(api: House) -> None:
    for stage in ("verifikasi_satgas", "kajian_bawaslu", "tindak_lanjut_ppk", "pencatatan_idis"):
        api.walked(stage)
    api.open(outcome="dialihkan_sp4n_lapor")
    told = api.get("bkn", "/v1/statistics/cases?election=pilkada_2024").json()
    figures = {(f["kind"], f["code"]): f for f in told["data"]}
    cases = api.every("auditor", "/v1/cases")
    mine = [api.get("auditor", f"/v1/cases/{c['id']}").json() for c in cases if c["election"] == "pilkada_2024"]

    def posted(case: dict[str, Any], *outcomes: str) -> bool:
        return any(f"{s['stage']}.{s['outcome']}" in outcomes for s in case["stages"])

    assert figures["measure", "reported"]["numerator"] == len(mine)
    proven = sum(posted(c, "verval_kasn.terbukti", "kajian_bawaslu.terbukti") for c in mine)
    assert figures["measure", "proven"]["numerator"] == proven
    assert figures["measure", "proven"]["denominator"] == len(mine)
    assert figures["measure", "recommended"]["denominator"] == proven
    for status in {str(c["status"]) for c in mine}:
        kind = "closed" if ("closed", status) in figures else "open"
        assert figures[kind, status]["numerator"] == sum(c["status"] == status for c in mine)
    for stage in ("verifikasi_satgas", "tindak_lanjut_ppk"):
        waiting = sum(stage in c["open_stages"] for c in mine)
        assert figures["waiting", stage]["numerator"] == waiting
    assert all(f["unit"] == "asn" and f["as_of"] == told["as_of"] for f in told["data"])


def test_an_unknown_election_is_refused(api: House) -> None:
    assert refusal(api.get("bkn", "/v1/statistics/cases?election=pemilu_1955")) == (422, "UNKNOWN_REFERENCE")


def test_the_operator_has_no_numbers(api: House) -> None:
    assert refusal(api.get("operator", "/v1/statistics/cases")) == (403, "INSUFFICIENT_SCOPE")
