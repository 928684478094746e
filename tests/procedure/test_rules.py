"""What a post opens, drops and closes; which condition holds. Without a database."""

from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from app.errors import OutcomeNotAllowed, StageNotOpen
from app.procedure import rules
from app.procedure.loading import rulebook
from app.procedure.state import CaseState
from tests.support.walks import DAY, start


def post(case: CaseState, *steps: str) -> CaseState:
    for step in steps:
        stage, outcome = step.split(".")
        seq = len(list(case.posts())) + 1
        case = rules.post(rulebook(), case, stage, outcome, {"decided_on": DAY[case.procedure]}, seq).case
    return case


TO_PPK = (
    "pelaporan_publik.diterima",
    "verifikasi_satgas.lolos",
    "kajian_bawaslu.terbukti",
    "penyampaian_ppk.disampaikan",
)


def test_a_stage_that_is_open_already_gets_a_new_clock_and_no_new_round() -> None:
    case = post(start("sbt_2024"), *TO_PPK, "tindak_lanjut_ppk.tidak_ditindaklanjuti", "peringatan.diterbitkan")
    running = case.open("tindak_lanjut_ppk")
    assert running is not None and (running.round, running.after) == (2, "peringatan.diterbitkan")


def test_a_sanction_drops_the_ladder() -> None:
    case = post(start("sbt_2024"), *TO_PPK, "tindak_lanjut_ppk.tidak_ditindaklanjuti")
    move = rules.post(rulebook(), case, "tindak_lanjut_ppk", "sanksi_sesuai", {"decided_on": "2024-10-10"}, 6)
    assert [s.stage for s in move.dropped] == ["peringatan"] and move.case.open_codes() == ["pencatatan_idis"]


def test_a_block_in_force_must_be_lifted_before_the_case_closes() -> None:
    ladder = ("tindak_lanjut_ppk.tidak_ditindaklanjuti", "peringatan.diterbitkan", "tindak_lanjut_ppk.tidak_ditindaklanjuti",
              "teguran.diterbitkan", "tindak_lanjut_ppk.tidak_ditindaklanjuti", "blokir_siasn.diblokir")  # fmt: skip
    case = post(start("sbt_2024"), *TO_PPK, *ladder, "tindak_lanjut_ppk.sanksi_sesuai", "pencatatan_idis.tercatat")
    assert case.open_codes() == ["buka_blokir"]
    assert rules.holds(rulebook(), "block_in_force", case)
    move = rules.post(rulebook(), case, "buka_blokir", "dibuka", {"decided_on": "2024-10-10"}, 99)
    assert move.closed == "dijatuhi_sanksi"


def test_an_annulled_decree_no_longer_stands() -> None:
    case = post(start("sbt_2024"), *TO_PPK, "tindak_lanjut_ppk.sanksi_tidak_sesuai", "validasi_bkn.keliru")
    assert rules.holds(rulebook(), "ppk_sanctioned", case)
    case = post(case, "pembatalan_sk.sk_dibatalkan")
    assert not rules.holds(rulebook(), "ppk_sanctioned", case)


def test_a_stage_that_is_not_open_is_refused() -> None:
    with pytest.raises(StageNotOpen):
        post(start("sbt_2024"), "kajian_bawaslu.terbukti")


def test_an_outcome_of_the_other_procedure_is_refused() -> None:
    case = post(start("sbt_2024"), *TO_PPK[:2])
    with pytest.raises(OutcomeNotAllowed):
        post(case, "kajian_bawaslu.dihentikan")


class AnyCase(RuleBasedStateMachine):
    """Random legal posts over both procedures: no case is ever neither open nor closed, no stage open twice."""

    case: CaseState
    closed: str | None

    @initialize(procedure=st.sampled_from(["skb_2022", "sbt_2024"]), regional=st.booleans())
    def begin(self, *, procedure: str, regional: bool) -> None:
        self.case, self.closed = start(procedure, regional=regional), None

    @precondition(lambda self: not self.closed)
    @rule(data=st.data())
    def post_something(self, data: st.DataObject) -> None:
        choices = [
            (s, o) for s in sorted(self.case.open_codes()) for o in rules.allowed_outcomes(rulebook(), self.case, s)
        ]
        stage, outcome = data.draw(st.sampled_from(choices))
        seq = len(list(self.case.posts())) + 1
        move = rules.post(rulebook(), self.case, stage, outcome, {"decided_on": DAY[self.case.procedure]}, seq)
        self.case, self.closed = move.case, move.closed

    @precondition(lambda self: not self.closed)
    @rule(stage=st.sampled_from(sorted({s for p in rulebook().procedures.values() for s in p.stages})))
    def try_what_is_closed(self, stage: str) -> None:
        if stage not in self.case.open_codes():
            with pytest.raises(StageNotOpen):
                rules.require_open(self.case, stage)

    @precondition(lambda self: self.closed)
    @rule()
    def rest(self) -> None:
        assert self.closed in rulebook().vocabulary.statuses

    @invariant()
    def is_open_or_closed(self) -> None:
        if not hasattr(self, "case"):
            return
        opened = self.case.open_codes()
        assert len(set(opened)) == len(opened)
        assert bool(opened) != bool(self.closed)
        if opened:
            assert any(rules.allowed_outcomes(rulebook(), self.case, s) for s in opened)
            assert not rulebook().vocabulary.statuses[rules.status(rulebook(), self.case)].closed

    @invariant()
    def rounds_count_from_one(self) -> None:
        if hasattr(self, "case"):
            for code in {s.stage for s in self.case.stages}:
                assert [s.round for s in self.case.rounds(code)] == list(range(1, len(self.case.rounds(code)) + 1))


AnyCase.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestAnyCase = AnyCase.TestCase


def test_the_employer_decides_whether_a_regional_head_can_be_reprimanded() -> None:
    case = start("sbt_2024")
    assert rules.holds(rulebook(), "employer_regional", case)
    assert not rules.holds(rulebook(), "employer_regional", replace(case, agency_code="4011"))
