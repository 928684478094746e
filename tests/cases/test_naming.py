"""What is not sealed names nobody: at every door, in every field, however the number is spaced or the name is spelt."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import httpx
import pytest

from app.access.signatures import signing
from app.cases import context
from app.database.sessions import Database
from app.procedure.loading import rulebook
from app.vault import persons, rotating
from app.vault.keys import VaultKeys
from tests.access.credentials import registered
from tests.audit.checking import audit
from tests.cases.bulk.test_many import report
from tests.cases.stages.test_corrections import correction
from tests.http.test_limits import measures
from tests.imports.test_imports import imported, line
from tests.support.house import House, refusal
from tests.support.replaying import check_replay
from tests.support.walks import body_for, first_body

NAME = "Drs. Budi Hartono Merak, M.Si."
NIP = "199001012015031007"
SAID = [
    NIP,
    f"nomor {NIP[:8]} {NIP[8:14]} {NIP[14]} {NIP[15:]}",
    ".".join(NIP),
    "-".join(NIP),
    "\u00a0".join(NIP),
    "\u200b".join(NIP),
    "".join(chr(0x0660 + int(d)) for d in NIP),
    "".join(chr(0xFF10 + int(d)) for d in NIP),
    "6472 0112 3456 0001",
    NAME,
    "perihal BUDI HARTONO MERAK",
    "Laporan tentang budi  hartono-merak dan lain-lain",
    "Budi Har\u00adtono Me\u200brak",
    "Bud\u0301i Hartono Me\u0300rak",
    "Budihartono Merak",
    "Bu di Har tono Me rak",
    "B u d i  H a r t o n o  M e r a k",
    "\u24b7\u24e4\u24d3\u24d8 Hartono Merak",
    "Budi S. Hartono Merak",
]


def flaws(answer: httpx.Response) -> set[str]:
    assert answer.status_code == 422, answer.text
    assert "merak" not in answer.text.lower() and NIP not in answer.text, "the field is named, not the value"
    return {e["pointer"] for e in answer.json()["errors"] if e["code"] == "PERSONAL_DATA"}


@pytest.mark.parametrize("text", SAID, ids=range(len(SAID)))
def test_no_case_is_opened_whose_number_or_summary_names_its_person(api: House, text: str) -> None:
    for member, pointer in (
        ("report__report_number", "/report/report_number"),
        ("body__summary_text", "/body/summary_text"),
    ):
        body = first_body("sbt_2024", subject__name=NAME, **{member: text})
        assert flaws(api.send("bkn", "/v1/cases", body)) == {pointer}


def test_a_report_of_several_persons_names_none_of_them_in_its_number(api: House) -> None:
    body = report({}, {}, report__report_number=f"LP/{NAME}/2024")
    body["persons"][1]["subject"] |= {"name": NAME}
    assert flaws(api.send("bkn", "/v1/reports", body)) == {"/report/report_number"}


def test_a_stage_its_correction_and_one_of_many_name_nobody_either(api: House) -> None:
    case = api.open(subject__name=NAME)
    stage, owner, outcome = "verifikasi_satgas", api.turn(case, "verifikasi_satgas"), "lolos"
    for text in (NIP, NAME, f"Terlapor {NAME} hadir."):
        body = body_for("sbt_2024", stage, outcome)
        body["body"]["summary_text"] = text
        sent = api.send(owner, f"/v1/cases/{case.id}/stages/{stage}", body, If_Match=case.etag)
        assert flaws(sent) == {"/body/summary_text"}, text
        posts = [{"case_id": case.id, "if_match": case.etag, **body}]
        many = api.send(owner, "/v1/stage-posts", {"stage": stage, "posts": posts})
        assert "PERSONAL_DATA" in many.text, many.text
    api.post(owner, case, stage, outcome)
    corrected = correction("sbt_2024", stage, outcome, summary_text=f"Kata {NAME}")
    answer = api.send(owner, f"/v1/cases/{case.id}/stages/{stage}/corrections", corrected, If_Match=case.etag)
    assert flaws(answer) == {"/body/summary_text"}


def test_an_older_case_names_nobody_either(api: House) -> None:
    (refused,) = imported(api, [line(report__report_number=f"LAMA {NIP}")])
    assert "PERSONAL_DATA" in str(refused)
    named = line(subject__name=NAME)
    named["posts"][-1]["body"]["summary_text"] = f"Perkara {NAME} ditutup."
    (refused,) = imported(api, [named])
    assert "PERSONAL_DATA" in str(refused) and "/posts/8/body/summary_text" in str(refused)


def test_whom_a_post_names_stands_in_none_of_its_texts(api: House) -> None:
    """Somebody else than the case's person, or one who was not known before: in a letter, in an older case."""
    case = api.walked("penyampaian_ppk")
    letter = body_for("sbt_2024", "penyampaian_ppk", "disampaikan")
    letter["body"] |= {"subject_nip": NIP, "subject_name": NAME}
    path, owner = f"/v1/cases/{case.id}/stages/penyampaian_ppk", api.turn(case, "penyampaian_ppk")
    for member, text in (("addressee", "Sdr. Budi Hartono Merak"), ("letter_number", f"B/{'/'.join(NIP)}")):
        sent = api.send(owner, path, letter | {"body": letter["body"] | {member: text}}, If_Match=case.etag)
        assert flaws(sent) == {f"/body/{member}"}, text
    older = line()
    post = next(p for p in older["posts"] if "subject_name" in p["body"])
    post["body"] |= {"subject_name": NAME}
    older["posts"][-1]["body"]["summary_text"] = "Surat kepada Budi Hartono Merak."
    (refused,) = imported(api, [older])
    assert "PERSONAL_DATA" in str(refused) and f"/posts/{len(older['posts']) - 1}/body/summary_text" in str(refused)


