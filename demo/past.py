"""What KASN had handled for the regional elections of 2020, as a file of old cases: 2,034 reported, 1,597 proven, 1,450 sanctioned."""

import json
import random
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from app.procedure.charges import fitting
from app.procedure.loading import rulebook
from demo.bodies import body_for
from demo.people import person
from demo.plan import Step, charge, scaled

ELECTION, PROCEDURE = "pilkada_2020", "skb_2020"
FIRST, LAST = date(2020, 2, 3), date(2021, 3, 31)
# stage, outcome, days after the post before
STUDIED: tuple[Step, ...] = (
    ("penerimaan", "diterima", 0),
    ("kajian_awal", "diregistrasi", 1),
    ("kajian_bawaslu", "dugaan_pelanggaran_netralitas", 3),
    ("penerusan", "diteruskan", 2),
)
PROVEN: tuple[Step, ...] = (*STUDIED, ("verval_kasn", "terbukti", 12), ("rekomendasi", "diterbitkan", 2))
PAST: tuple[tuple[int, tuple[Step, ...]], ...] = (
    (1450, (*PROVEN, ("tindak_lanjut_ppk", "sanksi_sesuai", 18), ("validasi_bkn", "sesuai", 5), ("selesai", "selesai_sanksi", 4))),
    (147, PROVEN),
    (400, (*STUDIED, ("verval_kasn", "tidak_terbukti", 12))),
    (37, STUDIED),
)  # fmt: skip


def lines(scale: float, chance: random.Random) -> list[str]:
    """One case a line, as `sbt import` reads them."""
    return [json.dumps(_line(path, chance)) for count, path in scaled(PAST, scale) for _ in range(count)]


def _line(path: tuple[Step, ...], chance: random.Random) -> dict[str, Any]:
    received = FIRST + timedelta(days=chance.randint(0, (LAST - FIRST).days))
    happened = received - timedelta(days=2)
    who = person(chance, happened)
    form = charge(ELECTION, happened, "ds_06")
    return {
        "key": str(UUID(int=chance.getrandbits(128), version=4)),
        "procedure": PROCEDURE,
        "report": {
            "kind": "laporan",
            "report_number": f"KASN-2020-{chance.getrandbits(40):010x}",
            "received_on": received.isoformat(),
        },
        "subject": {
            "nip": who.nip,
            "name": who.name,
            "agency_code": who.agency_code,
            "job_level": who.job_level,
            "kind": "pns",
        },
        "election": ELECTION,
        "incident": {
            "occurred_on": happened.isoformat(),
            "province": who.province,
            "channel": "media_sosial",
            "account": "Uraian peristiwa buatan.",
        },
        "violations": [form],
        "posts": list(_posts(path, received, form, happened)),
    }


def _posts(path: tuple[Step, ...], received: date, form: str, happened: date) -> Iterator[dict[str, Any]]:
    day = received
    known = {
        "violation_codes": [form],
        "sanction_code": fitting(rulebook(), [form], happened, "pns")[0],
        "known_on": happened.isoformat(),
    }
    for stage, outcome, after in path:
        day += timedelta(days=after)
        yield {"stage": stage, **body_for(PROCEDURE, stage, outcome, day, **known)}
