"""What insiders tried: one place in the queue for an entry, newest cosignatures, signatures under a key of their own, jobs that wait"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _queue()
    _cosignatures()
    _persons()
    _jobs()
    _anchors()
    op.execute(ASK_AS)


def _queue() -> None:
    """An entry waits once. What cannot be placed is set aside and reported; nothing else stops the sequencer."""
    op.execute("DELETE FROM pending a USING pending b WHERE a.entry_id = b.entry_id AND a.arrived > b.arrived")
    op.create_unique_constraint(op.f("pending_entry_id_key"), "pending", ["entry_id"])
    says = "When it was put here, by the machine's clock."
    op.add_column(
        "pending",
        sa.Column(
            "queued_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment=says,
        ),
    )
    op.create_index("entry_founding_idx", "entry", ["received_at"], postgresql_where=sa.text("type = 'ledger.founded'"))
    op.execute(NONCE_USED)
    op.execute("REVOKE ALL ON FUNCTION nonce_used(text, text) FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION nonce_used(text, text) TO sbt_app")
    op.execute("REVOKE INSERT ON pending FROM sbt_app")
    op.execute("GRANT INSERT (log, entry_id) ON pending TO sbt_app")
    op.create_table(
        "set_aside",
        sa.Column("log", sa.String(), nullable=False, comment="In whose queue it waited."),
        sa.Column("arrived", sa.BigInteger(), nullable=False, comment="Its place in that queue."),
        sa.Column("entry_id", sa.Uuid(), nullable=False, comment="The entry."),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, comment="When it was taken out."),
        sa.PrimaryKeyConstraint("log", "arrived", name=op.f("set_aside_pkey")),
    )
    op.execute("GRANT SELECT ON set_aside TO sbt_app")
    op.execute("GRANT SELECT, INSERT ON set_aside TO sbt_worker")
    for trigger, event, each in (
        ("rows_are_facts", "UPDATE OR DELETE", "ROW"),
        ("is_no_scrap", "TRUNCATE", "STATEMENT"),
    ):
        op.execute(
            f"CREATE TRIGGER set_aside_{trigger} BEFORE {event} ON set_aside"
            f" FOR EACH {each} EXECUTE FUNCTION refuse_change()"
        )


def _cosignatures() -> None:
    """The first cosignature of a size bounds times (`cosignature`); the newest of a witness says how fresh its knowledge is."""
    op.create_table(
        "newest_cosignature",
        sa.Column("log", sa.String(), nullable=False, comment="Which log."),
        sa.Column("witness", sa.String(), nullable=False, comment="Name of the witness's key."),
        sa.Column("size", sa.BigInteger(), nullable=False, comment="Of which checkpoint."),
        sa.Column("at", sa.BigInteger(), nullable=False, comment="Its time, in seconds since 1970."),
        sa.Column("line", sa.String(), nullable=False, comment="The signature line (C2SP cosignature/v1)."),
        sa.PrimaryKeyConstraint("log", "witness", name=op.f("newest_cosignature_pkey")),
    )
    op.execute("GRANT SELECT, INSERT, UPDATE (size, at, line) ON newest_cosignature TO sbt_app")
    op.execute("GRANT SELECT ON newest_cosignature TO sbt_worker")


def _persons() -> None:
    """What a party signed is checked after an erasure too: its key is none of the person's."""
    op.drop_constraint(op.f("data_key_person_check"), "data_key", type_="check")
    op.create_check_constraint("person", "data_key", "person IN ('subject', 'reporter', 'nobody', 'signature')")
    op.alter_column(
        "data_key",
        "person",
        existing_type=sa.String(),
        existing_nullable=False,
        comment="subject: the person and all contents; reporter; nobody: the summaries; signature: what parties signed.",
    )
    op.alter_column(
        "payload",
        "part",
        existing_type=sa.String(),
        existing_nullable=False,
        comment="subject, reporter, content, summary, text, request, mask or signature.",
    )
    # several entries of a case may give the same name: each has its row, and is found under new keys
    op.drop_constraint("blind_index_pkey", "blind_index", type_="primary")
    op.create_primary_key("blind_index_pkey", "blind_index", ["case_id", "kind", "digest", "entry_id"])
    op.alter_column(
        "blind_index",
        "kind",
        existing_type=sa.String(),
        existing_nullable=False,
        comment="nip, nik, name or bare (words of the name, without titles and spaces).",
    )
    op.execute(f"ALTER POLICY payload_seen ON payload USING ({PART})")


