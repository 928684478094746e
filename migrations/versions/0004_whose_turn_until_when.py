"""whose turn, until when and why: the law of a case, transfers, extensions, pauses, passed deadlines, corrections; jobs that import"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

CHANGING = {
    "cases": "successors",
    "stage": "extended, paused_from, paused_until, handlers, passed_entry_id, content_entry_id, flags",
    "import_job": "status, beat_at",
    "import_line": "status, case_id, entry_id, code, errors",
}
# As app/procedure/catalogues/laws.yaml had it on the day of this migration.
LAWS = """
    UPDATE cases SET laws = array_remove(ARRAY[
        CASE WHEN occurred_on BETWEEN '2014-01-15' AND '2023-10-30' THEN 'uu_5_2014' END,
        CASE WHEN occurred_on >= '2023-10-31' THEN 'uu_20_2023' END,
        CASE WHEN occurred_on >= '2004-10-18' THEN 'pp_42_2004' END,
        CASE WHEN occurred_on BETWEEN '2010-06-06' AND '2021-08-30' THEN 'pp_53_2010' END,
        CASE WHEN occurred_on >= '2021-08-31' THEN 'pp_94_2021' END], NULL)
"""


def upgrade() -> None:
    _cases()
    _stages()
    _imports()
    for table, columns in CHANGING.items():
        op.execute(f"GRANT UPDATE ({columns}) ON {table} TO sbt_app")


def _cases() -> None:
    says = "Laws in force on the day of the incident."
    op.add_column("cases", sa.Column("laws", postgresql.ARRAY(sa.Text()), comment=says))
    op.execute(LAWS)
    op.alter_column("cases", "laws", nullable=False)
    says = "Role to party, as a transfer entry settled it."
    _added("cases", sa.Column("successors", postgresql.JSONB(), nullable=False, comment=says), "{}")


def _stages() -> None:
    extended = sa.Column("extended", sa.Integer(), nullable=False, comment="How often its running clock was extended.")
    _added("stage", extended, "0")
    op.add_column("stage", sa.Column("paused_from", sa.Date(), comment="First day of its pause."))
    op.add_column("stage", sa.Column("paused_until", sa.Date(), comment="Last day of its pause."))
    handled: sa.Column[list[str]] = sa.Column(
        "handlers", postgresql.ARRAY(sa.Text()), nullable=False, comment="Parties that extended or paused it."
    )
    _added("stage", handled, "{}")
    passed = "Entry that says that its running clock has run out."
    op.add_column("stage", sa.Column("passed_entry_id", sa.Uuid(), comment=passed))
    content = "Entry that holds its content: that of the post, or of its last correction."
    op.add_column("stage", sa.Column("content_entry_id", sa.Uuid(), comment=content))
    op.execute("UPDATE stage SET content_entry_id = posted_entry_id")
    flags = "Corrections of earlier stages it relied on, which its owner has not answered yet."
    _added("stage", sa.Column("flags", postgresql.JSONB(), nullable=False, comment=flags), "[]")
    for column in ("passed_entry_id", "content_entry_id"):
        op.create_foreign_key(op.f(f"stage_{column}_fkey"), "stage", "entry", [column], ["id"])
    waits = sa.text("status = 'open' AND passed_entry_id IS NULL")
    op.create_index("stage_passed_idx", "stage", ["due_on"], postgresql_where=waits)
    op.create_index(
        "stage_due_idx",
        "stage",
        ["due_on", "case_id", "stage", "round"],
        postgresql_where=sa.text("due_on IS NOT NULL"),
    )


def _added(table: str, column: sa.Column[Any], before: str) -> None:
    """`before`: what rows that are there get; rows to come say it themselves."""
    column.server_default = sa.schema.DefaultClause(before)
    op.add_column(table, column)
    op.alter_column(table, column.name, server_default=None)


def _imports() -> None:
    op.create_table(
        "import_job",
        sa.Column("id", sa.Uuid(), nullable=False, comment="Of the job; made from client and key."),
        sa.Column("client_id", sa.String(), nullable=False, comment="Who sent it."),
        sa.Column("party", sa.String(), nullable=False, comment="For whom."),
        sa.Column("sha256", sa.LargeBinary(), nullable=False, comment="Of the file: a key is good for one file."),
        sa.Column("lines", sa.Integer(), nullable=False, comment="Lines of the file."),
        sa.Column("status", sa.String(), nullable=False, comment="running, done, or stopped with its process."),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False, comment="Ledger time of its first start."),
        sa.Column("beat_at", sa.DateTime(timezone=True), nullable=False, comment="Real time of its last sign of life."),
        sa.CheckConstraint("status IN ('running', 'done', 'stopped')", name=op.f("import_job_status_check")),
        sa.ForeignKeyConstraint(["client_id"], ["client.id"], name=op.f("import_job_client_id_fkey")),
        sa.ForeignKeyConstraint(["party"], ["party.code"], name=op.f("import_job_party_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("import_job_pkey")),
    )
    op.create_table(
        "import_line",
        sa.Column("job_id", sa.Uuid(), nullable=False, comment="The job."),
        sa.Column("line", sa.Integer(), nullable=False, comment="1..n."),
        sa.Column(
            "status", sa.String(), nullable=False, comment="imported now, known from an earlier try, or refused."
        ),
        sa.Column("case_id", sa.Uuid(), comment="The case it became."),
        sa.Column("entry_id", sa.Uuid(), comment="Its entry."),
        sa.Column("code", sa.String(), comment="Why it was refused."),
        sa.Column(
            "errors", postgresql.JSONB(), nullable=False, comment="Pointer and code of each flaw; never a value."
        ),
        sa.CheckConstraint("status IN ('imported', 'known', 'refused')", name=op.f("import_line_status_check")),
        sa.ForeignKeyConstraint(["job_id"], ["import_job.id"], name=op.f("import_line_job_id_fkey")),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("import_line_case_id_fkey")),
        sa.ForeignKeyConstraint(["entry_id"], ["entry.id"], name=op.f("import_line_entry_id_fkey")),
        sa.PrimaryKeyConstraint("job_id", "line", name=op.f("import_line_pkey")),
    )
    op.execute("GRANT SELECT, INSERT ON import_job, import_line TO sbt_app")
