"""Which cases there are and how each goes: paths through the procedures, with the days between the posts, in published proportions."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from app.procedure import charges
from app.procedure.loading import rulebook
from demo.people import Person, person

Step = tuple[str, str, int]  # stage, outcome (or "receipt"), days after the step before


@dataclass(frozen=True, slots=True)
class Planned:
    """One case: who, when it was reported, and what becomes of it."""

    election: str
    procedure: str
    opener: str
    person: Person
    received_on: date
    violation: str
    path: tuple[Step, ...]
    number: str

    @property
    def occurred_on(self) -> date:
        """Two days before the report."""
        return self.received_on - timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Published:
    """A figure as it was printed, and where the ledger has it: kind and code of /v1/statistics/cases."""

    election: str
    label: str
    kind: str
    code: str
    count: int


REFUSES = ("tindak_lanjut_ppk", "tidak_ditindaklanjuti", 2)
RECEIPT = ("tindak_lanjut_ppk", "receipt", 2)

# ---- pemilu-2024, procedure skb_2022: 481 reported, 264 proven, 181 sanctioned by the PPK
SKB_STUDY: tuple[Step, ...] = (
    ("penerimaan", "diterima", 0),
    ("kajian_awal", "diregistrasi", 2),
    ("kajian_bawaslu", "dugaan_pelanggaran_netralitas", 7),
)
SKB_KASN: tuple[Step, ...] = (*SKB_STUDY, ("penerusan", "diteruskan", 2), ("verval_kasn", "receipt", 2))
SKB_PROVEN: tuple[Step, ...] = (*SKB_KASN, ("verval_kasn", "terbukti", 10), ("rekomendasi", "diterbitkan", 2), RECEIPT)
SKB_END: tuple[Step, ...] = (("validasi_bkn", "sesuai", 4), ("selesai", "selesai_sanksi", 3))
SKB_LADDER: tuple[Step, ...] = (
    REFUSES,
    ("peringatan", "diterbitkan", 3),
    REFUSES,
    ("teguran", "diterbitkan", 3),
    REFUSES,
    ("blokir_siasn", "diblokir", 3),
    REFUSES,
    ("teguran_kepala_daerah", "diterbitkan", 3),
    REFUSES,
    ("eskalasi", "diperintahkan", 5),
)
SKB_WRONG: tuple[Step, ...] = (
    ("tindak_lanjut_ppk", "sanksi_tidak_sesuai", 6),
    ("validasi_bkn", "keliru", 4),
    ("pembatalan_sk", "sk_dibatalkan", 5),
    ("tindak_lanjut_ppk", "sanksi_sesuai", 8),
)
SKB_LIFTED: tuple[Step, ...] = (
    ("validasi_bkn", "sesuai", 4),
    ("buka_blokir", "dibuka", 2),
    ("selesai", "selesai_sanksi", 3),
)
SKB_INCOMPLETE: tuple[Step, ...] = (
    ("penerimaan", "diterima", 0),
    ("kajian_awal", "perlu_perbaikan", 1),
    ("perbaikan_laporan", "dilengkapi", 1),
    ("kajian_awal", "diregistrasi", 1),
    *SKB_PROVEN[2:],
)

PEMILU: tuple[tuple[int, tuple[Step, ...]], ...] = (
    (150, (*SKB_PROVEN, ("tindak_lanjut_ppk", "sanksi_sesuai", 9), *SKB_END)),
    (20, (*SKB_PROVEN, *SKB_WRONG, *SKB_END)),
    (11, (*SKB_INCOMPLETE, *SKB_LADDER, *SKB_WRONG, *SKB_LIFTED)),
    (53, SKB_PROVEN),
    (20, (*SKB_PROVEN, *SKB_LADDER[:2])),
    (10, (*SKB_PROVEN, *SKB_LADDER[:6])),
    (120, (*SKB_KASN, ("verval_kasn", "tidak_terbukti", 9))),
    (57, (*SKB_STUDY[:2], ("kajian_bawaslu", "bukan_pelanggaran", 7))),
    (25, (("penerimaan", "diterima", 0), ("kajian_awal", "tidak_diregistrasi", 2))),
    (10, (*SKB_STUDY[:2], ("kajian_bawaslu", "pidana_ke_gakkumdu", 7))),
    (5, (*SKB_STUDY[:2], ("kajian_bawaslu", "dihentikan", 5))),
)  # fmt: skip

# ---- pilkada-2024, procedure sbt_2024: the state of 4 December 2024
SBT_VERIFIED: tuple[Step, ...] = (("pelaporan_publik", "diterima", 0), ("verifikasi_satgas", "lolos", 5))
SBT_FOUND: tuple[Step, ...] = (("pelaporan_publik", "perlu_identifikasi", 0), ("identifikasi", "teridentifikasi", 2))
SBT_PROVEN: tuple[Step, ...] = (
    *SBT_VERIFIED,
    ("kajian_bawaslu", "terbukti", 3),
    ("penyampaian_ppk", "disampaikan", 2),
    RECEIPT,
)
SBT_LADDER: tuple[Step, ...] = (
    REFUSES,
    ("peringatan", "diterbitkan", 2),
    REFUSES,
    ("teguran", "diterbitkan", 2),
    REFUSES,
    ("blokir_siasn", "diblokir", 2),
    REFUSES,
    ("teguran_kepala_daerah", "diterbitkan", 2),
    REFUSES,
    ("eskalasi", "sanksi_ppk", 3),
)
SBT_WRONG: tuple[Step, ...] = (
    ("tindak_lanjut_ppk", "sanksi_tidak_sesuai", 4),
    ("validasi_bkn", "keliru", 2),
    ("pembatalan_sk", "sk_dibatalkan", 3),
    ("tindak_lanjut_ppk", "sanksi_sesuai", 4),
)

PILKADA: tuple[tuple[int, tuple[Step, ...]], ...] = (
    (600, (("pelaporan_publik", "diterima", 0),)),
    (40, SBT_FOUND),
    (27, (("pelaporan_publik", "diterima", 0), ("verifikasi_satgas", "perlu_data", 3), ("pelengkapan_data", "dilengkapi", 2))),
    (380, SBT_PROVEN),
    (36, (*SBT_PROVEN, *SBT_LADDER[:2])),
    (15, (*SBT_PROVEN, *SBT_LADDER[:6])),
    (5, (*SBT_PROVEN, *SBT_LADDER)),
    (4, (*SBT_PROVEN, ("tindak_lanjut_ppk", "pegawai_berhenti_pensiun", 6))),
    (24, (*SBT_VERIFIED, ("kajian_bawaslu", "tidak_terbukti", 3))),
    (27, (("pelaporan_publik", "diterima", 0), ("verifikasi_satgas", "dibatalkan", 4))),
    (60, (("pelaporan_publik", "diterima", 0), ("verifikasi_satgas", "ditolak", 6))),
    (15, (*SBT_PROVEN, ("tindak_lanjut_ppk", "sanksi_sesuai", 9), ("pencatatan_idis", "tercatat", 3))),
    (3, (*SBT_PROVEN, *SBT_WRONG, ("pencatatan_idis", "tercatat", 2))),
    (1, (*SBT_PROVEN, *SBT_LADDER, ("tindak_lanjut_ppk", "sanksi_sesuai", 3), ("pencatatan_idis", "tercatat", 2), ("buka_blokir", "dibuka", 1))),
)  # fmt: skip

PUBLISHED = (
    Published("pilkada_2020", "reported (imported)", "measure", "reported", 2034),
    Published("pilkada_2020", "proven (imported)", "measure", "proven", 1597),
    Published("pilkada_2020", "sanctioned by the PPK (imported)", "measure", "sanctioned", 1450),
    Published("pemilu_2024", "reported", "measure", "reported", 481),
    Published("pemilu_2024", "proven", "measure", "proven", 264),
    Published("pemilu_2024", "sanctioned by the PPK", "measure", "sanctioned", 181),
    Published("pilkada_2024", "waiting for verification", "open", "menunggu_verifikasi", 667),
    Published("pilkada_2024", "waiting for the PPK", "open", "menunggu_tindak_lanjut_ppk", 436),
    Published("pilkada_2024", "left service", "closed", "berhenti_pensiun", 4),
    Published("pilkada_2024", "not proven", "closed", "tidak_terbukti", 24),
    Published("pilkada_2024", "cancelled", "closed", "dibatalkan", 27),
    Published("pilkada_2024", "rejected", "closed", "ditolak", 60),
    Published("pilkada_2024", "sanctioned", "closed", "dijatuhi_sanksi", 19),
)
AS_OF = date(2024, 12, 4)


def scaled(groups: tuple[tuple[int, tuple[Step, ...]], ...], scale: float) -> list[tuple[int, tuple[Step, ...]]]:
    """Every path at least once, whatever the scale: a small demo walks the same stages."""
    return [(max(1, round(count * scale)), path) for count, path in groups]


def plan(scale: float, chance: random.Random) -> list[Planned]:
    return [*_planned("pemilu_2024", scale, chance), *_planned("pilkada_2024", scale, chance)]


def _planned(election: str, scale: float, chance: random.Random) -> Iterator[Planned]:
    general = election == "pemilu_2024"
    first, last = (date(2023, 9, 1), date(2024, 2, 20)) if general else (date(2024, 9, 10), AS_OF)
    for count, path in scaled(PEMILU if general else PILKADA, scale):
        latest = min(last, (date(2024, 8, 30) if general else AS_OF) - timedelta(days=sum(days for _, _, days in path)))
        for _ in range(count):
            received = first + timedelta(days=chance.randint(0, (latest - first).days))
            opener = "bawaslu" if general else chance.choice(["bkn", "bkn", "bkn", "bawaslu", "kemendagri"])
            procedure = "skb_2022" if general else "sbt_2024"
            violation = charge(election, received - timedelta(days=2), "ds_06" if general else "ds_13")
            number = f"DEMO-{chance.getrandbits(48):012x}"
            yield Planned(
                election,
                procedure,
                opener,
                person(chance, received - timedelta(days=2)),
                received,
                violation,
                path,
                number,
            )


def charge(election: str, day: date, form: str) -> str:
    """The form, or its counterpart where candidates were not designated yet on the day of the incident; ds_14 has no phase."""
    phases, forms = charges.phases(rulebook(), election, None, day), rulebook().catalogue.codes("violations")
    if forms[form]["phase"] in phases:
        return form
    return next((c for c, v in forms.items() if v.get("counterpart") == form), "ds_14")


def expected(figure: Published, scale: float) -> int:
    """The printed figure; at another scale than 1, what the same paths come to."""
    if scale == 1:
        return figure.count
    return sum(count for count, path in scaled(groups_of(figure.election), scale) if counts(figure, path))


def groups_of(election: str) -> tuple[tuple[int, tuple[Step, ...]], ...]:
    from demo.past import PAST  # it is written with what stands here

    return {"pemilu_2024": PEMILU, "pilkada_2024": PILKADA, "pilkada_2020": PAST}[election]


def counts(figure: Published, path: tuple[Step, ...]) -> bool:
    """Whether a case of this path is among those that the figure counts."""
    done = {f"{stage}.{outcome}" for stage, outcome, _ in path}
    proven = "kajian_bawaslu.terbukti" in done if figure.election == "pilkada_2024" else "verval_kasn.terbukti" in done
    ended = bool(done & {"selesai.selesai_sanksi", "pencatatan_idis.tercatat"})
    ends = {
        "reported": True,
        "proven": proven,
        "sanctioned": ended,
        "dijatuhi_sanksi": ended,
        "berhenti_pensiun": "tindak_lanjut_ppk.pegawai_berhenti_pensiun" in done,
        "tidak_terbukti": "kajian_bawaslu.tidak_terbukti" in done,
        "dibatalkan": "verifikasi_satgas.dibatalkan" in done,
        "ditolak": "verifikasi_satgas.ditolak" in done,
        "menunggu_verifikasi": "verifikasi_satgas.lolos" not in done and not done & {"verifikasi_satgas.dibatalkan", "verifikasi_satgas.ditolak"},
        "menunggu_tindak_lanjut_ppk": proven and not ended and "tindak_lanjut_ppk.pegawai_berhenti_pensiun" not in done,
    }  # fmt: skip
    return ends[figure.code]