def test_a_name_that_a_post_gives_stands_in_no_later_text_and_is_found_under_new_keys(api: House) -> None:
    """Of a case that was opened when nobody knew the name: the letter gives it. Rotated keys find it as well."""
    case = api.walked("penyampaian_ppk", subject__name="Terlapor")
    letter = body_for("sbt_2024", "penyampaian_ppk", "disampaikan")
    letter["body"] |= {"subject_name": NAME}
    api.post("bkn", case, "penyampaian_ppk", "disampaikan", letter)
    answer = body_for("sbt_2024", "tindak_lanjut_ppk", "tidak_ditindaklanjuti")
    answer["body"]["summary_text"] = "Terlapor Budi Hartono Merak menerima surat."
    owner, path = api.turn(case, "tindak_lanjut_ppk"), f"/v1/cases/{case.id}/stages/tindak_lanjut_ppk"
    assert flaws(api.send(owner, path, answer, If_Match=case.etag)) == {"/body/summary_text"}
    asyncio.run(rotated(api))
    assert flaws(api.send(owner, path, answer, If_Match=case.etag)) == {"/body/summary_text"}
    places = [f.place for f in audit(api).findings if case.id in f.place]
    assert places == []


async def rotated(api: House) -> None:
    found = Database.connect(api.urls.app, size=2)
    await found.open()
    try:
        await rotating.rotate_epochs(
            found, VaultKeys(api.app.state.settings.keys, make=True), by="operator", destroy_old=True
        )
    finally:
        await found.close()


def test_words_that_are_only_alike_and_numbers_of_letters_pass(api: House) -> None:
    texts = ("800.1.6.2/9188/2025", "B-1234/KASN/10/2024 tanggal 2024-10-10", "Merak", "Budi Hartati")
    for text in texts:
        body = first_body("sbt_2024", subject__name=NAME, report__report_number=text)
        assert api.send("bkn", "/v1/cases", body).status_code == 201, text


def test_how_long_a_search_takes_does_not_tell_whom_it_found(api: House) -> None:
    """Cases in which the caller may not know who it is are looked at, and cost time. No connection is held while the answer waits."""
    with patch.object(context, "STEP_SECONDS", 1.0), ThreadPoolExecutor() as pool:
        begun = time.monotonic()
        asked = pool.submit(api.send, "bkn", "/v1/cases/search", {"nip": NIP}, X_Purpose="penanganan")
        time.sleep(0.6)
        stats = api.app.state.database.readers.get_stats()
        assert stats["pool_available"] == stats["pool_size"]
        assert asked.result().status_code == 200
        assert 1.0 <= time.monotonic() - begun < 1.9


def test_a_reporter_and_the_other_persons_of_a_report_are_named_nowhere_either(api: House) -> None:
    reporter = {"name": "Siti Aminah Kenari"}
    for member, pointer in (
        ("report__report_number", "/report/report_number"),
        ("body__summary_text", "/body/summary_text"),
    ):
        body = first_body("sbt_2024", report__reporter=reporter, **{member: "LP/Siti Aminah Kenari/2024"})
        assert flaws(api.send("bkn", "/v1/cases", body)) == {pointer}
    sent = report({}, {})
    sent["persons"][1]["subject"] |= {"name": NAME}
    sent["persons"][0]["body"] = sent["body"] | {"summary_text": f"Bersama {NAME}."}
    assert flaws(api.send("bkn", "/v1/reports", sent)) == {"/persons/0/body/summary_text"}


