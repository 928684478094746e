"""two locks on every row: beside the decision in code, PostgreSQL shows a party no row that is not for it, and takes none in another's name"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# Who asks is said by the first statement of a transaction. Nobody said: no row.
FUNCTIONS = """
    CREATE FUNCTION asking() RETURNS text LANGUAGE sql STABLE SET search_path = public, pg_temp AS
    $$ SELECT nullif(current_setting('sbt.party', true), '') $$;

    CREATE FUNCTION asking_purpose() RETURNS text LANGUAGE sql STABLE SET search_path = public, pg_temp AS
    $$ SELECT nullif(current_setting('sbt.purpose', true), '') $$;

    CREATE FUNCTION asked_on() RETURNS date LANGUAGE sql STABLE SET search_path = public, pg_temp AS
    $$ SELECT nullif(current_setting('sbt.today', true), '')::date $$;

    CREATE FUNCTION is_service() RETURNS boolean LANGUAGE sql STABLE SET search_path = public, pg_temp AS
    $$ SELECT coalesce(asking() = '@service', false) $$;

    CREATE FUNCTION asking_kind() RETURNS text LANGUAGE sql STABLE SET search_path = public, pg_temp AS
    $$ SELECT kind FROM party WHERE code = asking() $$;

    CREATE FUNCTION is_auditor() RETURNS boolean LANGUAGE sql STABLE SET search_path = public, pg_temp AS
    $$ SELECT is_service() OR coalesce(asking_kind() = 'auditor', false) $$;

    CREATE FUNCTION its_employer() RETURNS text LANGUAGE sql STABLE SET search_path = public, pg_temp AS
    $$ SELECT agency_code FROM party WHERE code = asking() AND kind = 'ppk' $$;

    CREATE FUNCTION acting_agency() RETURNS text LANGUAGE sql STABLE SET search_path = public, pg_temp AS
    $$ SELECT code FROM party WHERE code = asking() AND kind = 'agency' $$;

    -- an agency with a mandate on the day, and the auditor: every case
    CREATE FUNCTION sees_all_cases() RETURNS boolean LANGUAGE sql STABLE SET search_path = public, pg_temp AS
    $$ SELECT is_auditor() OR EXISTS (
         SELECT 1 FROM mandate m WHERE m.party = acting_agency() AND m.valid_from <= asked_on()
         AND (m.valid_to IS NULL OR asked_on() <= m.valid_to)) $$;

    -- under which names a stage may be its own: its code, the roles it fills, those that nobody fills any more and it may have succeeded to
    CREATE FUNCTION its_roles() RETURNS text[] LANGUAGE sql STABLE SET search_path = public, pg_temp AS
    $$ SELECT array_agg(role) FROM (
         SELECT asking() AS role
         UNION SELECT 'ppk' WHERE asking_kind() = 'ppk'
         UNION SELECT m.role FROM mandate m WHERE m.party = asking()
         UNION SELECT m.role FROM mandate m WHERE acting_agency() IS NOT NULL AND NOT EXISTS (
           SELECT 1 FROM mandate n WHERE n.role = m.role AND n.valid_from <= asked_on()
           AND (n.valid_to IS NULL OR asked_on() <= n.valid_to))
       ) r $$;
"""
# A subselect is asked once a query, not once a row.
ALL, PARTY, SERVICE, AUDITOR = (
    f"(SELECT {name}())" for name in ("sees_all_cases", "asking", "is_service", "is_auditor")
)
# The policy of cases decides. Columns of the guarded row are named with its table: a subquery's own table may have one of that name.
OF_A_CASE = f"{ALL} OR EXISTS (SELECT 1 FROM cases c WHERE c.id = {{table}}.case_id)"
CASES = f"{ALL} OR (SELECT acting_agency()) = ANY (acted) OR (reached_ppk AND agency_code = (SELECT its_employer()))"
PART = f"""
    {SERVICE} OR EXISTS (
        SELECT 1 FROM entry e JOIN cases c ON c.id = e.case_id WHERE e.id = payload.entry_id AND CASE payload.part
            WHEN 'summary' THEN true
            WHEN 'content' THEN NOT {AUDITOR}
            WHEN 'reporter' THEN c.opened_by = {PARTY} AND (SELECT asking_purpose()) IS NOT NULL
            WHEN 'subject' THEN CASE WHEN {AUDITOR} THEN coalesce((SELECT asking_purpose()) = 'audit', false)
                ELSE (SELECT asking_purpose()) IS NOT NULL AND EXISTS (
                    SELECT 1 FROM stage s WHERE s.case_id = c.id AND s.status <> 'skipped' AND (
                        s.posted_by = {PARTY} OR s.owner = ANY ((SELECT its_roles())::text[])
                        OR s.recorder = ANY ((SELECT its_roles())::text[]))) END
            ELSE false END)
"""
ENTRY = f"""
    (log = 'cases' AND case_id IS NULL) OR party = {PARTY} OR CASE WHEN log = 'access' THEN {AUDITOR}
    ELSE {ALL} OR EXISTS (SELECT 1 FROM cases c WHERE c.id = entry.case_id) END
"""
OWN = f"{SERVICE} OR party = {PARTY}"
OWN_CLIENT = f"{SERVICE} OR EXISTS (SELECT 1 FROM client k WHERE k.id = idempotency.client_id AND k.party = {PARTY})"
OWN_JOB = f"{SERVICE} OR EXISTS (SELECT 1 FROM import_job j WHERE j.id = import_line.job_id)"
SOMEBODY = f"{PARTY} IS NOT NULL"
OPERATOR = f"{SERVICE} OR (SELECT asking_kind()) = 'operator'"
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
