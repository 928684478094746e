"""What `sbt verify --db` says of an honest ledger: nothing but that it is sound."""

from app.verifier.report import lines
from tests.audit.checking import audit
from tests.support.house import House


def test_an_honest_ledger_is_sound(api: House) -> None:
    for stage in ("kajian_bawaslu", "tindak_lanjut_ppk", "eskalasi"):
        api.walked(stage)
    api.at("2024-08-01")
    api.walked("tindak_lanjut_ppk", "skb_2022")
    api.at("2025-07-01")
    report = audit(api)
    assert report.findings == [], "\n".join(lines(report))
    assert report.exit_code == 0, "\n".join(lines(report))
