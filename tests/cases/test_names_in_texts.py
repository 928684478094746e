"""Names and numbers of persons in a text: what is taken for one, however it is written, and what is not."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cases import unsealed_texts
from app.errors import ValidationFailed
from app.procedure.loading import rulebook
from app.vault import persons
from tests.support.walks import body_for

NAME = "Drs. Budi Hartono Merak, M.Si."
NIP = "199001012015031007"
PARTED = [*"/|:•’\u3164\u2800,;x", " / ", " nomor "]  # between two digits of a number
OTHERS = [  # numbers of somebody else
    "1985 0722 2009 0410 02",
    "19850722 200904 1 002",
    "1985-07-22-2009-04-1-002",
    "1985.07.22.2009.04.1.002",
    "".join(chr(0x2460 + int(d) - 1) if d != "0" else "\u24ea" for d in "198507222009041002"),
    "".join(f"{chr(0x2474 + int(d) - 1)}" for d in "1111222233334444"),
    "3174|0507|2285|0003",
    "31740 51207 1999 03",  # a NIK, although a year seems to stand in it
]
NUMBERLESS = [
    "Klarifikasi 2024-10-10 sampai 2024-11-11",
    "Klarifikasi 12-10-2024 sampai 10-11-2024, 12-10-2024 10-11-2024",
    "Pemilu 2009, 2014, 2019, 2024 dan 2029",
    "2014 2019 2024 2029",
    "Rp 1.500.000, Rp 2.300.000 dan Rp 12.500.000",
    "1.500.000 2.300.000 12.500.000",
    "800.1.6.2/9188/2025 dan B-1234/KASN/10/2024",
    "Klarifikasi pukul 08.00-10.00, 10.00-12.00 WIB.",
    "10-10-24, 11-10-24, 12-10-24",
    "10.10.24 - 11.10.24 - 12.10.24",
    "2024-10-10 08:30 2024-10-11 09:30",
    "-6.175392, 106.827153",
    "TPS 001, 002, 003, 004, 005, 006",
    "tanggal 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13 Oktober",
    "081234567890 081234567891",
    "12345 67890 12345 dan 1",
]


def require_no_person(texts: Mapping[str, str], *matchers: unsealed_texts.PersonMatcher) -> None:
    asyncio.run(unsealed_texts.require_no_person(texts, *matchers))


def fields_of_words() -> list[tuple[str, str, str, str]]:
    """Every member that a summary shows in its author's words: procedure, stage, outcome, member."""
    found: dict[tuple[str, str], tuple[str, str, str, str]] = {}
    for procedure in rulebook().procedures.values():
        for stage in procedure.stages.values():
            if procedure.code == "skb_2020" or stage.opened_by_case:
                continue
            body = body_for(procedure.code, stage.code, next(iter(stage.outcomes)))["body"]
            for pointer in unsealed_texts.unsealed(body, ""):
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
                unsealed_texts.require_no_numbers(unsealed_texts.unsealed({name: value}))


@given(
    st.lists(st.sampled_from("0123456789"), min_size=16, max_size=20),
    st.sampled_from([" ", "", ".", "-", "\u2009", "\u2011", "'"]),
)
def test_a_long_number_is_one_however_it_is_spaced(digits: list[str], space: str) -> None:
    with pytest.raises(ValidationFailed):
        unsealed_texts.require_no_numbers({"/x": f"a {space.join(digits)} b"})


@given(st.lists(st.sampled_from("0123456789"), max_size=15))
def test_a_shorter_one_is_none(digits: list[str]) -> None:
    assert passes(f"{' '.join(digits)}/2025/{''.join(digits)}")


def passes(text: str) -> bool:
    try:
        unsealed_texts.require_no_numbers({"/x": text})
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
    known = unsealed_texts.matcher_for_persons({"nip": NIP, "nik": "6472011203900001"})
    for number in (NIP, "6472011203900001"):
        with pytest.raises(ValidationFailed):
            require_no_person({"/x": f"nomor {sign.join(number)}"}, known)


def test_a_name_over_several_items_of_a_list_is_one() -> None:
    known = unsealed_texts.matcher_for_persons({"nip": NIP, "name": NAME})
    for items in (["Budi", "Hartono", "Merak"], [NIP[:9], NIP[9:]]):
        with pytest.raises(ValidationFailed) as refused:
            require_no_person({f"/x/{n}": item for n, item in enumerate(items)}, known)
        assert [f.pointer for f in refused.value.flaws] == ["/x"]


@pytest.mark.parametrize("name", ["Terlapor", "ASN", "Oknum PNS", "Terlapor 1", "Tidak diketahui", "", None])
def test_what_stands_for_a_name_that_nobody_knows_is_no_name(name: str | None) -> None:
    require_no_person(
        {"/x": "Terlapor, seorang ASN (oknum PNS), tidak diketahui."},
        unsealed_texts.matcher_for_persons({"name": name}),
    )
    assert not persons.name_forms(name)


