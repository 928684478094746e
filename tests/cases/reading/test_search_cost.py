"""What a search for a person costs follows the cases of the person, not all cases."""

import json
from typing import Any

import psycopg
import pytest

from app.cases.opening.duplicates import SAME
from app.cases.reading.lists import PERSON
from app.database import embedded, roles
from app.database.statements import Statement
from tests.support.house import House

MANY = 3000
CLONES = """
    INSERT INTO cases SELECT (jsonb_populate_record(NULL::cases, to_jsonb(c) || jsonb_build_object('id', gen_random_uuid(), 'number', 'X-' || g))).*
    FROM (SELECT * FROM cases LIMIT 1) c, generate_series(1, %s) g
"""
INDEXED = """
    INSERT INTO blind_index (case_id, kind, digest, epoch, entry_id) SELECT c.id, kind, sha256(convert_to(c.id || kind, 'UTF8')), (SELECT max(epoch) FROM key_epoch), c.entry_id
    FROM cases c, unnest('{nip,name,bare}'::text[]) kind WHERE c.number LIKE 'X-%'
"""


def blocks(session: Any, statement: Statement[Any], values: dict[str, Any]) -> int:
    """Blocks that PostgreSQL touches to answer, by its own count."""
    with psycopg.RawCursor(session) as cursor:
        asked = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement.sql}"
        ((answer,),) = cursor.execute(asked, statement.values(values)).fetchall()
    plan = (answer if isinstance(answer, list) else json.loads(answer))[0]["Plan"]
    return int(plan["Shared Hit Blocks"]) + int(plan["Shared Read Blocks"])


@pytest.mark.parametrize("statement", [PERSON, SAME], ids=["search", "duplicates"])
def test_a_search_touches_as_many_blocks_among_thousands_of_cases(api: House, statement: Statement[Any]) -> None:
    case = api.open()
    url = api.server.url(embedded.SUPERUSER, api.server.password, roles.DATABASE)
    with psycopg.connect(roles.plain(url)) as session:
        found = session.execute(
            "SELECT digest FROM blind_index WHERE case_id = %s AND kind = 'nip'", [case.id]
        ).fetchall()
        row = session.execute("SELECT election, occurred_on, violations FROM cases WHERE id = %s", [case.id]).fetchone()
        assert row is not None
        values = {
            "digests": [digest for (digest,) in found],
            "before": None,
            "limit": 10,
            "sees_all": True,
            "acted": "",
            "employer": "",
        }
        values |= dict(zip(("election", "occurred_on", "violations"), row, strict=True))
        session.execute("ANALYZE cases, blind_index, stage")
        few = blocks(session, statement, values)
        session.execute("SET LOCAL session_replication_role = replica")
        session.execute(CLONES, [MANY])
        session.execute(INDEXED)
        session.execute("ANALYZE cases, blind_index")
        many = blocks(session, statement, values)
        session.rollback()
    assert few > 0 and many <= few + 20, f"{few} blocks before, {many} with {MANY} more cases"
