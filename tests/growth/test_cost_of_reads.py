"""What a read costs follows what it shows, not how many cases there are: blocks that PostgreSQL touches, at two sizes."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from app.database import embedded, roles
from app.feed import events
from app.matrix.cells import operations
from app.procedure.loading import rulebook
from demo.clones import TABLES, grow
from tests.growth.measured import CUSTOM, GENERIC, Sent, blocks, recording
from tests.support.house import House, running_house
from tests.support.walks import NIP

DOCUMENT = json.loads((Path(__file__).parents[2] / "openapi" / "openapi.json").read_text())
FEW, MANY = 2_000, 20_000
EMPLOYERS = 40  # so that a page of one is full at both sizes; that of the PPK, which has a case or two, is none of them
SHARE, ANYHOW = 1.5, 20  # a tree that is a level deeper costs a block more for each row that is looked up
SINCE = "2021-01-01T00:00:00Z"
FILTERS = (
    "limit=5", "limit=5&province=11", "limit=5&agency_code=1010", "limit=5&status=ditolak", "limit=5&overdue=true",
    "limit=5&overdue=false", "limit=5&procedure=sbt_2024", "limit=5&election=pilkada_2024", "limit=5&violation=ds_13",
    "limit=5&stage=validasi_bkn", "limit=5&report_number=X/7", "limit=5&opened_from=2021-01-02&opened_to=2021-01-06",
    "limit=5&due_before=2021-02-01", "limit=5&updated_since=2021-01-02T00:00:00Z",
)  # fmt: skip
TRAIL = ("", "?party=bkn", "?operation=read_case", "?refused=true", "?refused=false", "?since=2021-01-02T00:00:00Z")
SEEING = ("bkn", "auditor", "ppk_banda_aceh")
QUEUES = (
    "/v1/worklist?limit=5",
    "/v1/deadlines?limit=5",
    "/v1/deadlines?limit=5&state=overdue,running",
    "/v1/events?limit=5",
)
READS = [
    *((party, f"/v1/cases?{filters}") for party in SEEING for filters in FILTERS),
    *((party, path) for party in SEEING for path in QUEUES),
    # an agency whose mandate has ended: what it filters further follows how rare that is among its own
    ("kasn", "/v1/cases?limit=5"), ("kasn", "/v1/deadlines?limit=5"), ("kasn", "/v1/events?limit=5"),
    ("bkn", "/v1/worklist?agency=kemendagri"), ("bkn", "/v1/worklist?limit=5&election=pilkada_2024"),
    ("bkn", "/v1/deadlines?limit=5&agency=bkn&state=running"),
    *(("bkn", f"/v1/cases/{{case}}{tail}") for tail in ("", "/history", "/stages/verifikasi_satgas")),
    *(("auditor", f"/v1/audit/events{filters}") for filters in TRAIL),
    ("auditor", "/v1/cases/{case}/accesses"), ("auditor", "/v1/audit/events/{event}"),
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Costs:
    """Blocks of each statement of a request, by plan, at each size."""

    counted: dict[tuple[str, str], list[tuple[str, list[int]]]] = field(default_factory=dict)


@pytest.fixture(scope="module")
def costs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Costs]:
    """A ledger of its own: what is cloned into it is not undone, so that its tables are as a vacuum leaves them."""
    folder: Path = tmp_path_factory.mktemp("growth")
    with running_house(folder, "2024-10-20T09:00:00+07:00") as house, pytest.MonkeyPatch.context() as patch:
        sents = asked(house, patch)
        yield measured(house, sents)


def asked(house: House, patch: pytest.MonkeyPatch) -> dict[tuple[str, str], Sent]:
    """A case in each of some states, and what each read sends; the templates of all that follow."""
    house.at("2024-10-20")
    house.add_ppk()
    for stage in ("tindak_lanjut_ppk", "validasi_bkn", "peringatan"):
        case = house.walked(stage)
    house.at("2023-12-10")
    ended = house.walked("verval_kasn", "skb_2022")
    house.post("kasn", ended, "verval_kasn", "tidak_terbukti")
    house.at("2024-10-20")
    for _ in range(2):
        closed = house.open()
        house.post("bkn", closed, "verifikasi_satgas", "ditolak")
    house.check_log()
    assert house.get("auditor", f"/v1/cases/{case.id}").status_code == 200
    event = house.get("auditor", "/v1/audit/events").json()["data"][0]["id"]
    sents = {}
    with recording(patch) as taken:
        for party, path in READS:
            if party == "kasn":  # as a party that acted in many cases
                patch.setattr(events, "FEW_CASES", 0)
                events._has_many.cache_clear()
            answer = house.get(party, path.format(case=case.id, event=event))
            assert answer.status_code == 200, (party, path, answer.text)
            sents[party, path] = taken()
        body = {"nip": NIP}
        assert house.send("bkn", "/v1/cases/search", body, X_Purpose="penanganan").status_code == 200
        sents["bkn", "search"] = taken()
    return sents


def measured(house: House, sents: dict[tuple[str, str], Sent]) -> Costs:
    costs, codes = Costs(), rulebook().catalogue
    provinces, employers = list(codes.codes("provinces")), sorted(codes.codes("employers"))[:EMPLOYERS]
    url = roles.plain(house.server.url(embedded.SUPERUSER, house.server.password, roles.DATABASE))
    for first, last in ((1, FEW), (FEW + 1, MANY)):
        with psycopg.connect(url) as session:
            grow(session, first, last, provinces=provinces, employers=employers, since=SINCE)
        with psycopg.connect(url, autocommit=True) as session:
            session.execute(f"VACUUM ANALYZE {TABLES}")
        with psycopg.connect(url) as session:
            row = session.execute("SELECT max(leaf_index) FROM sequenced WHERE log = 'cases'").fetchone()
            assert row is not None
            for request, sent in sents.items():
                for mode in (CUSTOM, GENERIC):
                    costs.counted.setdefault(request, []).append((mode, blocks(session, sent, mode, size=row[0] + 1)))
    return costs


@pytest.mark.parametrize("request_", [*READS, ("bkn", "search")], ids=" ".join)
def test_a_read_touches_as_many_blocks_among_ten_times_as_many_cases(costs: Costs, request_: tuple[str, str]) -> None:
    (_, few_custom), (_, few_generic), (_, many_custom), (_, many_generic) = costs.counted[request_]
    for few, many in ((few_custom, many_custom), (few_generic, many_generic)):
        assert all(after <= SHARE * before + ANYHOW for before, after in zip(few, many, strict=True)), costs.counted[
            request_
        ]


# Read operations that are not measured here, and why.
ELSEWHERE = {
    "count_cases": "counts all cases; a process keeps the count for twenty times as long as it took (app/cases/counts.py)",
    "read_bundle": "follows the entries of one case",
    "read_receipt": "one entry and its proof",
    "read_entries": "a tile of 256 entries",
    "read_import": "one job",
    "read_import_lines": "one job, by its key",
    "read_me": "the registers",
    "read_change": "the registers",
    **dict.fromkeys(
        ("list_parties", "list_clients", "list_keys", "list_grants", "list_mandates", "list_changes", "list_employers", "list_regencies"),
        "the registers",
    ),
    **dict.fromkeys(
        (
            "read_ledger", "read_checkpoint", "read_tile", "prove_inclusion", "prove_consistency", "read_jwks",
            "read_authorization_server", "read_protected_resource", "read_reference", "list_reference", "read_access_matrix", "live", "ready",
        ),
        "public, and no row of a case: tests/ledger and tests/reference",
    ),
}  # fmt: skip


def test_every_read_operation_is_measured_or_says_why_not(costs: Costs) -> None:
    measured_paths = {path.partition("?")[0] for _, path in READS}
    for operation in operations(DOCUMENT):
        if operation.method != "GET" or operation.name in ELSEWHERE:
            continue
        names = {"case_id": "{case}", "event_id": "{event}", "stage": "verifikasi_satgas"}
        assert operation.path.format(**names) in measured_paths, operation.name
    assert set(ELSEWHERE) <= {operation.name for operation in operations(DOCUMENT)}
