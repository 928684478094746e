"""nobody rewrites: grants and triggers that refuse a change of facts to every role but a superuser"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Written once. What may never change is refused twice: the role has no grant, and the trigger refuses whoever has one.
FACTS = (
    "entry",
    "payload",
    "sequenced",
    "access",
    "idempotency",
    "clock_move",
    "calendar_version",
    "holiday",
    "loaded_procedure",
    "mandate",
)
# Projections: what follows from the log. The columns named may change, the others are as the opening entry said.
CHANGING = {
    "cases": (
        "status, conditions, open_stages, acted, reached_ppk, version, head_hash, updated_at, closed_at, last_entry_id,"
        " agency_code, identified, subject_entry_id"
    ),
    "stage": (
        "status, after, opened_on, due_on, due, outcome, facts, posted_at, posted_by, posted_seq, posted_entry_id, entry_id"
    ),
}
APPENDED = ("party", "client", "revoked_token", "blind_index", "cases", "stage", *FACTS)


def upgrade() -> None:
    op.execute("CREATE SEQUENCE case_number")
    op.execute(
        """
        CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'rows of % are facts: % is refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
        END $$
        """
    )
    for table in FACTS:
        op.execute(
            f"CREATE TRIGGER {table}_rows_are_facts BEFORE UPDATE OR DELETE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
        op.execute(
            f"CREATE TRIGGER {table}_is_no_scrap BEFORE TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    for table in APPENDED:
        op.execute(f"GRANT SELECT, INSERT ON {table} TO sbt_app")
    op.execute("REVOKE INSERT ON sequenced FROM sbt_app")
    for table, columns in CHANGING.items():
        op.execute(f"GRANT UPDATE ({columns}) ON {table} TO sbt_app")
    op.execute("GRANT SELECT, INSERT ON pending TO sbt_app")
    op.execute("GRANT USAGE ON SEQUENCE case_number TO sbt_app")
    op.execute("GRANT SELECT ON entry TO sbt_worker")
    op.execute("GRANT SELECT, DELETE ON pending TO sbt_worker")
    op.execute("GRANT SELECT, INSERT ON sequenced TO sbt_worker")
