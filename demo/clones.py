"""Many cases out of a few: rows cloned in SQL, to see what a query costs as the ledger grows.

The clones have rows of their own in every table that a list or a look-up reads. Nobody can verify them: their parts
are not sealed for them. Only a database that is thrown away afterwards is filled so.
"""

from typing import Any

# Of each clone: which case it copies, and what distinguishes it. 2 % are open, as in practice.
PLAN = """
    CREATE TEMP TABLE clone ON COMMIT DROP AS
    WITH template AS (
        SELECT c.*, row_number() OVER (PARTITION BY closed_at IS NULL ORDER BY id) - 1 AS nth,
            count(*) OVER (PARTITION BY closed_at IS NULL) AS of
        FROM cases c WHERE number NOT LIKE 'X-%%'),
    planned AS (
        SELECT g, g %% 50 = 0 AS is_open, CAST(%(since)s AS timestamptz) + g * CAST(%(step)s AS interval) AS at,
            md5('case' || g || %(salt)s) AS digits
        FROM generate_series(CAST(%(first)s AS bigint), CAST(%(last)s AS bigint)) g)
    SELECT p.g, t.id AS template, p.at, p.at - t.opened_at AS later,
        (lpad(to_hex((extract(epoch FROM p.at) * 1000)::bigint), 12, '0') || '7' || substr(digits, 1, 3) || '8'
            || substr(digits, 4, 3) || substr(digits, 7, 12))::uuid AS id,
        (CAST(%(provinces)s AS text[]))[1 + p.g %% cardinality(CAST(%(provinces)s AS text[]))] AS province,
        (CAST(%(employers)s AS text[]))[1 + (p.g * 7919) %% cardinality(CAST(%(employers)s AS text[]))] AS agency_code
    FROM planned p JOIN template t ON (t.closed_at IS NULL) = p.is_open AND t.nth = (p.g / 7) %% t.of
"""
# Each entry and look of the templates once more, with an id of its own.
ENTRIES = """
    CREATE TEMP TABLE template_entry ON COMMIT DROP AS
    WITH template AS (SELECT DISTINCT template AS id FROM clone),
    looks AS (
        SELECT c.id, a.entry_id, row_number() OVER (PARTITION BY c.id ORDER BY a.at) AS nth
        FROM access a, unnest(a.case_ids) case_id, template c WHERE c.id = case_id)
    SELECT t.id AS template, e.id AS old, s.log, s.leaf_index AS place
    FROM template t JOIN entry e ON e.case_id = t.id JOIN sequenced s ON s.entry_id = e.id
    UNION ALL
    SELECT l.id, l.entry_id, s.log, s.leaf_index FROM looks l JOIN sequenced s ON s.entry_id = l.entry_id WHERE nth <= 12;
    ANALYZE clone, template_entry;
    CREATE TEMP TABLE cloned_entry ON COMMIT DROP AS
    SELECT k.g, k.id AS case_id, t.old, gen_random_uuid() AS new, k.later, t.log, t.place
    FROM clone k JOIN template_entry t ON t.template = k.template;
    CREATE INDEX ON cloned_entry (g, old);
    ANALYZE cloned_entry
"""
MAP = "SELECT new FROM cloned_entry m WHERE m.g = k.g AND m.old = {}"
COPIES = (
    """
    INSERT INTO entry (id, log, type, case_id, seq, party, received_at, leaf)
    SELECT m.new, e.log, e.type, CASE WHEN e.case_id IS NULL THEN NULL ELSE m.case_id END, e.seq, e.party, e.received_at + m.later,
        convert_to(replace(convert_from(e.leaf, 'UTF8'), e.id::text, m.new::text), 'UTF8')
    FROM cloned_entry m JOIN entry e ON e.id = m.old
    """,
    f"""
    INSERT INTO cases SELECT copy.* FROM clone k JOIN cases c ON c.id = k.template, LATERAL jsonb_populate_record(c, jsonb_build_object(
        'id', k.id, 'number', 'X-' || k.g, 'report_number', 'X/' || k.g, 'province', k.province, 'agency_code', k.agency_code, 'regency', NULL,
        'opened_at', c.opened_at + k.later, 'updated_at', c.updated_at + k.later, 'closed_at', c.closed_at + k.later,
        'received_on', c.received_on + k.later, 'occurred_on', c.occurred_on + k.later,
        'entry_id', ({MAP.format("c.entry_id")}), 'last_entry_id', ({MAP.format("c.last_entry_id")}),
        'subject_entry_id', ({MAP.format("c.subject_entry_id")}))) copy
    """,
    f"""
    INSERT INTO stage SELECT copy.* FROM clone k JOIN stage s ON s.case_id = k.template, LATERAL jsonb_populate_record(s, jsonb_build_object(
        'case_id', k.id, 'opened_on', s.opened_on + k.later, 'due_on', s.due_on + k.later + k.g %% 9 * interval '1 day',
        'opened_at', s.opened_at + k.later, 'posted_at', s.posted_at + k.later,
        'entry_id', ({MAP.format("s.entry_id")}), 'posted_entry_id', ({MAP.format("s.posted_entry_id")}),
        'content_entry_id', ({MAP.format("s.content_entry_id")}))) copy
    """,
    """
    INSERT INTO access SELECT copy.* FROM cloned_entry m JOIN access a ON a.entry_id = m.old,
        LATERAL jsonb_populate_record(a, jsonb_build_object(
            'entry_id', m.new, 'at', a.at + m.later, 'case_ids', ARRAY[m.case_id])) copy
    """,
    """
    INSERT INTO payload SELECT copy.* FROM cloned_entry m JOIN payload p ON p.entry_id = m.old,
        LATERAL jsonb_populate_record(p, jsonb_build_object('entry_id', m.new)) copy
    """,
    """
    INSERT INTO case_party (party, case_id) SELECT party, k.id FROM clone k JOIN cases c ON c.id = k.template, unnest(c.acted) party
    """,
    """
    INSERT INTO blind_index (case_id, kind, digest, epoch, entry_id)
    SELECT k.id, b.kind, sha256(convert_to(k.id || b.kind || row_number() OVER (), 'UTF8')), b.epoch, b.entry_id
    FROM clone k JOIN blind_index b ON b.case_id = k.template
    """,
)
# Where the clones stand in the log: at its end, or in the queue of the sequencer, which then places them.
PLACED = """
    INSERT INTO sequenced (log, leaf_index, entry_id)
    SELECT m.log, h.last + row_number() OVER (PARTITION BY m.log ORDER BY m.g, m.place), m.new
    FROM cloned_entry m JOIN (SELECT log, max(leaf_index) AS last FROM sequenced GROUP BY log) h ON h.log = m.log
    """
WAITING = "INSERT INTO pending (log, entry_id) SELECT log, new FROM cloned_entry ORDER BY g, place"
TABLES = "cases, case_party, stage, entry, payload, sequenced, access, blind_index"


def grow(
    session: Any,
    first: int,
    last: int,
    *,
    provinces: list[str],
    employers: list[str],
    since: str,
    waiting: bool = False,
) -> None:
    """Clones the cases that are there, from number `first` to `last`. `session`: a superuser's, inside a transaction.
    `waiting`: leaves it to a sequencer to place them.
    """
    session.execute("SET LOCAL session_replication_role = replica")
    values = {
        "first": first,
        "last": last,
        "salt": since,
        "provinces": provinces,
        "employers": employers,
        "since": since,
        "step": "5 minutes",
    }
    session.execute(PLAN, values)
    session.execute(ENTRIES)
    for copy in (*COPIES, WAITING if waiting else PLACED):
        session.execute(copy.replace("%%", "%"))
    session.execute("DROP TABLE clone, template_entry, cloned_entry")
    session.execute(f"ANALYZE {TABLES}")
