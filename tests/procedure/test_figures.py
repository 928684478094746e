"""Every number of the procedures, with where it is printed. A figure that changes without its source fails here."""

import pytest

from app.procedure.loading import rulebook
from app.procedure.model import DeadlineRule

W, C = "working_day", "calendar_day"
UU7 = "UU 7/2017 Pasal 454(5), (6)"
PB7 = "Perbawaslu 7/2022 Pasal 15(1)"
PB9 = "Perbawaslu 9/2024"
PERPU1 = "Perppu 1/2014 Pasal 134(4), (5)"
JPNN = "BKN, 2023 (jpnn): 14 hari kerja, then warning, reprimand, block"
KASN14 = "Bawaslu Bengkulu, 9 Nov 2022: 14 days under the SKB"
TEGUR = "Kemendagri, 27 Oct 2020: three days for the regional head (PP 12/2017)"
SBT24 = "BKN, October 2024: at most 7 days for Satgas, 3 working days for Bawaslu"
OURS = "no term found: assumed, with a reason in the data"

# procedure, stage, place of the clock, value, unit, certainty, extension, source
Figure = tuple[str, str, int, int | None, str | None, str, tuple[str, int, str] | None, str]
FIGURES: list[Figure] = [
    ("skb_2022", "penerimaan", 0, 7, W, "sure", None, UU7), ("skb_2022", "penerimaan", 1, 7, W, "sure", None, UU7),
    ("skb_2022", "penerimaan", 2, 7, C, "sure", None, PERPU1),
    ("skb_2022", "kajian_awal", 0, 2, W, "sure", None, PB7), ("skb_2022", "kajian_awal", 1, 2, C, "sure", None, PB7),
    ("skb_2022", "perbaikan_laporan", 0, 2, W, "likely", None, PB9), ("skb_2022", "perbaikan_laporan", 1, 2, C, "likely", None, PB9),
    ("skb_2022", "kajian_bawaslu", 0, 7, W, "sure", ("total", 14, W), UU7),
    ("skb_2022", "kajian_bawaslu", 1, 3, C, "sure", ("adds", 2, C), PERPU1),
    ("skb_2022", "penerusan", 0, 3, W, "assumed", None, OURS),
    ("skb_2022", "verval_kasn", 0, 14, W, "likely", None, KASN14),
    ("skb_2022", "rekomendasi", 0, 3, W, "assumed", None, OURS),
    ("skb_2022", "tindak_lanjut_ppk", 0, 14, W, "sure", ("adds", 14, W), JPNN),
    ("skb_2022", "tindak_lanjut_ppk", 1, 7, W, "assumed", None, OURS), ("skb_2022", "tindak_lanjut_ppk", 2, 7, W, "assumed", None, OURS),
    ("skb_2022", "tindak_lanjut_ppk", 3, 14, W, "assumed", None, OURS),
    ("skb_2022", "tindak_lanjut_ppk", 4, 3, C, "sure", None, TEGUR),
    ("skb_2022", "tindak_lanjut_ppk", 5, 14, W, "assumed", None, OURS), ("skb_2022", "tindak_lanjut_ppk", 6, 14, W, "assumed", None, OURS),
    ("skb_2022", "tindak_lanjut_ppk", 7, 7, W, "assumed", None, OURS), ("skb_2022", "tindak_lanjut_ppk", 8, None, None, "assumed", None, OURS),
    ("skb_2022", "validasi_bkn", 0, 5, W, "assumed", None, OURS), ("skb_2022", "peringatan", 0, 5, W, "assumed", None, OURS),
    ("skb_2022", "teguran", 0, 5, W, "assumed", None, OURS), ("skb_2022", "blokir_siasn", 0, 5, W, "assumed", None, OURS),
    ("skb_2022", "teguran_kepala_daerah", 0, 5, W, "assumed", None, OURS), ("skb_2022", "eskalasi", 0, 10, W, "assumed", None, OURS),
    ("skb_2022", "pembatalan_sk", 0, 10, W, "assumed", None, OURS), ("skb_2022", "buka_blokir", 0, 3, W, "assumed", None, OURS),
    ("skb_2022", "selesai", 0, 5, W, "assumed", None, OURS),
    ("sbt_2024", "pelaporan_publik", 0, None, None, "assumed", None, OURS), ("sbt_2024", "identifikasi", 0, 3, W, "assumed", None, OURS),
    ("sbt_2024", "verifikasi_satgas", 0, 7, C, "sure", None, SBT24), ("sbt_2024", "pelengkapan_data", 0, 3, W, "assumed", None, OURS),
    ("sbt_2024", "kajian_bawaslu", 0, 3, W, "sure", None, SBT24), ("sbt_2024", "penyampaian_ppk", 0, 3, W, "assumed", None, OURS),
    ("sbt_2024", "tindak_lanjut_ppk", 0, 14, W, "assumed", ("adds", 14, W), JPNN),
    ("sbt_2024", "tindak_lanjut_ppk", 1, 7, W, "assumed", None, OURS), ("sbt_2024", "tindak_lanjut_ppk", 2, 7, W, "assumed", None, OURS),
    ("sbt_2024", "tindak_lanjut_ppk", 3, 14, W, "assumed", None, OURS), ("sbt_2024", "tindak_lanjut_ppk", 4, 3, C, "sure", None, TEGUR),
    ("sbt_2024", "tindak_lanjut_ppk", 5, 14, W, "assumed", None, OURS), ("sbt_2024", "tindak_lanjut_ppk", 6, 14, W, "assumed", None, OURS),
    ("sbt_2024", "tindak_lanjut_ppk", 7, 7, W, "assumed", None, OURS), ("sbt_2024", "tindak_lanjut_ppk", 8, None, None, "assumed", None, OURS),
    ("sbt_2024", "validasi_bkn", 0, 5, W, "assumed", None, OURS), ("sbt_2024", "pencatatan_idis", 0, 5, W, "assumed", None, OURS),
    ("sbt_2024", "peringatan", 0, 5, W, "assumed", None, OURS), ("sbt_2024", "teguran", 0, 5, W, "assumed", None, OURS),
    ("sbt_2024", "blokir_siasn", 0, 5, W, "assumed", None, OURS), ("sbt_2024", "teguran_kepala_daerah", 0, 5, W, "assumed", None, OURS),
    ("sbt_2024", "eskalasi", 0, 10, W, "assumed", None, OURS), ("sbt_2024", "pembatalan_sk", 0, 10, W, "assumed", None, OURS),
    ("sbt_2024", "buka_blokir", 0, 3, W, "assumed", None, OURS),
]  # fmt: skip