def test_the_items_of_a_list_are_numbers_of_their_own() -> None:
    articles = {f"/body/articles/{n}": article for n, article in enumerate(["280", "281", "282", "283", "490", "494"])}
    unsealed_texts.require_no_numbers(articles)
    require_no_person(articles, unsealed_texts.matcher_for_persons({"nip": NIP}))


def test_a_list_that_names_somebody_leaves_the_others_alone() -> None:
    texts = {"/a/0": "Budi", "/a/1": "Hartono", "/b/0": "x", "/c": "y"}
    with pytest.raises(ValidationFailed) as refused:
        require_no_person(texts, unsealed_texts.matcher_for_persons({"name": NAME}))
    assert [f.pointer for f in refused.value.flaws] == ["/a"]


def test_a_long_name_and_one_of_short_words_are_found() -> None:
    for name in ("Siti Nur Aisyah Putri Dewi Lestari Ayu Kartika Sari Wulan Ningsih", "Li Na", "Al Amin bin Said"):
        with pytest.raises(ValidationFailed):
            require_no_person(
                {"/x": f"Laporan tentang {name} hari ini"}, unsealed_texts.matcher_for_persons({"name": name})
            )


BARE_NAMES: list[tuple[str | None, list[str]]] = [
    ("Dr. Budi Hartono, M.Si.", ["budihartono", "drbudihartono"]),
    ("Drs. Budi Hartono Merak", ["budihartono", "hartonomerak", "budimerak", "budihartonomerak"]),
    ("drg. Siti Rahmawati Merak, M.Kes", ["sitirahmawati", "rahmawatimerak", "sitimerak", "sitirahmawatimerak"]),
    ("Merak, Budi", ["merakbudi"]),
    ("Ani Budi, S.Psikologi", ["anibudi"]),
    ("Ani Budi, SKM", ["anibudi"]),
    ("Budi Hartono (Kepala Dinas)", ["budihartono"]),
    ("Budi Hartono alias Bolot", ["budihartono"]),
    ("\ufdfa Ani Budi", ["anibudi"]),
    ("A. B. C. Nasution", ["abcnasution"]),
    ("A. B. Nasution", ["=nasution"]),
    ("Li Na", ["lina"]),
    ("Wahyu", ["=wahyu"]),
    ("H. Adi", []),
    ("A", []),
    (", ,", []),
    ("Terlapor 1", []),
    ("Kepala Desa", []),
    ("Sekretaris Daerah", []),
    ("Camat Sukajadi", []),
    (None, []),
    ("Ma’ruf Amin", ["marufamin"]),
    ("Nur Al-Amin", ["nuramin", "nuralamin"]),
    ("Budi bin Merak", ["budimerak"]),
    ("Dr. (H.C.) Ahmad Fauzan", ["ahmadfauzan", "drahmadfauzan"]),
    ("(Alm.) Budi Hartono", ["budihartono"]),
    ("Brigjen TNI (Purn) Budi Hartono", ["budihartono"]),
    ("Ahmad (Fauzan) Kontoh", ["=ahmad", "ahmadkontoh"]),
]


@pytest.mark.parametrize(("name", "bare"), BARE_NAMES)
def test_a_name_without_its_titles(name: str | None, bare: list[str]) -> None:
    assert persons.name_forms(name) == bare


@pytest.mark.parametrize(
    "name",
    [
        "Siti Rahmawati Merak S.Sos",
        "Siti Rahmawati Merak SKM",
        "apt. Siti Rahmawati Merak",
        "Yang Terhormat Siti Rahmawati Merak",
    ],
)
def test_a_title_that_nobody_knows_hides_no_name(name: str) -> None:
    with pytest.raises(ValidationFailed):
        require_no_person({"/x": "Perkara Siti Rahmawati."}, unsealed_texts.matcher_for_persons({"name": name}))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("A", "Pasal 5 ayat (1) huruf a"),
        ("Dita", "kegiatan di TA 2024"),
        ("Dian", "di a.n. Bupati"),
        ("Bupati", "Kepada Bupati"),
        ("Tidak Dikenal", "Pelaku tidak dikenal."),
        ("AS", "warga AS"),
        ("Budi Hartono", "Budi datang dengan Hartono."),
        ("Merak, Budi", "burung merak"),
    ],
)
def test_words_that_are_no_name_stand_in_any_text(name: str, text: str) -> None:
    require_no_person({"/x": text}, unsealed_texts.matcher_for_persons({"name": name}))


def test_letters_in_rings_and_with_marks_are_letters() -> None:
    assert persons.words("\u24b7\u24e4\u24d3\u24d8 Ren\u00e9e") == ["budi", "renee"]


def test_a_name_in_more_pieces_than_anybody_writes_it_in_is_none() -> None:
    assert ("bare", "budihartono") in persons.forms_in_texts(["Bu di Har tono"])
    assert ("bare", "budihartono") not in persons.forms_in_texts(["Bu di Har to no"])


