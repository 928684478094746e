"""What keeps facts in place, as the migrations made it: triggers, functions, grants, policies, constraints. Compared line by line."""

from pathlib import Path

from app.audit.snapshot import Snapshot
from app.ledger.report import Report

FILE = Path(__file__).with_name("guards.txt")
LINES = """
    SELECT 'trigger ' || pg_get_triggerdef(t.oid) || ' ' || t.tgenabled::text AS line FROM pg_trigger t
      JOIN pg_class c ON c.oid = t.tgrelid WHERE NOT t.tgisinternal AND c.relnamespace = 'public'::regnamespace
    UNION ALL SELECT 'function ' || p.oid::regprocedure || ' ' || p.prosecdef || ' ' || md5(p.prosrc) || ' '
      || coalesce(array_to_string(p.proconfig, ' '), '') || ' '
      || coalesce((SELECT string_agg(a::text, ',' ORDER BY a::text) FROM unnest(p.proacl) a), '')
      FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace
    UNION ALL SELECT 'grant ' || table_name || ' ' || grantee || ' ' || string_agg(privilege_type, ',' ORDER BY privilege_type)
      FROM information_schema.role_table_grants WHERE table_schema = 'public' AND grantee IN ('sbt_app', 'sbt_worker', 'PUBLIC')
      GROUP BY table_name, grantee
    UNION ALL SELECT 'grant ' || table_name || '.' || column_name || ' ' || grantee || ' ' || privilege_type
      FROM information_schema.column_privileges WHERE table_schema = 'public' AND privilege_type = 'UPDATE'
      AND grantee IN ('sbt_app', 'sbt_worker', 'PUBLIC')
    UNION ALL SELECT 'constraint ' || conrelid::regclass || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
      WHERE connamespace = 'public'::regnamespace AND contype IN ('p', 'u', 'f', 'c', 'x')
    UNION ALL SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = 'public' AND indexdef LIKE 'CREATE UNIQUE%'
    UNION ALL SELECT 'generated ' || c.relname || '.' || a.attname || ' ' || pg_get_expr(d.adbin, d.adrelid) FROM pg_attribute a
      JOIN pg_class c ON c.oid = a.attrelid JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
      WHERE a.attgenerated <> '' AND c.relnamespace = 'public'::regnamespace
    UNION ALL SELECT 'policy ' || tablename || ' ' || policyname || ' ' || cmd || ' ' || array_to_string(roles, ',') || ' ' || permissive
      || ' ' || md5(coalesce(qual, '') || '|' || coalesce(with_check, '')) FROM pg_policies WHERE schemaname = 'public'
    UNION ALL SELECT 'row security ' || relname FROM pg_class WHERE relrowsecurity AND relnamespace = 'public'::regnamespace
    UNION ALL SELECT 'rule ' || tablename || ' ' || rulename FROM pg_rules WHERE schemaname = 'public'
    UNION ALL SELECT 'relation ' || relname || ' ' || relkind::text FROM pg_class
      WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v', 'm', 'S', 'f', 'p')
    UNION ALL SELECT 'role setting ' || r.rolname || ' ' || array_to_string(s.setconfig, ' ') FROM pg_db_role_setting s
      JOIN pg_roles r ON r.oid = s.setrole WHERE r.rolname LIKE 'sbt%'
"""


def lines(seen: Snapshot) -> list[str]:
    return sorted(" ".join(row.line.split()) for row in seen.rows(LINES))


def check(report: Report, seen: Snapshot) -> None:
    """Step 13: nothing that guards facts was taken away, weakened or put beside."""
    wanted, found = set(FILE.read_text().splitlines()), set(lines(seen))
    report.count("projections", len(wanted))
    for line in sorted(wanted - found):
        report.find("projections", "GUARD_MISSING", line[:200], "it guards facts, and is not as the migrations made it")
    for line in sorted(found - wanted):
        report.find("projections", "GUARD_STRANGE", line[:200], "no migration made it")
