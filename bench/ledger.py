"""The log alone: how fast entries are integrated, proofs made, and the whole tree verified; at a million leaves."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import uvloop

from app.audit.log_rows import check_tree
from app.audit.snapshot import open_snapshot
from app.database import embedded, migrating, roles
from app.ledger.integrating import BATCH
from app.ledger.sequencer import Sequencer
from app.verifier.report import VerificationReport
from bench import load, service

AT_ONCE = 100_000
LEAF = 600  # bytes: what a posted stage comes to


@contextmanager
def database(data: Path) -> Iterator[tuple[str, str]]:
    """A server of its own with fsync on: URLs of the worker and of a superuser."""
    with embedded.hold_data_folder(data):
        embedded.clear(data)
    with embedded.running_server(data) as server:
        urls = roles.init_embedded(server)
        migrating.migrate(urls.owner)
        yield urls.worker, roles.plain(server.url(embedded.SUPERUSER, server.password, roles.DATABASE))


def fill(url: str, start: int, count: int) -> None:
    """`count` entries that wait, as the posts would have left them."""
    with psycopg.connect(url) as session:
        session.execute(
            "WITH made AS (INSERT INTO entry (id, log, type, party, received_at, leaf) SELECT gen_random_uuid(), 'cases',"
            " 'bench', 'bkn', now(), convert_to(rpad(n::text, %s, '-'), 'UTF8') FROM generate_series(%s::int, %s::int) n RETURNING id)"
            " INSERT INTO pending (log, entry_id) SELECT 'cases', id FROM made",
            [LEAF, start, start + count - 1],
        )


async def integrate(url: str, keys: Path) -> float:
    """Seconds until nothing waits: placed, read back, signed and published, batch by batch."""
    sequencer = Sequencer(url, keys, make=True)
    async with await sequencer.connect() as writer, await sequencer.connect() as reader:
        (cases, _) = await sequencer.start(writer, reader)
        begun = time.perf_counter()
        while await cases.batch():
            continue
        return time.perf_counter() - begun


def measure(data: Path, leaves: int, seconds: float) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    with database(data) as (worker, superuser):
        spent = 0.0
        for start in range(0, leaves, AT_ONCE):
            fill(superuser, start, min(AT_ONCE, leaves - start))
            spent += asyncio.run(integrate(worker, data / "keys"))
        rows.append(
            {"what": f"integration, batches of {BATCH}", "leaves": leaves, "leaves_per_second": round(leaves / spent)}
        )
        rows.append({"what": "sbt verify --db, the tree part", "leaves": leaves, **tree(superuser)})
        rows.append({"what": "storage, bytes a leaf of the log alone", **per_leaf(superuser, leaves)})
    rows += proofs(data, leaves, seconds)
    return rows


def tree(url: str) -> dict[str, Any]:
    begun, report = time.perf_counter(), VerificationReport()
    with open_snapshot(url) as seen:
        head = seen.rows("SELECT size, root FROM log WHERE name = 'cases'")[0]
        roots = {row.size: row.root for row in seen.rows("SELECT size, root FROM checkpoint WHERE log = 'cases'")}
        found = check_tree(report, seen, "cases", roots, lambda _: None)
    spent = time.perf_counter() - begun
    assert not report.findings
    assert (found.size, found.root()) == (head.size, head.root)
    return {"leaves_per_second": round(found.size / spent), "checkpoints": len(roots)}


def per_leaf(url: str, leaves: int) -> dict[str, Any]:
    with psycopg.connect(url) as session:
        row = session.execute("SELECT pg_total_relation_size('tile'), pg_total_relation_size('sequenced')").fetchone()
    assert row is not None
    return {"tile": round(row[0] / leaves, 1), "sequenced": round(row[1] / leaves, 1)}


def proofs(data: Path, leaves: int, seconds: float) -> list[dict[str, Any]]:
    """Inclusion proofs over HTTP, of random leaves of the whole log."""
    import random

    found = []
    with service.serving(data) as port:
        for connections in (1, 8):
            chosen = random.Random(1)

            def asked(draw: random.Random = chosen) -> Iterator[load.Prepared]:
                while True:
                    yield (
                        load.request(
                            "GET", f"/log/cases/proof/inclusion?index={draw.randrange(leaves)}&size={leaves}", {}
                        ),
                        None,
                    )

            measured = uvloop.run(load.run(port, connections, asked(), seconds=seconds))
            assert set(measured.statuses) == {200}, measured.statuses
            found.append(
                {
                    "what": f"inclusion proof over HTTP, {connections} connection(s)",
                    "leaves": leaves,
                    "per_second": round(measured.rate),
                    "p50_ms": round(measured.percentile(0.5), 2),
                    "p99_ms": round(measured.percentile(0.99), 2),
                }
            )
    return found


STORED = {
    "leaf": "SELECT sum(octet_length(leaf)) FROM entry",
    "payload": "SELECT sum(octet_length(ciphertext)) FROM payload",
    "tile": "SELECT sum(octet_length(hashes)) FROM tile",
}


def storage(found: service.Service) -> dict[str, Any]:
    """Bytes per entry of the cases log, after a load of cases: what is in the columns, and what the tables and indexes take."""
    socket = embedded.socket_folder(found.data.resolve())
    url = embedded.url(socket, embedded.SUPERUSER, (found.data / "pg.password").read_text(), roles.DATABASE)
    with psycopg.connect(roles.plain(url)) as session:

        def value(sql: str) -> int:
            row = session.execute(sql).fetchone()
            return int(row[0] or 0) if row else 0

        entries = value("SELECT count(*) FROM entry WHERE log = 'cases' AND case_id IS NOT NULL")
        said: dict[str, Any] = {
            "what": "storage, bytes an entry of a case, its access leaf included",
            "entries": entries,
        }
        said |= {name: round(value(sql) / entries) for name, sql in STORED.items()}
        for name in (
            "entry",
            "payload",
            "tile",
            "sequenced",
            "access",
            "stage",
            "cases",
            "idempotency",
            "blind_index",
            "data_key",
        ):
            heap = value(f"SELECT pg_table_size('{name}')")
            said[f"table {name}"] = round(heap / entries)
            said[f"indexes {name}"] = round(value(f"SELECT pg_indexes_size('{name}')") / entries)
        said["indexes"] = sum(v for k, v in said.items() if k.startswith("indexes "))
        said["all"] = round(value("SELECT pg_database_size(current_database())") / entries)
    return said


def show(rows: list[dict[str, Any]]) -> str:
    return "\n".join(json.dumps(row) for row in rows)
