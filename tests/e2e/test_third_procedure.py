"""The body that the Constitutional Court ordered by October 2027: a party, a mandate and a procedure, added as data. No line of code."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.service import ROOT, Service
from tests.support.house import HTTP

COPIED = ("app", "migrations", "alembic.ini", "demo")
DAY = "2027-11-02"
DATA = ROOT / "app" / "procedure"


def _procedure() -> dict[str, Any]:
    """Shorter than its predecessors, made of stages and bodies that are there; the new body owns what KASN once did."""
    base = yaml.safe_load((DATA / "versions" / "sbt_2024.yaml").read_text())
    stages = {s["code"]: s for s in base["stages"]}
    first, study, letter = stages["pelaporan_publik"], stages["kajian_bawaslu"], stages["penyampaian_ppk"]
    first |= {"owner": "lpisn", "may_open": ["lpisn", "bawaslu"]}
    first["outcomes"] = {
        "diterima": {"id": "Diterima", "en": "Accepted", "next": ["kajian_bawaslu"], "identified": True}
    }
    first["body"] = {**first["body"], "required_for": {"dialihkan_sp4n_lapor": ["referred_to"]}}
    study |= {"opens_when": {"outcomes": ["pelaporan_publik.diterima"]}}
    study["deadline"] = [
        {"value": 5, "unit": "working_day", "starts": ["report.received_on"], "certainty": "assumed", "reason": "test"}
    ]
    letter |= {"owner": "lpisn", "opens_when": {"outcomes": ["kajian_bawaslu.terbukti"]}}
    letter["deadline"] = [
        {
            "value": 3,
            "unit": "working_day",
            "starts": ["kajian_bawaslu.decided_on"],
            "certainty": "assumed",
            "reason": "test",
        }
    ]
    letter["outcomes"] = {
        "disampaikan": {"id": "Disampaikan", "en": "Sent", "next": [], "closes": "selesai_pengendalian"}
    }
    kept = [first, study, letter]
    for stage in kept:
        stage["views"] = {"full": ["lpisn", "bawaslu"], "summary": ["bkn", "auditor"]}
        stage.pop("example", None)
        stage.pop("more_examples", None)
    named = {"code": "mk_2027", "title_id": "Alur badan independen", "title_en": "Flow of the independent body"}
    return {**base, **named, "valid_from": "2027-10-17", "valid_to": None, "stages": kept}


@pytest.fixture
def later(tmp_path: Path) -> Path:
    """A copy of the project with other data beside the same code."""
    for name in COPIED:
        source, target = ROOT / name, tmp_path / "sbt" / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    data = tmp_path / "sbt" / "app" / "procedure"
    (data / "versions" / "mk_2027.yaml").write_text(yaml.safe_dump(_procedure(), sort_keys=False, allow_unicode=True))
    older = data / "versions" / "sbt_2024.yaml"
    older.write_text(older.read_text().replace("valid_to: null", 'valid_to: "2027-10-16"', 1))
    parties = data / "catalogues" / "parties.yaml"
    text = parties.read_text()
    text = text.replace(
        "- {code: auditor,",
        '- {code: lpisn, kind: agency, name_id: "Badan independen", name_en: "Independent body"}\n- {code: auditor,',
        1,
    )
    parties.write_text(text + '- {role: lpisn, party: lpisn, from: "2027-10-17", to: null, certainty: assumed}\n')
    return tmp_path / "sbt"


def _code(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.glob("app/**/*.py"))
    }


def test_a_third_procedure_is_data_and_a_case_walks_through_it(later: Path, tmp_path: Path) -> None:
    assert _code(later) == _code(ROOT), "not a line of code is other"
    service = Service(tmp_path, root=later)
    try:
        service.start(SBT_SANDBOX_CLOCK_START=f"{DAY}T09:00:00+07:00")
        _walk(service)
        told = service.sbt("verify", "--db", "local", "--json")
        assert told.returncode == 0, told.stdout[-2000:]
    finally:
        service.end()


def _walk(service: Service) -> None:
    flow = {p["code"]: p for p in HTTP.get(f"{service.base}/v1/reference/procedures").json()["data"]}
    assert [s["code"] for s in flow["mk_2027"]["stages"]] == ["pelaporan_publik", "kajian_bawaslu", "penyampaian_ppk"]
    me = service.get("lpisn", "/v1/me").json()
    assert {(s["procedure"], s["stage"]) for s in me["stages"]} >= {("mk_2027", "penyampaian_ppk")}
    assert "stages.penyampaian_ppk:post" in me["scopes"]
    opened = service.post("lpisn", "/v1/cases", _opening())
    assert opened.status_code == 201, opened.text
    assert (opened.json()["procedure"], opened.json()["open_stages"]) == ("mk_2027", ["kajian_bawaslu"])
    case = opened.json()["id"]
    assert opened.json()["stages"][1]["due_on"] == "2027-11-09"
    for party, stage, body in (("bawaslu", "kajian_bawaslu", STUDY), ("lpisn", "penyampaian_ppk", LETTER)):
        etag = service.get(party, f"/v1/cases/{case}").headers["ETag"]
        path = f"/v1/cases/{case}/stages/{stage}"
        answer = service.post(party, path, body, **{"If-Match": etag})
        assert answer.status_code == 201, answer.text
    assert service.get("auditor", f"/v1/cases/{case}").json()["status"] == "selesai_pengendalian"


def _opening() -> dict[str, Any]:
    evidence = [{"kind": "foto", "note": "Foto contoh"}]
    return {
        "report": {"kind": "publik", "report_number": "MK-1", "received_on": DAY},
        "subject": {"nip": "199008232015032976", "name": "Nirmala Contoh", "agency_code": "7600", "job_level": "jpt", "kind": "pns"},
        "election": "pilkada_2024",
        "incident": {"occurred_on": "2027-11-01", "province": "52", "channel": "surat", "account": "Uraian contoh."},
        "violations": ["ds_14"],
        "outcome": "diterima",
        "body": {"decided_on": DAY, "complaint_number": "1", "known_on": DAY, "office": "x", "has_identity_number": True, "evidence": evidence},
    }  # fmt: skip


CHARGED = {"violation_codes": ["ds_14"], "articles": ["PP 94/2021 Pasal 5 huruf n angka 5"]}
STUDY = {
    "outcome": "terbukti",
    "body": {"decided_on": DAY, "study_number": "1", "plenary_on": DAY, "findings": "x", **CHARGED},
}
LETTER = {
    "outcome": "disampaikan",
    "body": {
        "decided_on": DAY, "letter_number": "1", "letter_date": DAY, "addressee": "PPK", "subject_nip": "199008232015032976",
        "subject_name": "Nirmala Contoh", "subject_post": "x", "subject_agency_code": "7600", **CHARGED,
        "recommended_sanctions": ["berat_turun_jabatan"], "report_back_days": 14,
    },
}  # fmt: skip


def test_a_flaw_in_added_data_stops_the_start_and_names_the_place(later: Path) -> None:
    added = later / "app" / "procedure" / "versions" / "mk_2027.yaml"
    added.write_text(added.read_text().replace("- kajian_bawaslu\n", "- kajian_siapa\n", 1))
    words = [sys.executable, "-c", "from app.procedure.loading import rulebook; rulebook()"]
    done = subprocess.run(words, cwd=later, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "mk_2027" in done.stderr and "kajian_siapa" in done.stderr
