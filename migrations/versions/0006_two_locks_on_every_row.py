"""two locks on every row: beside the decision in code, PostgreSQL shows a party no row that is not for it, and takes none in another's name"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# Who asks is said by the first statement of a transaction, and is worked out there once: what a policy then asks of each row is cheap. All of
# it is local to the transaction. Nobody said: no row.
FUNCTIONS = """
    CREATE FUNCTION ask_as(party text, purpose text, today date) RETURNS void LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
    DECLARE
        asking record;
        mandated boolean;
    BEGIN
        SELECT kind, agency_code INTO asking FROM party p WHERE p.code = ask_as.party;
        mandated := asking.kind = 'agency' AND EXISTS (
            SELECT 1 FROM mandate m WHERE m.party = ask_as.party AND m.valid_from <= today AND (m.valid_to IS NULL OR today <= m.valid_to));
        PERFORM set_config('sbt.party', party, true), set_config('sbt.purpose', purpose, true), set_config('sbt.today', today::text, true),
            set_config('sbt.kind', CASE WHEN party = '@service' THEN 'service' ELSE coalesce(asking.kind, '') END, true),
            -- an agency with a mandate on the day, and the auditor: every case; after its last one those it acted in
            set_config('sbt.sees_all', CASE WHEN party = '@service' OR asking.kind = 'auditor' OR mandated THEN 'on' ELSE '' END, true),
            set_config('sbt.agency', CASE WHEN asking.kind = 'agency' THEN party ELSE '' END, true),
            set_config('sbt.employer', CASE WHEN asking.kind = 'ppk' THEN coalesce(asking.agency_code, '') ELSE '' END, true);
    END $$;

    -- under which names a stage may be its own: its code, the roles it fills, those that nobody fills any more and it may have succeeded to
    CREATE FUNCTION its_roles() RETURNS text[] LANGUAGE sql STABLE SET search_path = public, pg_temp AS
    $$ SELECT array_agg(role) FROM (
         SELECT current_setting('sbt.party', true) AS role
         UNION SELECT 'ppk' WHERE current_setting('sbt.kind', true) = 'ppk'
         UNION SELECT m.role FROM mandate m WHERE m.party = current_setting('sbt.party', true)
         UNION SELECT m.role FROM mandate m WHERE current_setting('sbt.kind', true) = 'agency' AND NOT EXISTS (
           SELECT 1 FROM mandate n WHERE n.role = m.role AND n.valid_from <= nullif(current_setting('sbt.today', true), '')::date
           AND (n.valid_to IS NULL OR nullif(current_setting('sbt.today', true), '')::date <= n.valid_to))
       ) r $$;
"""


def _said(name: str) -> str:
    """A subselect is asked once a query, not once a row."""
    return f"(SELECT coalesce(current_setting('sbt.{name}', true), ''))"


PARTY, PURPOSE = _said("party"), _said("purpose")
ALL = f"{_said('sees_all')} = 'on'"
SERVICE = f"{_said('kind')} = 'service'"
AUDITOR = f"{_said('kind')} IN ('service', 'auditor')"
# OFFSET 0: look the one row up, do not make a hash of the whole table for it. The policy of cases decides. Columns of the guarded row are named with its table: a subquery's own table may have one of that name.
OF_A_CASE = f"{ALL} OR EXISTS (SELECT 1 FROM cases c WHERE c.id = {{table}}.case_id OFFSET 0)"
CASES = f"{ALL} OR {_said('agency')} = ANY (acted) OR (reached_ppk AND agency_code = {_said('employer')})"
PART = f"""
    {SERVICE} OR EXISTS (
        SELECT 1 FROM entry e JOIN cases c ON c.id = e.case_id WHERE e.id = payload.entry_id AND CASE payload.part
            WHEN 'summary' THEN true
            WHEN 'content' THEN NOT {AUDITOR}
            WHEN 'reporter' THEN c.opened_by = {PARTY} AND {PURPOSE} <> ''
            WHEN 'subject' THEN CASE WHEN {AUDITOR} THEN {PURPOSE} = 'audit'
                ELSE {PURPOSE} <> '' AND EXISTS (
                    SELECT 1 FROM stage s WHERE s.case_id = c.id AND s.status <> 'skipped' AND (
                        s.posted_by = {PARTY} OR s.owner = ANY ((SELECT its_roles())::text[])
                        OR s.recorder = ANY ((SELECT its_roles())::text[]))) END
            ELSE false END)
"""
ENTRY = f"""
    (log = 'cases' AND case_id IS NULL) OR party = {PARTY} OR CASE WHEN log = 'access' THEN {AUDITOR}
    ELSE {ALL} OR EXISTS (SELECT 1 FROM cases c WHERE c.id = entry.case_id OFFSET 0) END
"""
OWN = f"{SERVICE} OR party = {PARTY}"
OWN_CLIENT = (
    f"{SERVICE} OR EXISTS (SELECT 1 FROM client k WHERE k.id = idempotency.client_id AND k.party = {PARTY} OFFSET 0)"
)
OWN_JOB = f"{SERVICE} OR EXISTS (SELECT 1 FROM import_job j WHERE j.id = import_line.job_id OFFSET 0)"
SOMEBODY = f"{PARTY} <> ''"
OPERATOR = f"{_said('kind')} IN ('service', 'operator')"
# table: which rows are seen (and may be changed, as far as grants go), and which may be put there
POLICIES: dict[str, tuple[str, str]] = {
    "cases": (CASES, f"{SERVICE} OR opened_by = {PARTY}"),
    "stage": (OF_A_CASE, SOMEBODY),
    "entry": (ENTRY, OWN),
    "payload": (PART, SOMEBODY),
    "data_key": (OF_A_CASE, SOMEBODY),
    "blind_index": (OF_A_CASE, SOMEBODY),
    "access": (AUDITOR, OWN),
    "idempotency": (OWN_CLIENT, OWN_CLIENT),
    "import_job": (OWN, OWN),
    "import_line": (OWN_JOB, OWN_JOB),
    "change": (OPERATOR, OPERATOR),
}
CHANGED = {"cases", "stage", "data_key", "import_job", "import_line", "change"}  # rows that are updated


def upgrade() -> None:
    op.execute(FUNCTIONS)
    for table, (seen, put) in POLICIES.items():
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        mine = seen.format(table=table)
        op.execute(f"CREATE POLICY {table}_seen ON {table} FOR SELECT TO sbt_app USING ({mine})")
        op.execute(f"CREATE POLICY {table}_put ON {table} FOR INSERT TO sbt_app WITH CHECK ({put})")
        if table in CHANGED:
            op.execute(
                f"CREATE POLICY {table}_changed ON {table} FOR UPDATE TO sbt_app USING ({mine}) WITH CHECK (true)"
            )
    # the sequencer knows no party: it reads leaves, and gives them their place
    op.execute("CREATE POLICY entry_sequenced ON entry FOR SELECT TO sbt_worker USING (true)")