def _jobs() -> None:
    """One import of a client runs, the others wait."""
    op.drop_constraint(op.f("import_job_status_check"), "import_job", type_="check")
    op.create_check_constraint("status", "import_job", "status IN ('waiting', 'running', 'done', 'stopped')")
    op.alter_column(
        "import_job",
        "status",
        existing_type=sa.String(),
        existing_nullable=False,
        comment="waiting, running, done, or stopped with its process.",
    )


def _anchors() -> None:
    """The first signing key of a party is confirmed out of band."""
    says = "RFC 7638 thumbprint of its first signing key, as it told it out of band."
    op.add_column("party", sa.Column("fingerprint", sa.String(), comment=says))
    op.execute("GRANT UPDATE (fingerprint) ON party TO sbt_app")


# Whether a nonce was used: it is refused before anything is compared. Only of a key and nonce that the asker knows: the table stays closed.
NONCE_USED = """
    CREATE FUNCTION nonce_used(signer text, nonce text) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp AS $$ SELECT EXISTS (SELECT 1 FROM used_once WHERE kid = signer AND value = nonce) $$
"""


def _said(name: str) -> str:
    """A subselect is asked once a query, not once a row."""
    return f"(SELECT coalesce(current_setting('sbt.{name}', true), ''))"


PARTY, PURPOSE = _said("party"), _said("purpose")
AUDITOR = f"{_said('kind')} IN ('service', 'auditor')"
# As in 0006; beside it the free text of a summary, which has the summary's readers and the subject's key.
PART = f"""
    {_said("kind")} = 'service' OR EXISTS (
        SELECT 1 FROM entry e JOIN cases c ON c.id = e.case_id WHERE e.id = payload.entry_id AND CASE payload.part
            WHEN 'summary' THEN true
            WHEN 'text' THEN true
            WHEN 'content' THEN NOT {AUDITOR}
            WHEN 'reporter' THEN c.opened_by = {PARTY} AND {PURPOSE} <> ''
            WHEN 'subject' THEN CASE WHEN {AUDITOR} THEN {PURPOSE} = 'audit'
                ELSE {PURPOSE} <> '' AND EXISTS (
                    SELECT 1 FROM stage s WHERE s.case_id = c.id AND s.status <> 'skipped' AND (
                        s.posted_by = {PARTY} OR s.owner = ANY ((SELECT its_roles())::text[])
                        OR s.recorder = ANY ((SELECT its_roles())::text[]))) END
            ELSE false END)
"""
# As in 0006; beside it the timeouts of the transaction, so that they hold behind a pooler that drops start-up settings too.
ASK_AS = """
    CREATE OR REPLACE FUNCTION ask_as(party text, purpose text, today date) RETURNS void LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
    DECLARE
        asking record;
        mandated boolean;
    BEGIN
        SELECT kind, agency_code INTO asking FROM party p WHERE p.code = ask_as.party;
        mandated := asking.kind = 'agency' AND EXISTS (
            SELECT 1 FROM mandate m WHERE m.party = ask_as.party AND m.valid_from <= today AND (m.valid_to IS NULL OR today <= m.valid_to));
        PERFORM set_config('sbt.party', party, true), set_config('sbt.purpose', purpose, true), set_config('sbt.today', today::text, true),
            set_config('lock_timeout', '3s', true), set_config('statement_timeout', '15s', true),
            set_config('sbt.kind', CASE WHEN party = '@service' THEN 'service' ELSE coalesce(asking.kind, '') END, true),
            -- an agency with a mandate on the day, and the auditor: every case; after its last one those it acted in
            set_config('sbt.sees_all', CASE WHEN party = '@service' OR asking.kind = 'auditor' OR mandated THEN 'on' ELSE '' END, true),
            set_config('sbt.agency', CASE WHEN asking.kind = 'agency' THEN party ELSE '' END, true),
            set_config('sbt.employer', CASE WHEN asking.kind = 'ppk' THEN coalesce(asking.agency_code, '') ELSE '' END, true);
    END $$
"""
