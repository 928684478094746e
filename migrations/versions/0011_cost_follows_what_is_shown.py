"""Cost follows what is shown: indexes in the order of lists, and the cases of a party that sees only its own"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

OPEN = "status = 'open'"
FLAGGED = "status = 'posted' AND flags <> '[]'::jsonb"

# CASE and not coalesce(): a policy lets the planner use an index only for what is leakproof, and it does not take coalesce() for that
RECORDER = "CASE WHEN recorder IS NULL THEN ''::character varying ELSE recorder END"
WITHOUT_TERM_LAST = "CASE WHEN due_on IS NULL THEN 'infinity'::date ELSE due_on END"


def upgrade() -> None:
    _cases()
    _case_party()
    _stages()
    _accesses()
    _case_number()


def _cases() -> None:
    """One index for each filter of the list, in the order of its pages."""
    for name in ("cases_acted_idx", "cases_agency_code_idx", "cases_election_status_idx", "cases_updated_at_idx"):
        op.drop_index(name, table_name="cases")
    for column in ("status", "election", "agency_code", "opened_at", "updated_at"):
        op.create_index(f"cases_{column}_idx", "cases", [column, "id"])
    # what whose turn it is depends on, for the cases that are open: it is read without their rows
    op.execute(
        "CREATE INDEX cases_open_idx ON cases (agency_code, id) INCLUDE (province, election, procedure, conditions, successors, acted, reached_ppk)"
        " WHERE closed_at IS NULL"
    )


def _case_party() -> None:
    """In which cases a party acted: kept by a trigger, so that it is never another than `cases.acted` says."""
    op.create_table(
        "case_party",
        sa.Column("party", sa.String(), nullable=False, comment="Party that opened, posted or confirmed."),
        sa.Column("case_id", sa.Uuid(), nullable=False, comment="The case."),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("case_party_case_id_fkey")),
        sa.PrimaryKeyConstraint("party", "case_id", name=op.f("case_party_pkey")),
    )
    op.execute(
        """
        CREATE FUNCTION keep_case_party() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
        BEGIN
            IF TG_OP = 'UPDATE' THEN
                DELETE FROM case_party WHERE case_id = NEW.id AND NOT party = ANY (NEW.acted);
            END IF;
            INSERT INTO case_party (party, case_id) SELECT party, NEW.id FROM unnest(NEW.acted) party ON CONFLICT DO NOTHING;
            RETURN NULL;
        END $$
        """
    )
    op.execute("REVOKE ALL ON FUNCTION keep_case_party() FROM PUBLIC")
    op.execute(
        "CREATE TRIGGER cases_have_parties AFTER INSERT ON cases FOR EACH ROW EXECUTE FUNCTION keep_case_party()"
    )
    op.execute(
        "CREATE TRIGGER cases_gain_parties AFTER UPDATE OF acted ON cases FOR EACH ROW"
        " WHEN (OLD.acted IS DISTINCT FROM NEW.acted) EXECUTE FUNCTION keep_case_party()"
    )
    op.execute("INSERT INTO case_party (party, case_id) SELECT party, id FROM cases, unnest(acted) party")
    op.execute("ALTER TABLE case_party ENABLE ROW LEVEL SECURITY")
    party, kind = (f"(SELECT coalesce(current_setting('sbt.{name}', true), ''))" for name in ("party", "kind"))
    op.execute(
        f"CREATE POLICY case_party_seen ON case_party FOR SELECT TO sbt_app USING ({kind} = 'service' OR party = {party})"
    )
    op.execute("GRANT SELECT ON case_party TO sbt_app")


def _stages() -> None:
    """The worklist: the open stages of a role by due date, read without their rows; its posts that a correction flagged."""
    op.drop_index("stage_worklist_idx", table_name="stage")
    op.execute(
        "CREATE INDEX stage_turn_idx ON stage"
        f" (owner, ({RECORDER}), ({WITHOUT_TERM_LAST}), case_id, stage, round)"
        f" INCLUDE (recorder, due_on, opened_on, paused_from, paused_until) WHERE {OPEN}"
    )
    # which recorder goes with which owner: without it the planner takes the stages of a PPK for one or two
    op.execute(f"CREATE STATISTICS stage_turn_stat (mcv) ON status, owner, ({RECORDER}) FROM stage")
    op.create_index("stage_open_idx", "stage", ["stage", "case_id"], postgresql_where=sa.text(OPEN))
    op.create_index("stage_flagged_idx", "stage", ["owner", "case_id"], postgresql_where=sa.text(FLAGGED))


def _accesses() -> None:
    """The trail by party, by operation, and refusals alone, newest first."""
    op.create_index("access_party_idx", "access", ["party", "at", "entry_id"])
    op.create_index("access_operation_idx", "access", ["operation", "at", "entry_id"])
    op.create_index("access_refused_idx", "access", ["at", "entry_id"], postgresql_where=sa.text("status >= 400"))
    # A policy may not ask a GIN index for what it shows: containment is not leakproof. The owner may, for an auditor alone.
    op.execute(
        """
        CREATE FUNCTION accesses_of(wanted uuid) RETURNS SETOF access LANGUAGE sql STABLE SECURITY DEFINER
        SET search_path = public, pg_temp AS $$
            SELECT * FROM access WHERE case_ids @> ARRAY[wanted]
                AND coalesce(current_setting('sbt.kind', true), '') IN ('service', 'auditor')
        $$
        """
    )
    op.execute("REVOKE ALL ON FUNCTION accesses_of(uuid) FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION accesses_of(uuid) TO sbt_app")
    op.execute("ALTER INDEX access_case_ids_idx SET (gin_pending_list_limit = 64)")


def _case_number() -> None:
    """The number of a case as it is written (app/cases/opening/number.py): others wait for theirs while it is made."""
    op.execute(
        """
        CREATE FUNCTION case_number(year integer, serial bigint) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT
        SET search_path = public, pg_temp AS $$
        DECLARE
            alphabet CONSTANT text := '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ';
            digits text := CASE WHEN length(serial::text) < 6 THEN lpad(serial::text, 6, '0') ELSE serial::text END;
            rest integer := 36;
            sign text;
        BEGIN
            FOREACH sign IN ARRAY string_to_array(year::text || digits, NULL) LOOP
                rest := (rest + strpos(alphabet, sign) - 1) % 36;
                rest := (CASE WHEN rest = 0 THEN 36 ELSE rest END) * 2 % 37;
            END LOOP;
            RETURN format('SBT-%s-%s-%s', year, digits, substr(alphabet, (37 - rest) % 36 + 1, 1));
        END $$
        """
    )
    op.execute("REVOKE ALL ON FUNCTION case_number(integer, bigint) FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION case_number(integer, bigint) TO sbt_app")
