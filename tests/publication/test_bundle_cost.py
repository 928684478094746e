"""What a bundle's grounds cost follows the case, not the log."""

import psycopg

from app.database import embedded, roles
from app.publication.bundle import GROUNDS
from tests.audit.checking import settle
from tests.cases.reading.test_search_cost import blocks
from tests.support.house import House

MORE = """
    INSERT INTO entry (id, log, type, party, received_at, leaf)
    SELECT gen_random_uuid(), 'cases', 'party.policy_set', 'operator', now(), convert_to('more ' || g, 'UTF8') FROM generate_series(1, %s) g
"""
PLACED = """
    INSERT INTO sequenced (log, leaf_index, entry_id)
    SELECT 'cases', 1000000 + row_number() OVER (), id FROM entry WHERE convert_from(leaf, 'UTF8') LIKE 'more %%'
"""


def test_the_grounds_of_a_bundle_touch_as_many_blocks_in_a_log_of_thousands(api: House) -> None:
    api.open()
    settle(api)
    url = api.server.url(embedded.SUPERUSER, api.server.password, roles.DATABASE)
    with psycopg.connect(roles.plain(url)) as session:
        schemas = [row[0] for row in session.execute("SELECT name || ' ' || version FROM part_schema LIMIT 3")]
        values = {"schemas": schemas, "clients": ["bkn-sandbox"], "size": 10**9}
        session.execute("ANALYZE entry, sequenced")
        few = blocks(session, GROUNDS, values)
        session.execute("SET LOCAL session_replication_role = replica")
        session.execute(MORE, [20_000])
        session.execute(PLACED)
        session.execute("ANALYZE entry, sequenced")
        many = blocks(session, GROUNDS, values)
        session.rollback()
    assert 0 < many <= few * 1.5 + 20, f"{few} blocks before, {many} with 20000 more entries"