def test_an_initial_between_two_words_hides_no_name() -> None:
    with pytest.raises(ValidationFailed):
        require_no_person({"/x": "Perkara Adi B. Putra."}, unsealed_texts.matcher_for_persons({"name": "Adi Putra"}))


def test_the_largest_text_of_the_worst_letters_is_looked_through_in_no_time() -> None:
    """Looked up, that is: what costs is a digest of each window."""
    for text in ("\ufdfa" * 4000, "ab " * 1333, "a " * 2000, "1" * 4000, " ".join(f"{n:x}" for n in range(1000))):
        assert len(persons.forms_in_texts([text] * 3)) < 10_000


def test_what_is_sealed_may_name_the_person() -> None:
    """The grounds, the person's own members, and days and codes: none of them is looked through."""
    body = {"reason": NIP, "subject_nip": NIP, "subject_name": NAME, "decided_on": "2024-10-10", "criminal_track": True}
    assert unsealed_texts.unsealed(body) == {}
    shown = {"letter_number": "B-1", "articles": ["9", "10"], "summary_text": "x"}
    pointers = {"/body/letter_number", "/body/articles/0", "/body/articles/1", "/body/summary_text"}
    assert set(unsealed_texts.unsealed({**body, **shown})) == pointers


@pytest.mark.parametrize(
    ("name", "text", "named"),
    [
        ("Dr. Ani Budi, S.H.", "surat Ani Budi", True),
        ("Dr. Ani Budi, S.H.", "surat Budi", False),
        ("Dr. Ani Budi, S.H.", "surat Ani kepada Budi", False),
        ("Prof. Drs. H. Ali Umar", "Ali Umar", True),
        ("Prof. Drs. H. Ali Umar", "Prof. Drs.", False),
        ("Wahyu", "laporan Wahyu", True),
        ("Al", "laporan Al", False),
        (None, "laporan", False),
        ("", "laporan", False),
    ],
)
def test_a_name_is_found_with_and_without_its_titles_and_not_in_parts(name: str | None, text: str, named: bool) -> None:  # noqa: FBT001 - a column of the table
    try:
        require_no_person({"/x": text}, unsealed_texts.matcher_for_persons({"name": name}))
    except ValidationFailed:
        assert named
    else:
        assert not named


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Ma'ruf Amin", "Perihal Maruf Amin"),
        ("Maruf Amin", "Perihal Ma’ruf Amin"),
        ("Ru'yat", "Surat untuk Ru'yat"),
        ("Nur Al-Amin", "Perihal Nur Alamin"),
        ("Budi Merak", "Perihal Merak Budi"),
        ("Budi Merak", "Perihal Merak, Budi"),
        ("Budi Hartono Merak", "Perihal Budi Merak"),
        ("Budi Merak", "Perihal Budi bin Merak"),
        ("Budi bin Merak", "Perihal Budi Merak"),
        ("Budi Merak", "perihal%20Budi%20Merak"),
        ("Budi Merak", "Budi&nbsp;Merak"),
    ],
)
def test_a_name_is_found_in_the_spellings_of_letters(name: str, text: str) -> None:
    with pytest.raises(ValidationFailed):
        require_no_person({"/x": text}, unsealed_texts.matcher_for_persons({"name": name}))


def test_long_texts_are_compared_in_portions_and_others_are_served_between_them() -> None:
    """Ten thousand forms in one go would hold the process for half a second, and everybody in it."""
    texts = {f"/x/{n}": " ".join(f"kata{n}x{m}" for m in range(400)) for n in range(5)}
    turns, compared = [0], []

    def matcher(forms: unsealed_texts.TextForms) -> unsealed_texts.TextForms:
        compared.append(len(forms))
        return set()

    async def both() -> None:
        async def other() -> None:
            while True:
                turns[0] += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        await unsealed_texts.require_no_person(texts, matcher)
        task.cancel()

    asyncio.run(both())
    assert max(compared) <= unsealed_texts.PORTION
    assert turns[0] >= sum(compared) // unsealed_texts.PORTION >= 20


def test_a_form_that_comes_again_is_compared_once() -> None:
    compared: list[tuple[str, str]] = []

    def matcher(forms: unsealed_texts.TextForms) -> unsealed_texts.TextForms:
        compared.extend(forms)
        return set()

    asyncio.run(unsealed_texts.require_no_person({"/a": "satu dua tiga", "/b": "satu dua tiga"}, matcher))
    assert len(compared) == len(set(compared)) > 0


def test_numbers_in_a_long_text_are_looked_for_in_windows_of_their_length_alone() -> None:
    """A thousand pairs of digits: each stretch as long as a NIK or NIP is looked at, and no other."""
    stretches = list(unsealed_texts._windows(", ".join(["12.34"] * 700)))
    assert {len(stretch) for stretch in stretches} <= {16, 17, 18} and len(stretches) <= 3 * 1400
