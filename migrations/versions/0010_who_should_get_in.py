"""Who should get in: codes that operators add to the reference lists, and case numbers without gaps"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _added_codes()
    _case_numbers()
    op.alter_column(
        "blind_index",
        "kind",
        existing_type=sa.String(),
        existing_nullable=False,
        comment="nip, nik, name, whole (without titles and spaces) or bare (two words of it).",
    )


def _case_numbers() -> None:
    """A number is given with its case in one transaction. It rises one by one, and its case must be there at the commit."""
    # an opening that runs is counted: it ends before the highest number is read
    op.execute("LOCK TABLE cases IN SHARE ROW EXCLUSIVE MODE")
    op.create_table(
        "case_counter",
        sa.Column("one_row", sa.Boolean(), nullable=False, comment="Always true: there is one row."),
        sa.Column("last_serial", sa.BigInteger(), nullable=False, comment="Serial of the last number."),
        sa.Column("case_id", sa.Uuid(), comment="The case that has it."),
        sa.CheckConstraint("one_row", name=op.f("case_counter_one_row_check")),
        sa.ForeignKeyConstraint(
            ["case_id"],
            ["cases.id"],
            name=op.f("case_counter_case_id_fkey"),
            deferrable=True,
            initially="DEFERRED",
        ),
        sa.PrimaryKeyConstraint("one_row", name=op.f("case_counter_pkey")),
    )
    op.execute(
        """
        INSERT INTO case_counter (one_row, last_serial, case_id)
        SELECT true, coalesce(max(split_part(number, '-', 3)::bigint), 0),
            (SELECT id FROM cases ORDER BY split_part(number, '-', 3)::bigint DESC LIMIT 1) FROM cases
        """
    )
    op.execute("DROP SEQUENCE case_number")
    op.execute(
        """
        CREATE FUNCTION refuse_gap() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
        BEGIN
            IF TG_OP <> 'UPDATE' OR NEW.last_serial <> OLD.last_serial + 1 OR NEW.case_id IS NULL OR NEW.case_id IS NOT DISTINCT FROM OLD.case_id THEN
                RAISE EXCEPTION 'case numbers rise one by one, each with its case' USING ERRCODE = 'restrict_violation';
            END IF;
            RETURN NEW;
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER case_counter_rises BEFORE INSERT OR UPDATE OR DELETE ON case_counter FOR EACH ROW EXECUTE FUNCTION refuse_gap()"
    )
    op.execute(
        "CREATE TRIGGER case_counter_is_no_scrap BEFORE TRUNCATE ON case_counter FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        """
        CREATE FUNCTION require_case() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
        BEGIN
            IF NOT EXISTS (SELECT 1 FROM cases WHERE id = NEW.case_id AND split_part(number, '-', 3)::bigint = NEW.last_serial) THEN
                RAISE EXCEPTION 'no case has the number %', NEW.last_serial USING ERRCODE = 'restrict_violation';
            END IF;
            RETURN NULL;
        END $$
        """
    )
    op.execute(
        "CREATE CONSTRAINT TRIGGER case_counter_has_case AFTER UPDATE ON case_counter DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION require_case()"
    )
    for function in ("refuse_gap", "require_case"):
        op.execute(f"REVOKE ALL ON FUNCTION {function}() FROM PUBLIC")
    op.execute("GRANT SELECT, UPDATE (last_serial, case_id) ON case_counter TO sbt_app")


def _added_codes() -> None:
    """What a reference list lacks is added by an entry, without a release; such a row never changes."""
    op.create_table(
        "added_code",
        sa.Column("list", sa.String(), nullable=False, comment="employers or regencies."),
        sa.Column("code", sa.String(), nullable=False, comment="As on the wire."),
        sa.Column("name_id", sa.String(), nullable=False, comment="Name in Indonesian."),
        sa.Column("name_en", sa.String(), nullable=False, comment="Name in English."),
        sa.Column("level", sa.String(), comment="Of an employer: pusat, provinsi, kabupaten or kota."),
        sa.Column("valid_from", sa.Date(), nullable=False, comment="First day."),
        sa.Column("valid_to", sa.Date(), comment="Last day; null: open."),
        sa.Column("source", sa.String(), nullable=False, comment="The decree that says so."),
        sa.Column("entry_id", sa.Uuid(), nullable=False, comment="Entry that added it."),
        sa.CheckConstraint("list IN ('employers', 'regencies')", name=op.f("added_code_list_check")),
        sa.ForeignKeyConstraint(["entry_id"], ["entry.id"], name=op.f("added_code_entry_id_fkey")),
        sa.PrimaryKeyConstraint("list", "code", name=op.f("added_code_pkey")),
    )
    op.execute("GRANT SELECT, INSERT ON added_code TO sbt_app")
    op.execute("GRANT SELECT ON added_code TO sbt_worker")
    for trigger, event, each in (
        ("rows_are_facts", "UPDATE OR DELETE", "ROW"),
        ("is_no_scrap", "TRUNCATE", "STATEMENT"),
    ):
        op.execute(
            f"CREATE TRIGGER added_code_{trigger} BEFORE {event} ON added_code"
            f" FOR EACH {each} EXECUTE FUNCTION refuse_change()"
        )
