"""A number and a repeated request of an operator cost the same among thousands of cases and keys."""

from typing import Any
from uuid import uuid4

import psycopg

from app.admin.repeats import KEPT
from app.cases.opening.number import GIVE
from app.database import embedded, roles
from tests.cases.reading.test_search_cost import CLONES, MANY, blocks
from tests.support.house import House

KEYS = """
    INSERT INTO idempotency (client_id, key, fingerprint, entry_id)
    SELECT 'bkn-sandbox', gen_random_uuid(), sha256('x'), (SELECT id FROM entry LIMIT 1) FROM generate_series(1, %s)
"""


def test_both_touch_as_many_blocks_among_thousands(api: House) -> None:
    case = api.open()
    asked: dict[Any, dict[str, Any]] = {
        GIVE: {"case_id": case.id},
        KEPT: {"client": "bkn-sandbox", "key": uuid4(), "change": uuid4()},
    }
    with psycopg.connect(
        roles.plain(api.server.url(embedded.SUPERUSER, api.server.password, roles.DATABASE))
    ) as session:
        session.execute("SET LOCAL session_replication_role = replica")
        session.execute("ANALYZE idempotency, cases, change")
        few = {statement: blocks(session, statement, values) for statement, values in asked.items()}
        session.execute(CLONES, [MANY])
        session.execute(KEYS, [MANY])
        session.execute("ANALYZE idempotency, cases")
        many = {statement: blocks(session, statement, values) for statement, values in asked.items()}
        session.rollback()
    for statement in asked:
        assert many[statement] <= few[statement] + 10, (few[statement], many[statement])
