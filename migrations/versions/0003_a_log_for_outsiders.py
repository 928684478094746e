"""a log that outsiders can verify: the tree and its checkpoints, sealed parts, the access log; grants and triggers for all of it"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# Written once, as the facts of 0002.
FACTS = ("checkpoint", "published", "cosignature", "part_schema")
APP_MAY = {
    "SELECT, INSERT": ("key_epoch", "data_key", "part_schema", "cosignature"),
    "SELECT": ("log", "tile", "checkpoint", "published"),
}
WORKER_MAY = {
    "SELECT, INSERT": ("log", "tile", "checkpoint", "published"),
    "UPDATE (size, root, epoch, quarantined)": ("log",),
    "UPDATE (hashes)": ("tile",),
    "SELECT": ("cosignature",),
}


def upgrade() -> None:
    """A log cannot be rewritten into another format: what is hashed is what was stored."""
    if op.get_bind().execute(sa.text("SELECT EXISTS (SELECT 1 FROM entry)")).scalar():
        raise RuntimeError("the log of this database is of an older format: `sbt sandbox reset`, then start again")
    _tables()
    op.execute("ALTER TABLE tile ALTER COLUMN hashes SET STORAGE EXTERNAL")
    op.execute("ALTER TABLE payload ALTER COLUMN ciphertext SET STORAGE EXTERNAL")
    _grants()
    _triggers()
    _erasure()


def _tables() -> None:
    op.create_table(
        "checkpoint",
        sa.Column("log", sa.String(), nullable=False, comment="Which log."),
        sa.Column("size", sa.BigInteger(), nullable=False, comment="Leaves."),
        sa.Column("root", sa.LargeBinary(), nullable=False, comment="Root over them."),
        sa.Column(
            "previous",
            sa.BigInteger(),
            nullable=False,
            comment="Size of the checkpoint before: none can be taken out unseen.",
        ),
        sa.PrimaryKeyConstraint("log", "size", name=op.f("checkpoint_pkey")),
    )
    op.create_table(
        "cosignature",
        sa.Column("log", sa.String(), nullable=False, comment="Which log."),
        sa.Column("size", sa.BigInteger(), nullable=False, comment="Of which checkpoint."),
        sa.Column("witness", sa.String(), nullable=False, comment="Name of the witness's key."),
        sa.Column(
            "line", sa.String(), nullable=False, comment="The signature line (C2SP cosignature/v1), with its time."
        ),
        sa.PrimaryKeyConstraint("log", "size", "witness", name=op.f("cosignature_pkey")),
    )
    op.create_table(
        "log",
        sa.Column("name", sa.String(), nullable=False, comment="cases or access."),
        sa.Column("id", sa.Uuid(), nullable=False, comment="Random id; the signer's own state is kept under it."),
        sa.Column(
            "origin", sa.String(), nullable=False, comment="Origin line of its checkpoints, as its leaves name it."
        ),
        sa.Column("vkey", sa.String(), nullable=False, comment="Verifier key of its checkpoints."),
        sa.Column("size", sa.BigInteger(), nullable=False, comment="Leaves that have an index."),
        sa.Column("root", sa.LargeBinary(), nullable=False, comment="Root over them."),
        sa.Column(
            "epoch", sa.BigInteger(), nullable=False, comment="Counts sequencers: a new one shuts the old one out."
        ),
        sa.Column(
            "quarantined", sa.String(), nullable=True, comment="Why nothing is written any more; null: all is well."
        ),
        sa.CheckConstraint("name IN ('cases', 'access')", name=op.f("log_name_check")),
        sa.CheckConstraint("size >= 0 AND octet_length(root) = 32", name=op.f("log_head_check")),
        sa.PrimaryKeyConstraint("name", name=op.f("log_pkey")),
    )
    op.create_table(
        "published",
        sa.Column("log", sa.String(), nullable=False, comment="Which log."),
        sa.Column("size", sa.BigInteger(), nullable=False, comment="Leaves."),
        sa.Column("note", sa.String(), nullable=False, comment="The signed note, without cosignatures."),
        sa.Column(
            "previous", sa.BigInteger(), nullable=True, comment="Size that was published before; null: the first."
        ),
        sa.PrimaryKeyConstraint("log", "size", name=op.f("published_pkey")),
    )
    op.create_table(
        "tile",
        sa.Column("log", sa.String(), nullable=False, comment="Which log."),
        sa.Column("level", sa.Integer(), nullable=False, comment="0: leaf hashes; each level is eight of the tree."),
        sa.Column("number", sa.BigInteger(), nullable=False, comment="Position on its level, from 0."),
        sa.Column("hashes", sa.LargeBinary(), nullable=False, comment="1 to 256 hashes of 32 bytes."),
        sa.CheckConstraint(
            "octet_length(hashes) % 32 = 0 AND octet_length(hashes) BETWEEN 32 AND 8192", name=op.f("tile_width_check")
        ),
        sa.PrimaryKeyConstraint("log", "level", "number", name=op.f("tile_pkey")),
    )
    op.create_table(
        "key_epoch",
        sa.Column("epoch", sa.Integer(), autoincrement=False, nullable=False, comment="1..n."),
        sa.Column("entry_id", sa.Uuid(), nullable=False, comment="Entry that opened it."),
        sa.ForeignKeyConstraint(["entry_id"], ["entry.id"], name=op.f("key_epoch_entry_id_fkey")),
        sa.PrimaryKeyConstraint("epoch", name=op.f("key_epoch_pkey")),
    )
    op.create_table(
        "part_schema",
        sa.Column("name", sa.String(), nullable=False, comment="Name in leaves."),
        sa.Column("version", sa.Integer(), nullable=False, comment="1..n."),
        sa.Column("sha256", sa.String(), nullable=False, comment="Of its canonical text, base64url."),
        sa.Column("entry_id", sa.Uuid(), nullable=False, comment="Entry that registered it."),
        sa.ForeignKeyConstraint(["entry_id"], ["entry.id"], name=op.f("part_schema_entry_id_fkey")),
        sa.PrimaryKeyConstraint("name", "version", name=op.f("part_schema_pkey")),
    )
    op.create_table(
        "data_key",
        sa.Column("id", sa.Uuid(), nullable=False, comment="Random; leaves name it."),
        sa.Column("case_id", sa.Uuid(), nullable=False, comment="The case."),
        sa.Column(
            "person",
            sa.String(),
            nullable=False,
            comment="subject: the person and all contents; reporter; nobody: the summaries.",
        ),
        sa.Column("epoch", sa.Integer(), nullable=False, comment="Whose key wraps it."),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False, comment="Nonce and AES-256-GCM of the key."),
        sa.CheckConstraint("person IN ('subject', 'reporter', 'nobody')", name=op.f("data_key_person_check")),
        sa.ForeignKeyConstraint(["epoch"], ["key_epoch.epoch"], name=op.f("data_key_epoch_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("data_key_pkey")),
        sa.UniqueConstraint("case_id", "person", name=op.f("data_key_case_id_person_key")),
    )
    op.drop_constraint("access_pkey", "access", type_="primary")
    op.add_column("access", sa.Column("entry_id", sa.Uuid(), nullable=False, comment="Its entry."))
    op.create_index("access_at_idx", "access", ["at", "entry_id"], unique=False)
    op.create_foreign_key(op.f("access_entry_id_fkey"), "access", "entry", ["entry_id"], ["id"])
    op.drop_column("access", "id")
    op.create_primary_key("access_pkey", "access", ["entry_id"])
    op.add_column("blind_index", sa.Column("epoch", sa.Integer(), nullable=False, comment="Whose index key made it."))
    op.alter_column(
        "blind_index",
        "kind",
        existing_type=sa.VARCHAR(),
        comment="nip, nik or name.",
        existing_comment="nip or nik.",
        existing_nullable=False,
    )
    op.alter_column(
        "blind_index",
        "digest",
        existing_type=postgresql.BYTEA(),
        comment="HMAC-SHA256 of kind and value.",
        existing_comment="HMAC-SHA256 of kind and number.",
        existing_nullable=False,
    )
    op.create_foreign_key(op.f("blind_index_epoch_fkey"), "blind_index", "key_epoch", ["epoch"], ["epoch"])
    op.alter_column(
        "clock_move",
        "to",
        existing_type=postgresql.TIMESTAMP(timezone=True),
        comment="Ledger time after the move; it moves forward only.",
        existing_comment="Ledger time after the move.",
        existing_nullable=False,
    )
    op.create_unique_constraint(op.f("clock_move_to_key"), "clock_move", ["to"])
    op.drop_column("clock_move", "number")
    op.create_primary_key("clock_move_pkey", "clock_move", ["entry_id"])
    op.alter_column(
        "entry",
        "log",
        existing_type=sa.VARCHAR(),
        comment="Which log: cases or access.",
        existing_comment="Which log: cases.",
        existing_nullable=False,
    )
    op.drop_constraint(op.f("entry_case_id_seq_key"), "entry", type_="unique")
    op.create_index(
        "entry_case_id_seq_key",
        "entry",
        ["case_id", "seq"],
        unique=True,
        postgresql_where=sa.text("case_id IS NOT NULL"),
    )
    op.add_column(
        "payload", sa.Column("key_id", sa.Uuid(), nullable=False, comment="The data key; it may have been destroyed.")
    )
    op.add_column(
        "payload",
        sa.Column(
            "ciphertext", sa.LargeBinary(), nullable=False, comment="Nonce and AES-256-GCM of fields and root key."
        ),
    )
    op.alter_column(
        "payload",
        "part",
        existing_type=sa.VARCHAR(),
        comment="subject, reporter, content or summary.",
        existing_comment="subject, reporter or content.",
        existing_nullable=False,
    )
    op.drop_column("payload", "content")
    op.drop_column("payload", "salt")
    op.add_column("pending", sa.Column("log", sa.String(), nullable=False, comment="Which log."))
    op.drop_constraint(op.f("pending_entry_id_key"), "pending", type_="unique")
    op.drop_constraint("pending_pkey", "pending", type_="primary")
    op.create_primary_key("pending_pkey", "pending", ["log", "arrived"])
    op.drop_constraint("sequenced_entry_id_fkey", "sequenced", type_="foreignkey")
    op.create_check_constraint("log", "entry", "log IN ('cases', 'access')")


def _grants() -> None:
    for role, may in (("sbt_app", APP_MAY), ("sbt_worker", WORKER_MAY)):
        for what, tables in may.items():
            for table in tables:
                verb, _, columns = what.partition(" (")
                columns = f" ({columns}" if columns else ""
                op.execute(f"GRANT {verb}{columns} ON {table} TO {role}")
    # a rotation wraps the keys that are left anew, and a rebuilt index takes the place of the old one
    op.execute("GRANT UPDATE (epoch, wrapped) ON data_key TO sbt_app")
    op.execute("GRANT SELECT ON alembic_version TO sbt_app")  # `sbt verify --db` looks at all there is


def _triggers() -> None:
    for table in FACTS:
        op.execute(
            f"CREATE TRIGGER {table}_rows_are_facts BEFORE UPDATE OR DELETE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
    for table in FACTS:
        op.execute(
            f"CREATE TRIGGER {table}_is_no_scrap BEFORE TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    # rule R8: in quarantine no business entry is accepted, whoever writes it; looks at cases go on being recorded
    op.execute(
        """
        CREATE FUNCTION refuse_in_quarantine() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
        BEGIN
            IF EXISTS (SELECT 1 FROM log WHERE quarantined IS NOT NULL) THEN
                RAISE EXCEPTION 'the ledger is quarantined' USING ERRCODE = 'SBT01';
            END IF;
            RETURN NEW;
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER entry_not_in_quarantine BEFORE INSERT ON entry FOR EACH ROW"
        " WHEN (NEW.log = 'cases' AND NEW.type <> 'log.restored') EXECUTE FUNCTION refuse_in_quarantine()"
    )


