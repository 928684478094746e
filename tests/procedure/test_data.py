"""The procedures as data: what they say is what was published, and a flaw in them stops the start with its name."""

import re
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from app.cases.bodies import MODELS
from app.cases.checks import check_models
from app.procedure import loading
from app.procedure.checks import BrokenRulebookError
from app.procedure.loading import read_rulebook, rulebook


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    folder = tmp_path / "procedure"
    shutil.copytree(loading.HERE, folder, ignore=shutil.ignore_patterns("__pycache__", "*.py"))
    return folder


def change(folder: Path, old: str, new: str, name: str = "sbt_2024.yaml") -> Path:
    file = folder / "versions" / name
    text = file.read_text()
    assert old in text, old
    file.write_text(text.replace(old, new, 1))
    return folder


FLAWS = [
    ("after: [penyampaian_ppk.disampaikan]", "after: [penyampaian_ppk.dikirim]", "unknown opener in a clock's after: penyampaian_ppk.dikirim"),
    ("next: [kajian_bawaslu]", "next: [kajian_baru]", "unknown next stage kajian_baru"),
    ("closes: ditolak}", "closes: entah}", "unknown closing status entah"),
    (", next: [kajian_bawaslu]}", "}", "outcome lolos: neither next stage nor closing status"),
    ("owner: bkn\n  may_open", "owner: bkp\n  may_open", "unknown party bkp"),
    ("required: [satgas_members,", "required: [satgas_memebers,", "unknown field satgas_memebers"),
    ("if: ppk_sanctioned, next: [pencatatan_idis]", "if: ppk_sancioned, next: [pencatatan_idis]", "unknown condition ppk_sancioned"),
    ("outcomes: [verifikasi_satgas.lolos]", "outcomes: []", "opens_when and the outcome verifikasi_satgas.lolos disagree"),
    ("starts: [verifikasi_satgas.decided_on], certainty: sure", "starts: [verifikasi.decided_on], certainty: sure", "unknown clock start verifikasi"),
    ('valid_from: "2024-09-04"', 'valid_from: "2024-09-03"', "both in force on 2024-09-03"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "named"), FLAWS)
def test_a_flaw_in_the_data_stops_the_start_and_is_named(copy: Path, old: str, new: str, named: str) -> None:
    with pytest.raises(BrokenRulebookError, match=re.escape(named)):
        read_rulebook(change(copy, old, new))


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        (
            "cleared_by: [buka_blokir.dibuka]",
            "cleared_by: [buka_blokir.dibukaa]",
            "condition block_in_force: buka_blokir.dibukaa",
        ),
        ("if: processed_by_kasn, to:", "if: processed_by_kasnn, to:", "unknown condition processed_by_kasnn"),
        (
            "outcomes: [verval_kasn.terbukti, kaj",
            "outcomes: [verval_kasn.terbukty, kaj",
            "statistics proven: verval_kasn.terbukty",
        ),
    ],
)
def test_a_flaw_in_the_shared_vocabulary_is_named(copy: Path, old: str, new: str, named: str) -> None:
    file = copy / "vocabulary.yaml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(BrokenRulebookError, match=named):
        read_rulebook(copy)


def test_an_unreachable_stage_is_named(copy: Path) -> None:
    change(copy, "next: [pelengkapan_data]", "next: [kajian_bawaslu]")
    with pytest.raises(BrokenRulebookError, match="stage pelengkapan_data: nothing opens it"):
        read_rulebook(copy)


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("model: VerifikasiSatgas", "model: Verifikasi", "no body model Verifikasi"),
        (
            "required: [satgas_members, formal_complete",
            "required: [satgas_members, office, formal_complete",
            "disagrees on office",
        ),
    ],
)
def test_a_body_model_that_is_missing_or_disagrees_stops_the_start(copy: Path, old: str, new: str, named: str) -> None:
    with pytest.raises(LookupError, match=named):
        check_models(read_rulebook(change(copy, old, new)))


def test_every_body_model_is_used() -> None:
    used = {s.model for p in rulebook().procedures.values() for s in p.stages.values()}
    assert used == set(MODELS)


def test_the_procedures_follow_each_other_without_a_gap() -> None:
    skb, sbt = rulebook().current()
    assert (skb.valid_from, skb.valid_to, sbt.valid_from, sbt.valid_to) == (
        date(2022, 9, 22), date(2024, 9, 3), date(2024, 9, 4), None,
    )  # fmt: skip


def test_the_catalogue_has_the_23_forms_and_the_38_provinces() -> None:
    codes = rulebook().catalogue.codes
    assert len(codes("violations")) == 23 and len(codes("provinces")) == 38
    assert set(codes("elections")) == {"pemilu_2019", "pilkada_2020", "pemilu_2024", "pilkada_2024"}
    rows: Any = codes("violations").values()
    allowed = {sanction for row in rows for sanction in row["sanctions"]}
    assert allowed <= set(codes("sanctions"))


def test_every_code_is_lower_snake_case_with_labels_in_both_languages() -> None:
    for name, rows in rulebook().catalogue.lists.items():
        for code, row in rows.items():
            assert re.fullmatch(r"[0-9]{2}\.[0-9]{2}" if name == "regencies" else r"[a-z0-9_]+", code), (name, code)
            assert {"name_id", "text_id"} & set(row) and {"name_en", "text_en"} & set(row), (name, code)


def test_identity_fields_are_personal_and_no_personal_field_is_in_a_summary() -> None:
    for name, field in rulebook().vocabulary.fields.items():
        assert not (field.personal and field.summary), name
        assert field.personal or not field.identity, name
