"""only the right party: keys of clients, changes that two operators decide, what is used once"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

STANDING = "Entry by which it stands so."
# What an entry of the operator may change of a register; everything else stands as it was registered.
CHANGING = {
    "party": "suspended, signatures, standing_entry_id",
    "client": "suspended, scopes, standing_entry_id",
    "client_key": "suspended, expires_at, standing_entry_id",
    "mandate": "valid_to, standing_entry_id",
    "change": "decision, decided_by, decided_entry_id",
}


def upgrade() -> None:
    _registers()
    _keys()
    _changes()
    _used_once()
    for table, columns in CHANGING.items():
        op.execute(f"GRANT UPDATE ({columns}) ON {table} TO sbt_app")


def _registers() -> None:
    """What was registered before stands by that entry; nobody signed before there were keys."""
    op.add_column(
        "party",
        sa.Column("signatures", sa.String(), comment="Whether its writes are signed: off, optional or required."),
    )
    op.execute("UPDATE party SET signatures = 'off'")
    op.alter_column("party", "signatures", nullable=False)
    op.create_check_constraint("signatures", "party", "signatures IN ('off', 'optional', 'required')")
    op.execute(
        "DROP TRIGGER mandate_rows_are_facts ON mandate"
    )  # its last day may be set: an entry says when, and by whom
    op.execute(
        "CREATE TRIGGER mandate_rows_are_facts BEFORE DELETE OR UPDATE OF role, party, valid_from, entry_id ON mandate"
        " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
    for table in ("party", "client", "mandate"):
        op.add_column(table, sa.Column("standing_entry_id", sa.Uuid(), comment=STANDING))
        op.execute(f"UPDATE {table} SET standing_entry_id = entry_id")
        op.alter_column(table, "standing_entry_id", nullable=False)
        op.create_foreign_key(op.f(f"{table}_standing_entry_id_fkey"), table, "entry", ["standing_entry_id"], ["id"])


def _keys() -> None:
    op.create_table(
        "client_key",
        sa.Column("kid", sa.String(), nullable=False, comment="RFC 7638 thumbprint of the key."),
        sa.Column("client_id", sa.String(), nullable=False, comment="Whose key it is."),
        sa.Column("purpose", sa.String(), nullable=False, comment="auth: asks for tokens; sign: signs requests."),
        sa.Column("x", sa.String(), nullable=False, comment="First coordinate, base64url."),
        sa.Column("y", sa.String(), nullable=False, comment="Second coordinate, base64url."),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False, comment="When it ends; real time."),
        sa.Column("suspended", sa.Boolean(), nullable=False, comment="A suspended key is refused."),
        sa.Column("entry_id", sa.Uuid(), nullable=False, comment="Entry that registered it."),
        sa.Column("standing_entry_id", sa.Uuid(), nullable=False, comment=STANDING),
        sa.CheckConstraint("purpose IN ('auth', 'sign')", name=op.f("client_key_purpose_check")),
        sa.ForeignKeyConstraint(["client_id"], ["client.id"], name=op.f("client_key_client_id_fkey")),
        sa.ForeignKeyConstraint(["entry_id"], ["entry.id"], name=op.f("client_key_entry_id_fkey")),
        sa.ForeignKeyConstraint(["standing_entry_id"], ["entry.id"], name=op.f("client_key_standing_entry_id_fkey")),
        sa.PrimaryKeyConstraint("kid", name=op.f("client_key_pkey")),
    )
    op.execute("GRANT SELECT, INSERT ON client_key TO sbt_app")


def _changes() -> None:
    op.create_table(
        "change",
        sa.Column("id", sa.Uuid(), nullable=False, comment="Made from client and Idempotency-Key."),
        sa.Column("kind", sa.String(), nullable=False, comment="Type of the entry that it will be."),
        sa.Column("facts", postgresql.JSONB(), nullable=False, comment="The facts of that entry."),
        sa.Column("proposed_by", sa.String(), nullable=False, comment="Client of the operator that proposed."),
        sa.Column("entry_id", sa.Uuid(), nullable=False, comment="Entry that proposed it."),
        sa.Column("decision", sa.String(), comment="approved or refused; null: it waits."),
        sa.Column("decided_by", sa.String(), comment="Client that decided; it approves no change of its own."),
        sa.Column("decided_entry_id", sa.Uuid(), comment="Entry that decided it."),
        sa.CheckConstraint("decision IN ('approved', 'refused')", name=op.f("change_decision_check")),
        sa.CheckConstraint("(decision IS NULL) = (decided_entry_id IS NULL)", name=op.f("change_decided_check")),
        sa.CheckConstraint(
            "decision = 'refused' OR decided_by <> proposed_by", name=op.f("change_two_operators_check")
        ),
        sa.ForeignKeyConstraint(["proposed_by"], ["client.id"], name=op.f("change_proposed_by_fkey")),
        sa.ForeignKeyConstraint(["decided_by"], ["client.id"], name=op.f("change_decided_by_fkey")),
        sa.ForeignKeyConstraint(["entry_id"], ["entry.id"], name=op.f("change_entry_id_fkey")),
        sa.ForeignKeyConstraint(["decided_entry_id"], ["entry.id"], name=op.f("change_decided_entry_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("change_pkey")),
    )
    op.execute("GRANT SELECT, INSERT ON change TO sbt_app")


def _used_once() -> None:
    """Logged: after a crash a captured request must not pass a second time. What has expired may be cleared away."""
    op.create_table(
        "used_once",
        sa.Column("kid", sa.String(), nullable=False, comment="The key."),
        sa.Column("value", sa.String(), nullable=False, comment="jti or nonce."),
        sa.Column(
            "expires_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When it is too old to be accepted again; the row may then go.",
        ),
        sa.PrimaryKeyConstraint("kid", "value", name=op.f("used_once_pkey")),
    )
    op.execute("GRANT INSERT ON used_once TO sbt_app")
    op.execute(
        """
        CREATE FUNCTION forget_expired() RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = public AS $$
            DELETE FROM used_once WHERE expires_at < now() - interval '1 minute';
            DELETE FROM revoked_token WHERE expires_at < now() - interval '1 minute';
        $$
        """
    )
    op.execute("REVOKE EXECUTE ON FUNCTION forget_expired() FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION forget_expired() TO sbt_app")