def clocks() -> dict[tuple[str, str, int], DeadlineRule]:
    return {
        (p.code, s.code, n): clock
        for p in rulebook().current()
        for s in p.stages.values()
        for n, clock in enumerate(s.clocks)
    }


@pytest.mark.parametrize("figure", FIGURES, ids=lambda f: f"{f[0]}.{f[1]}.{f[2]}")
def test_a_number_of_days_is_what_its_source_prints(figure: Figure) -> None:
    procedure, stage, place, value, unit, certainty, extension, source = figure
    clock = clocks()[procedure, stage, place]
    assert (clock.value, clock.unit, clock.certainty) == (value, unit, certainty)
    longer = clock.extension
    found = longer and (("total", longer.total, longer.unit) if longer.total else ("adds", longer.adds, longer.unit))
    assert found == extension
    assert (source in (OURS, JPNN)) if certainty == "assumed" else source not in (OURS, None)
    if certainty == "assumed":
        assert clock.reason, "an assumed number says why"
    else:
        assert clock.source or rulebook().procedures[procedure].stages[stage].source


def test_no_number_is_missing_from_this_table() -> None:
    assert {f[:3] for f in FIGURES} == set(clocks())
    assert len(FIGURES) == len(clocks())


def test_the_decree_of_2020_has_the_stages_of_its_successor() -> None:
    older, newer = rulebook().procedures["skb_2020"], rulebook().procedures["skb_2022"]
    assert older.import_only and older.stages == newer.stages
    assert older.valid_from.isoformat() == "2020-09-10"  # the decree's own date


def test_the_figures_beside_the_clocks() -> None:
    known = rulebook().vocabulary
    assert known.no_receipt_days == 7 and known.due_soon == (2, W) and known.ageing == (7, 14, 30, 90)
    assert (known.pause.longest, known.pause.unit, known.pause.times) == (14, W, 1)
    assert known.pause.stages == {"verval_kasn", "kajian_bawaslu", "tindak_lanjut_ppk"}
    assert known.extension_times == 1
    assert {(s.role, s.to, s.since.isoformat()) for s in known.succession} == {
        ("kasn", "bkn", "2024-09-04"),  # SE MenPANRB 4/2024
        ("kasn", "kemenpanrb", "2024-09-04"),
    }