def _erasure() -> None:
    """A person's key and traces go only under an entry that says so, and an epoch only when nothing is left under it."""
    op.execute(
        """
        CREATE FUNCTION erase_person(authority uuid) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = public AS $$
        DECLARE said jsonb; gone integer;
        BEGIN
            SELECT convert_from(leaf, 'UTF8')::jsonb INTO said FROM entry WHERE id = authority AND type = 'subject.erased';
            IF said IS NULL THEN
                RAISE EXCEPTION 'no entry orders this erasure' USING ERRCODE = 'restrict_violation';
            END IF;
            DELETE FROM data_key WHERE case_id = (said ->> 'case')::uuid AND person = said ->> 'person';
            GET DIAGNOSTICS gone = ROW_COUNT;
            IF said ->> 'person' = 'subject' THEN
                DELETE FROM blind_index WHERE case_id = (said ->> 'case')::uuid;
            END IF;
            RETURN gone;
        END $$
        """
    )
    op.execute(
        """
        CREATE FUNCTION end_epoch(ended integer) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = public AS $$
        BEGIN
            IF ended >= (SELECT max(epoch) FROM key_epoch) THEN
                RAISE EXCEPTION 'the newest epoch cannot end' USING ERRCODE = 'restrict_violation';
            END IF;
            IF EXISTS (
                SELECT 1 FROM blind_index b WHERE b.epoch = ended AND NOT EXISTS (
                    SELECT 1 FROM blind_index n WHERE n.epoch > ended AND n.case_id = b.case_id AND n.kind = b.kind
                    AND n.entry_id = b.entry_id
                )
            ) THEN
                RAISE EXCEPTION 'somebody could not be found any more' USING ERRCODE = 'restrict_violation';
            END IF;
            DELETE FROM blind_index WHERE epoch = ended;
            DELETE FROM key_epoch WHERE epoch = ended;
        END $$
        """
    )
    # the row lock keeps out every writer that would still use the epoch, until the transaction ends
    op.execute(
        """
        CREATE FUNCTION close_epoch(closed integer) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = public AS $$
        BEGIN
            PERFORM 1 FROM key_epoch WHERE epoch = closed FOR UPDATE;
        END $$
        """
    )
    for function in ("erase_person(uuid)", "end_epoch(integer)", "close_epoch(integer)"):
        op.execute(f"REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {function} TO sbt_app")