def test_guessing_names_through_what_is_refused_is_measured(api: House) -> None:
    case = api.open(subject__name=NAME)
    stage, owner = "verifikasi_satgas", api.turn(case, "verifikasi_satgas")
    path = f"/v1/cases/{case.id}/stages/{stage}"
    body = body_for("sbt_2024", stage, "lolos")
    body["body"]["summary_text"] = NAME
    with measures(api, "identity=0.1/2"):
        codes = [api.send(owner, path, body, If_Match=case.etag).status_code for _ in range(4)]
        assert codes == [422, 422, 429, 429]
        body["body"]["summary_text"] = "Tanpa nama."
        answer = api.send(owner, path, body, If_Match=case.etag)
        assert answer.status_code == 429, (
            "while the measure is used up nothing is compared: right and wrong are the same"
        )
    answers = [api.send(owner, path, body, If_Match=case.etag) for _ in range(2)]
    assert [a.status_code for a in answers] == [201, 412], "what names nobody costs nothing"


@pytest.mark.parametrize("authority", ["SK/Budi-Hartono-Merak/2025", "SK.Budihartono.Merak"])
def test_an_erasure_whose_document_names_the_person_is_refused(api: House, authority: str) -> None:
    case = api.open(subject__name=NAME, report__reporter={"name": "Siti Aminah Kenari"})
    api.send("bkn", f"/v1/cases/{case.id}/withdrawals", {"reason": "Laporan ganda."}, If_Match=case.etag)
    assert flaws(api.erase(case.id, authority=authority)) == {"/authority"}
    assert flaws(api.erase(case.id, "PPID/Siti-Aminah-Kenari/2025", "reporter")) == {"/authority"}
    assert api.erase(case.id).status_code == 201


def test_after_the_opening_a_name_is_found_without_its_titles(api: House) -> None:
    """The case is found by it; nobody opens the person's part for that."""
    case = api.open(subject__name=NAME)
    stage, owner, outcome = "verifikasi_satgas", api.turn(case, "verifikasi_satgas"), "lolos"
    for text in (*SAID[9:], "Budi Hartono Merak", "/".join(case.nip)):
        body = body_for("sbt_2024", stage, outcome)
        body["body"]["summary_text"] = text
        sent = api.send(owner, f"/v1/cases/{case.id}/stages/{stage}", body, If_Match=case.etag)
        assert flaws(sent) == {"/body/summary_text"}, text


def test_free_text_is_sealed_shown_to_whom_the_summary_is_for_and_goes_with_the_person(api: House) -> None:
    """Neither in the clear in the database, nor left after an erasure; a reader of the summary reads it until then."""
    said = "Uraian ringkas tanpa orang: burung merak di halaman."
    case = api.open(body__summary_text=said)
    path = f"/v1/cases/{case.id}/stages/{rulebook().procedures['sbt_2024'].first_stages[0]}"
    views = {party: api.get(party, path).json() for party in ("bkn", "kemendagri", "auditor")}
    assert all("view" in v for v in views.values()), views
    assert {v["view"] for v in views.values()} == {"full", "summary"}, views
    assert {v["latest"]["body"]["summary_text"] for v in views.values()} == {said}
    for table in ("stage", "cases", "entry", "payload"):
        rows = api.superuser(f"SELECT t::text AS row FROM {table} t")
        assert not [row for row in rows if "burung merak" in row.row or b"burung merak".hex() in row.row], table
    check_replay(api, case.id)
    closed = api.send("bkn", f"/v1/cases/{case.id}/withdrawals", {"reason": "Laporan ganda."}, If_Match=case.etag)
    assert closed.status_code == 201, closed.text
    assert api.erase(case.id).status_code == 201
    for party in views:
        left = api.get(party, path)
        assert left.status_code == 200 and "merak" not in left.text
    check_replay(api, case.id)


def test_the_free_text_of_an_older_case_is_sealed_as_well(api: House) -> None:
    older = line()
    older["posts"][-1]["body"]["summary_text"] = "Ringkasan lama: burung beo."
    (made,) = imported(api, [older])
    case = made["case_id"]
    shown = api.get("auditor", f"/v1/cases/{case}/stages/selesai").json()
    assert shown["latest"]["body"]["summary_text"] == "Ringkasan lama: burung beo."
    assert not api.superuser("SELECT 1 FROM stage WHERE facts::text LIKE '%%burung beo%%'")
    check_replay(api, case)


