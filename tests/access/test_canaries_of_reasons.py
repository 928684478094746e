"""Why something was done may name a person too: a canary in each reason and its papers is heard by who sees that stage in full, and nowhere else."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from app.cases.acts import ROWS
from app.matrix import cells
from app.matrix.situations import Situation, sees, situations, view
from app.procedure.views import FULL
from app.recovery.tables import METADATA
from tests.access.test_canaries import SONG, Planted, heard, reads, unzipped
from tests.matrix.test_matrix import DOCUMENT, NAME
from tests.support.house import Case, House, refusal
from tests.support.walks import body_for

BAWASLU = {"penerimaan": "bawaslu", "kajian_awal": "bawaslu"}
TASK_FORCE = {"pelaporan_publik": "bkn", "verifikasi_satgas": "bkn"}
ASKING = {act.path.rpartition("/")[2] for act in ROWS if act.reasoned}
READERS = [p for p in cells.parties() if p not in (cells.STRANGER, cells.SUSPENDED)]


@dataclass
class Reasoned:
    """A case with reasons. `written`: canary to (who wrote it, who takes over by it, the stage whose view decides)."""

    planted: Planted
    written: dict[str, tuple[str, str | None, str]]
    walked: set[str] = field(default_factory=set)

    def act(self, name: str, party: str, path: str, of: str, **body: Any) -> None:
        """One act with a reason of its own; its answer and its refusal repeat nothing of it."""
        case, songs = self.planted.case, [f"{SONG}-{name}"]
        sent: dict[str, Any] = {"reason": songs[0], **body}
        if "body" not in body:  # of a correction the papers are in its body
            songs.append(f"{SONG}-surat-{name}")
            sent["documents"] = [{"title": songs[1]}]
        stale = self.planted.api.send(party, f"/v1/cases/{case.id}/{path}", sent, If_Match='"9999"')
        assert refusal(stale)[0] == 412 and SONG not in stale.text
        answer = self.planted.api.send(party, f"/v1/cases/{case.id}/{path}", sent, If_Match=case.etag)
        assert answer.status_code == 201 and SONG not in answer.text, answer.text
        case.etag = answer.headers["ETag"]
        self.written |= dict.fromkeys(songs, (party, sent.get("to"), of))
        self.walked.add(path.rpartition("/")[2])


def told(house: House, case: Case, **known: Any) -> Reasoned:
    return Reasoned(Planted(house, Situation("contoh", case.procedure, **known), case, case.nip), {})


def _studied(house: House) -> Reasoned:
    """Extended, paused, corrected, taken back."""
    house.at("2023-12-10")
    found = told(house, house.walked("kajian_bawaslu", "skb_2022"), opened_by="bawaslu", posted=BAWASLU, open=("kajian_bawaslu",))  # fmt: skip
    found.act("perpanjangan", "bawaslu", "stages/kajian_bawaslu/extensions", "kajian_bawaslu")
    found.act("jeda", "bawaslu", "stages/kajian_bawaslu/pauses", "kajian_bawaslu", until="2023-12-14")
    body = body_for("skb_2022", "kajian_awal", "diregistrasi")["body"] | {"office": "Bawaslu Contoh"}
    found.act("koreksi", "bawaslu", "stages/kajian_awal/corrections", "kajian_awal", body=body)
    found.act("pencabutan", "bawaslu", "withdrawals", "penerimaan")
    return found


def _handed_over(house: House) -> Reasoned:
    """Found by KASN, and left to its successor after its end."""
    house.at("2024-08-01")
    case = house.walked("rekomendasi", "skb_2022")
    found = Reasoned(Planted(house, next(s for s in situations() if s.name == "dialihkan"), case, case.nip), {})
    house.at("2025-07-01")
    found.act("pengalihan", house.turn(case, "rekomendasi"), "transfers", "penerimaan", role="kasn", to="bkn")
    return found


def _opened_again(house: House) -> Reasoned:
    house.at("2024-10-10")
    case = house.walked("kajian_bawaslu")
    house.post("bawaslu", case, "kajian_bawaslu", "tidak_terbukti")
    posted = {**TASK_FORCE, "kajian_bawaslu": "bawaslu"}
    found = told(house, case, opened_by="bkn", posted=posted, open=("kajian_bawaslu",))
    found.act("pembukaan", "bawaslu", "reopenings", "kajian_bawaslu", stage="kajian_bawaslu")
    return found


@pytest.fixture(scope="module")
def lives(house: House) -> list[Reasoned]:
    house.add_ppk()
    found = [_studied(house), _handed_over(house), _opened_again(house)]
    house.at("2025-07-01")
    return found


def songs(life: Reasoned, party: str) -> set[str]:
    """The reasons a party may read, by the procedure's data."""
    case = life.planted.situation
    return {
        song
        for song, (by, to, stage) in life.written.items()
        if sees(party, case) and (party in (by, to) or view(party, case.stages[stage], case) == FULL)
    }


def answers(life: Reasoned, party: str) -> Iterator[tuple[str, str]]:
    for purpose in ("penanganan", "audit", None):
        for operation, _, path in reads(life.planted):
            headers = {"X_Purpose": purpose} if purpose else {}
            answer = life.planted.api.get(NAME.get(party, party), path, **headers)
            zipped = answer.headers["content-type"] == "application/zip"
            yield operation, (unzipped(answer) if zipped else answer.text) + json.dumps(dict(answer.headers))


@pytest.mark.parametrize("party", READERS)
def test_a_reason_is_read_by_who_sees_its_stage_in_full_and_by_nobody_else(lives: list[Reasoned], party: str) -> None:
    wrong = []
    for life in lives:
        may = songs(life, party)
        for operation, text in answers(life, party):
            found = {song for song in heard(text) if song in life.written}
            wanted = may if operation == "read_history" else found & may if operation == "read_bundle" else set()
            if found != wanted or (SONG in text and not may):
                wrong.append((operation, found ^ wanted))
    assert wrong == []


def test_every_reason_is_read_by_somebody_and_kept_from_somebody(lives: list[Reasoned]) -> None:
    """Else the walk above proved nothing."""
    written = [song for life in lives for song in life.written]
    assert len(written) == len(set(written)) > len(ASKING)
    for life in lives:
        everybody = [songs(life, party) for party in READERS]
        assert set().union(*everybody) == set(life.written) and set() in everybody


def test_no_row_holds_a_reason(lives: list[Reasoned]) -> None:
    for table in METADATA.tables:
        for text in (SONG, SONG.encode().hex()):
            assert lives[0].planted.api.superuser(f'SELECT 1 FROM "{table}" t WHERE t::text LIKE %s LIMIT 1', f"%{text}%") == []  # fmt: skip


def test_the_acts_walked_here_are_all_that_ask_for_a_reason(lives: list[Reasoned]) -> None:
    """A new one must be added above."""
    walked = set().union(*(life.walked for life in lives))
    assert walked == ASKING == {path for path in _asking() if path}


def _asking() -> Iterator[str]:
    """By the document: operations whose body must hold a reason."""
    for path, verbs in DOCUMENT["paths"].items():
        for said in verbs.values():
            media = said.get("requestBody", {}).get("content", {}).get("application/json", {})
            name = media.get("schema", {}).get("$ref", "").rpartition("/")[2]
            if "reason" in DOCUMENT["components"]["schemas"].get(name, {}).get("required", ()):
                yield path.rpartition("/")[2]
