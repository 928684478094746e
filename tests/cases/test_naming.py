"""What is not sealed names nobody: at every door, in every field, however the number is spaced or the name is spelt."""

from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cases import naming
from app.errors import ValidationFailed
from app.procedure.loading import rulebook
from app.vault import persons
from tests.cases.test_corrections import correction
from tests.cases.test_imports import imported, line
from tests.cases.test_many import report
from tests.house import House
from tests.http.test_limits import measures
from tests.replaying import check_replay
from tests.walks import body_for, first_body

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
PARTED = [*"/|:•’\u3164\u2800,;x", " / ", " nomor "]  # between two digits of a number
OTHERS = [  # numbers of somebody else
    "1985 0722 2009 0410 02",
    "19850722 200904 1 002",
    "1985-07-22-2009-04-1-002",
    "1985.07.22.2009.04.1.002",
    "".join(chr(0x2460 + int(d) - 1) if d != "0" else "\u24ea" for d in "198507222009041002"),
    "".join(f"{chr(0x2474 + int(d) - 1)}" for d in "1111222233334444"),
    "3174|0507|2285|0003",
]
NUMBERLESS = [
    "Klarifikasi 2024-10-10 sampai 2024-11-11",
    "Klarifikasi 12-10-2024 sampai 10-11-2024, 12-10-2024 10-11-2024",
    "Pemilu 2009, 2014, 2019, 2024 dan 2029",
    "2014 2019 2024 2029",
    "Rp 1.500.000, Rp 2.300.000 dan Rp 12.500.000",
    "1.500.000 2.300.000 12.500.000",
    "800.1.6.2/9188/2025 dan B-1234/KASN/10/2024",
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


def fields_of_words() -> list[tuple[str, str, str, str]]:
    """Every member that a summary shows in its author's words: procedure, stage, outcome, member."""
    found: dict[tuple[str, str], tuple[str, str, str, str]] = {}
    for procedure in rulebook().procedures.values():
        for stage in procedure.stages.values():
            if procedure.code == "skb_2020" or stage.opened_by_case:
                continue
            body = body_for(procedure.code, stage.code, next(iter(stage.outcomes)))["body"]
            for pointer in naming.unsealed(body, ""):
                name = pointer.split("/")[1]
                found.setdefault((stage.model, name), (procedure.code, stage.code, next(iter(stage.outcomes)), name))
    return sorted(found.values())


def test_there_are_such_members_and_the_check_finds_each() -> None:
    names = {name for *_, name in fields_of_words()}
    assert names >= {"letter_number", "summary_text"} | {"addressee"}
    fields = rulebook().vocabulary.fields
    for name, field in fields.items():
        if field.summary and field.type.strip("[]") in ("string", "text"):
            value: Any = [NIP] if field.type.startswith("[") else NIP
            with pytest.raises(ValidationFailed):
                naming.require_no_numbers(naming.unsealed({name: value}))


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


def test_words_that_are_only_alike_and_numbers_of_letters_pass(api: House) -> None:
    texts = ("800.1.6.2/9188/2025", "B-1234/KASN/10/2024 tanggal 2024-10-10", "Merak", "Budi Hartati")
    for text in texts:
        body = first_body("sbt_2024", subject__name=NAME, report__report_number=text)
        assert api.send("bkn", "/v1/cases", body).status_code == 201, text


@given(
    st.lists(st.sampled_from("0123456789"), min_size=16, max_size=20),
    st.sampled_from([" ", "", ".", "-", "\u2009", "\u2011", "'"]),
)
def test_a_long_number_is_one_however_it_is_spaced(digits: list[str], space: str) -> None:
    with pytest.raises(ValidationFailed):
        naming.require_no_numbers({"/x": f"a {space.join(digits)} b"})


@given(st.lists(st.sampled_from("0123456789"), max_size=15))
def test_a_shorter_one_is_none(digits: list[str]) -> None:
    assert passes(f"{' '.join(digits)}/2025/{''.join(digits)}")


def passes(text: str) -> bool:
    try:
        naming.require_no_numbers({"/x": text})
    except ValidationFailed:
        return False
    return True


@pytest.mark.parametrize("text", OTHERS)
def test_a_number_that_could_be_anybodys_is_one_however_it_is_written(text: str) -> None:
    assert not passes(f"Saudara {text}, pegawai.")


@pytest.mark.parametrize("text", NUMBERLESS)
def test_days_years_money_and_numbers_of_letters_are_nobodys_number(text: str) -> None:
    assert passes(text)


@pytest.mark.parametrize("sign", PARTED)
def test_the_persons_own_number_is_found_whatever_parts_its_digits(sign: str) -> None:
    known = naming.of_person({"nip": NIP, "nik": "6472011203900001"})
    for number in (NIP, "6472011203900001"):
        with pytest.raises(ValidationFailed):
            naming.require_unnamed({"/x": f"nomor {sign.join(number)}"}, known)


def test_a_name_over_several_items_of_a_list_is_one() -> None:
    known = naming.of_person({"nip": NIP, "name": NAME})
    for items in (["Budi", "Hartono", "Merak"], [NIP[:9], NIP[9:]]):
        with pytest.raises(ValidationFailed) as refused:
            naming.require_unnamed({f"/x/{n}": item for n, item in enumerate(items)}, known)
        assert [f.pointer for f in refused.value.flaws] == ["/x"]


@pytest.mark.parametrize("name", ["Terlapor", "ASN", "Oknum PNS", "Terlapor 1", "Tidak diketahui", "", None])
def test_what_stands_for_a_name_that_nobody_knows_is_no_name(name: str | None) -> None:
    naming.require_unnamed(
        {"/x": "Terlapor, seorang ASN (oknum PNS), tidak diketahui."}, naming.of_person({"name": name})
    )
    assert not persons.bare(name)


def test_a_long_name_and_one_of_short_words_are_found() -> None:
    for name in ("Siti Nur Aisyah Putri Dewi Lestari Ayu Kartika Sari Wulan Ningsih", "Li Na", "Al Amin bin Said"):
        with pytest.raises(ValidationFailed):
            naming.require_unnamed({"/x": f"Laporan tentang {name} hari ini"}, naming.of_person({"name": name}))


def test_the_largest_text_of_the_worst_letters_is_looked_through_in_no_time() -> None:
    """Looked up, that is: what costs is a digest of each window."""
    for text in ("\ufdfa" * 4000, "ab " * 1333, "a " * 2000, "1" * 4000):
        assert sum(1 for _ in persons.said(text)) < 40_000


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
        assert api.send(owner, path, body, If_Match=case.etag).status_code == 201, "what names nobody costs nothing"


@pytest.mark.parametrize("authority", ["SK/Budi-Hartono-Merak/2025", "SK.Budihartono.Merak"])
def test_an_erasure_whose_document_names_the_person_is_refused(api: House, authority: str) -> None:
    case = api.open(subject__name=NAME)
    api.send("bkn", f"/v1/cases/{case.id}/withdrawals", {"reason": "Laporan ganda."}, If_Match=case.etag)
    assert flaws(api.erase(case.id, authority=authority)) == {"/authority"}
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


def test_what_is_sealed_may_name_the_person() -> None:
    """The grounds, the person's own members, and days and codes: none of them is looked through."""
    body = {"reason": NIP, "subject_nip": NIP, "subject_name": NAME, "decided_on": "2024-10-10", "criminal_track": True}
    assert naming.unsealed(body) == {}
    shown = {"letter_number": "B-1", "articles": ["9", "10"], "summary_text": "x"}
    pointers = {"/body/letter_number", "/body/articles/0", "/body/articles/1", "/body/summary_text"}
    assert set(naming.unsealed({**body, **shown})) == pointers


@pytest.mark.parametrize(
    ("name", "text", "named"),
    [
        ("Dr. Ani Budi, S.H.", "surat Ani Budi", True),
        ("Dr. Ani Budi, S.H.", "surat Budi", False),
        ("Prof. Drs. H. Ali Umar", "Ali Umar", True),
        ("Prof. Drs. H. Ali Umar", "Prof. Drs.", False),
        ("Wahyu", "laporan Wahyu", True),
        ("Al", "laporan Al", True),
        (None, "laporan", False),
        ("", "laporan", False),
    ],
)
def test_a_name_is_found_with_and_without_its_titles_and_not_in_parts(name: str | None, text: str, named: bool) -> None:  # noqa: FBT001 - a column of the table
    try:
        naming.require_unnamed({"/x": text}, naming.of_person({"name": name}))
    except ValidationFailed:
        assert named
    else:
        assert not named