def test_a_corrected_text_takes_the_place_of_the_first(api: House) -> None:
    case = api.open()
    body = body_for("sbt_2024", "verifikasi_satgas", "lolos")
    body["body"]["summary_text"] = "Kalimat pertama."
    api.post(api.turn(case, "verifikasi_satgas"), case, "verifikasi_satgas", "lolos", body)
    other = correction("sbt_2024", "verifikasi_satgas", "lolos", summary_text="Kalimat kedua.")
    path = f"/v1/cases/{case.id}/stages/verifikasi_satgas"
    assert api.send("bkn", f"{path}/corrections", other, If_Match=case.etag).status_code == 201
    assert api.get("auditor", path).json()["latest"]["body"]["summary_text"] == "Kalimat kedua."
    check_replay(api, case.id)


def test_a_signature_that_was_used_asks_nothing_of_a_case(api: House) -> None:
    """Else whoever may not identify could guess names for nothing: a miss would be rolled back with the used nonce."""
    case = api.open(subject__name="Rahasia Sekali")
    mine = registered(api, "bkn", [s for s in api.clients["bkn"]["scopes"] if s != "cases:read.identity"])
    path = f"/v1/cases/{case.id}/stages/verifikasi_satgas"
    used = f"n{uuid4().hex}"

    def ask(text: str, path: str = path) -> tuple[int, str]:
        body = body_for("sbt_2024", "verifikasi_satgas", "lolos")
        body["body"]["summary_text"] = text
        with patch.object(signing, "uuid4", lambda: SimpleNamespace(hex=used)):
            answer = mine.post(path, body, If_Match=case.etag)
        return refusal(answer) if answer.is_error else (answer.status_code, "")

    other = api.open()
    spent = f"/v1/cases/{other.id}/stages/verifikasi_satgas"
    assert ask("Berkas lengkap.", spent)[0] == 201
    assert ask("Laporan tentang Rahasia Sekali.") == ask("Laporan tentang Siapa Saja.") == (401, "SIGNATURE_INVALID")


def test_a_report_of_long_texts_lets_others_be_served_between_its_persons(api: House) -> None:
    """The names of a hundred persons are looked for in each text once, and not person by person."""
    calls = list[int]()
    known = persons.forms

    def counted(person: Any) -> Any:
        calls.append(1)
        return known(person)

    many = report(*[{} for _ in range(30)])
    with patch.object(persons, "forms", counted):
        assert api.send("bkn", "/v1/reports", many).status_code == 201
    assert len(calls) <= 30 * 6, "of each person once, not of each for each other"


def test_what_is_refused_for_another_reason_says_nothing_of_a_name(api: House) -> None:
    """Else a correction that cannot be made would compare names, and leave nothing on record."""
    case, outcome = api.walked("tindak_lanjut_ppk", subject__name="Rahasia Sekali"), "pindah_instansi"
    post = body_for("sbt_2024", "tindak_lanjut_ppk", outcome)
    api.post("bkn", case, "tindak_lanjut_ppk", outcome, post)

    def ask(text: str, **more: Any) -> list[str]:
        sent = {"body": {**post["body"], "summary_text": text, **more}, "reason": "Contoh."}
        path = f"/v1/cases/{case.id}/stages/tindak_lanjut_ppk/corrections"
        answer = api.send("bkn", path, sent, If_Match=case.etag)
        assert answer.status_code == 422
        return [error["code"] for error in answer.json()["errors"]]

    assert ask("Laporan tentang Rahasia Sekali.") == ["PERSONAL_DATA"]
    other = {"new_agency_code": "4011" if post["body"]["new_agency_code"] != "4011" else "7600"}
    for text in ("Laporan tentang Rahasia Sekali.", "Laporan tentang Siapa Saja."):
        assert ask(text, **other) == ["NOT_CORRECTABLE"]


def test_an_erasure_counts_as_a_look_at_the_person_right_or_wrong(api: House) -> None:
    case = api.open()
    order = {"case_id": case.id, "person": "subject", "authority": "PPID-1/2025", "document": "0" * 64}
    with measures(api, "identity=0.001/2"):
        answers = [api.send("operator", "/v1/admin/erasures", order).status_code for _ in range(4)]
    assert answers[2:] == [429, 429]
