"""a measure for everybody: limits that all processes share"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rate_limit",
        sa.Column("who", sa.String(), nullable=False, comment="client_id; of a stranger the address."),
        sa.Column("class", sa.String(), nullable=False, comment="read, write, bulk, admin or token."),
        sa.Column(
            "tat",
            sa.Double(),
            nullable=False,
            comment="Theoretical arrival time: epoch seconds at which the measure is full again.",
        ),
        sa.PrimaryKeyConstraint("who", "class", name=op.f("rate_limit_pkey")),
        prefixes=["UNLOGGED"],
    )
    op.execute("GRANT SELECT, INSERT, UPDATE (tat) ON rate_limit TO sbt_app")
    op.execute(
        """
        CREATE OR REPLACE FUNCTION forget_expired() RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = public AS $$
            DELETE FROM used_once WHERE expires_at < now() - interval '1 minute';
            DELETE FROM revoked_token WHERE expires_at < now() - interval '1 minute';
            DELETE FROM rate_limit WHERE tat < extract(epoch FROM now()) - 3600;
        $$
        """
    )
