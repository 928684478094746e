"""nothing in front: a temporary table of one's own is no table of ours to a function that runs as the owner

Without `pg_temp` in a search path PostgreSQL looks there first: an `entry` of one's own could have ordered an erasure.
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

RUN_AS_OWNER = (
    "refuse_in_quarantine()", "erase_person(uuid)", "end_epoch(integer)", "close_epoch(integer)", "forget_expired()",
)  # fmt: skip


def upgrade() -> None:
    for function in RUN_AS_OWNER:
        op.execute(f"ALTER FUNCTION {function} SET search_path = public, pg_temp")
