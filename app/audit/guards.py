"""Compares the guards of the database with those that the migrations made, line by line.

Guards keep facts in place: triggers, functions, grants, policies, constraints.
"""

from pathlib import Path

from app.audit.snapshot import Snapshot
from app.verifier.report import VerificationReport

FILE = Path(__file__).with_name("guards.txt")
# Rights of the project's own roles; any other role with a right, a setting or a membership gives a line too.
LINES = """
    SELECT 'trigger ' || pg_get_triggerdef(t.oid) || ' ' || t.tgenabled::text AS line FROM pg_trigger t
      JOIN pg_class c ON c.oid = t.tgrelid WHERE (NOT t.tgisinternal OR t.tgenabled <> 'O') AND c.relnamespace = 'public'::regnamespace
    UNION ALL SELECT 'function ' || p.oid::regprocedure || ' ' || p.prosecdef || ' ' || pg_get_userbyid(p.proowner) || ' '
      || md5(concat_ws('|', p.prosrc, p.prokind::text, (SELECT lanname FROM pg_language l WHERE l.oid = p.prolang), p.provolatile::text,
        p.proisstrict, p.proleakproof, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid))) || ' '
      || coalesce(array_to_string(p.proconfig, ' '), '') || ' '
      || coalesce((SELECT string_agg(a::text, ',' ORDER BY a::text) FROM unnest(p.proacl) a), '')
      FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace
    UNION ALL SELECT 'grant ' || c.relname || ' ' || coalesce(r.rolname, 'PUBLIC') || ' '
      || string_agg(a.privilege_type || CASE WHEN a.is_grantable THEN '*' ELSE '' END, ',' ORDER BY a.privilege_type)
      FROM pg_class c, aclexplode(c.relacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
      WHERE c.relnamespace = 'public'::regnamespace AND a.grantee <> c.relowner GROUP BY c.relname, r.rolname
    UNION ALL SELECT 'grant ' || c.relname || '.' || t.attname || ' ' || coalesce(r.rolname, 'PUBLIC') || ' ' || a.privilege_type
      || CASE WHEN a.is_grantable THEN '*' ELSE '' END
      FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid, aclexplode(t.attacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
      WHERE c.relnamespace = 'public'::regnamespace AND a.grantee <> c.relowner
    UNION ALL SELECT 'constraint ' || conrelid::regclass || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
      WHERE connamespace = 'public'::regnamespace AND contype IN ('p', 'u', 'f', 'c', 'x')
    UNION ALL SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = 'public' AND indexdef LIKE 'CREATE UNIQUE%'
    UNION ALL SELECT 'generated ' || c.relname || '.' || a.attname || ' ' || pg_get_expr(d.adbin, d.adrelid) FROM pg_attribute a
      JOIN pg_class c ON c.oid = a.attrelid JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
      WHERE a.attgenerated <> '' AND c.relnamespace = 'public'::regnamespace
    UNION ALL SELECT 'policy ' || tablename || ' ' || policyname || ' ' || cmd || ' ' || array_to_string(roles, ',') || ' ' || permissive
      || ' ' || md5(coalesce(qual, '') || '|' || coalesce(with_check, '')) FROM pg_policies WHERE schemaname = 'public'
    UNION ALL SELECT 'row security ' || relname FROM pg_class WHERE relrowsecurity AND relnamespace = 'public'::regnamespace
    UNION ALL SELECT 'rule ' || schemaname || '.' || tablename || ' ' || rulename FROM pg_rules
      WHERE schemaname NOT IN ('pg_catalog', 'information_schema')
    UNION ALL SELECT 'relation ' || relname || ' ' || relkind::text || ' ' || relpersistence::text || ' ' || pg_get_userbyid(relowner)
      FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v', 'm', 'S', 'f', 'p')
    UNION ALL SELECT 'column ' || c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
      || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END || ' ' || a.attidentity::text || a.attgenerated::text
      || coalesce(' default ' || md5(pg_get_expr(d.adbin, d.adrelid)), '')
      FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
      WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'v', 'm', 'f', 'p') AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL SELECT 'replica identity ' || relname || ' ' || relreplident::text FROM pg_class
      WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND relreplident <> 'd'
    UNION ALL SELECT 'triggers off ' || relname FROM pg_class c WHERE relnamespace = 'public'::regnamespace AND NOT relhastriggers
      AND EXISTS (SELECT 1 FROM pg_trigger t WHERE t.tgrelid = c.oid)
    UNION ALL SELECT 'checks off ' || relname FROM pg_class c WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
      AND relchecks <> (SELECT count(*) FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'c')
    UNION ALL SELECT 'index off ' || i.indexrelid::regclass FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
      WHERE c.relnamespace = 'public'::regnamespace
        AND NOT (i.indisvalid AND i.indisready AND i.indislive
          AND i.indimmediate <> EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x') AND k.condeferrable)
          AND i.indisexclusion = EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype = 'x'))
    UNION ALL SELECT 'indexes off ' || relname FROM pg_class c WHERE relnamespace = 'public'::regnamespace AND NOT relhasindex
      AND EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = c.oid)
    UNION ALL SELECT 'foreign key off ' || k.conrelid::regclass || ' ' || k.conname FROM pg_constraint k
      WHERE k.connamespace = 'public'::regnamespace AND k.contype = 'f'
        AND (SELECT count(*) FROM pg_trigger t WHERE t.tgconstraint = k.oid AND t.tgisinternal) <> 4
    UNION ALL SELECT 'default off ' || c.relname || '.' || a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
      WHERE c.relnamespace = 'public'::regnamespace AND a.atthasdef
        <> EXISTS (SELECT 1 FROM pg_attrdef d WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum)
    UNION ALL SELECT 'sequence ' || sequencename || ' ' || increment_by || ' ' || cycle FROM pg_sequences
      WHERE schemaname = 'public' AND (increment_by <> 1 OR cycle OR start_value <> 1 OR min_value <> 1 OR cache_size <> 1
        OR max_value <> CASE data_type WHEN 'bigint'::regtype THEN 9223372036854775807 ELSE 2147483647 END)
    UNION ALL SELECT 'forced row security ' || relname FROM pg_class WHERE relforcerowsecurity AND relnamespace = 'public'::regnamespace
    UNION ALL SELECT 'collation ' || c.relname || '.' || a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
      JOIN pg_type t ON t.oid = a.atttypid
      WHERE c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped AND a.attcollation <> t.typcollation
    UNION ALL SELECT 'inherits ' || inhrelid::regclass || ' ' || inhparent::regclass FROM pg_inherits
      JOIN pg_class c ON c.oid = inhparent WHERE c.relnamespace = 'public'::regnamespace
"""
# What is outside of the schema public, or holds for a whole role or database. Only the lines in guards.txt are ours.
OUTSIDE = """
    SELECT 'schema ' || nspname || ' ' || pg_get_userbyid(nspowner) AS line FROM pg_namespace
      WHERE nspname NOT IN ('public', 'information_schema')
        AND (nspname NOT LIKE 'pg\\_%' OR oid >= 16384 AND nspname !~ '^pg_(toast_)?temp_[0-9]+$')
    UNION ALL SELECT 'schema right ' || n.nspname || ' ' || coalesce(r.rolname, 'PUBLIC') || ' ' || a.privilege_type
      FROM pg_namespace n, aclexplode(n.nspacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
      WHERE n.nspname = 'public' AND coalesce(r.rolname, '') NOT IN ('pg_database_owner', 'sbt_owner')
    UNION ALL SELECT 'event trigger ' || evtname || ' ' || evtevent || ' ' || evtenabled::text FROM pg_event_trigger
    UNION ALL SELECT 'extension ' || extname FROM pg_extension WHERE extname <> 'plpgsql'
    UNION ALL SELECT 'language ' || lanname FROM pg_language WHERE lanname NOT IN ('internal', 'c', 'sql', 'plpgsql')
    UNION ALL SELECT 'foreign server ' || srvname FROM pg_foreign_server
    UNION ALL SELECT 'foreign data wrapper ' || fdwname FROM pg_foreign_data_wrapper
    UNION ALL SELECT 'subscription ' || subname FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    UNION ALL SELECT 'database owner ' || pg_get_userbyid(datdba) FROM pg_database
      WHERE datname = current_database() AND pg_get_userbyid(datdba) <> 'sbt_owner' AND datdba <> 10
    UNION ALL SELECT 'database right ' || coalesce(r.rolname, 'PUBLIC') || ' ' || a.privilege_type FROM pg_database d, aclexplode(d.datacl) a
      LEFT JOIN pg_roles r ON r.oid = a.grantee WHERE d.datname = current_database() AND a.grantee <> d.datdba
      AND (coalesce(r.rolname, 'PUBLIC'), a.privilege_type) NOT IN (('PUBLIC', 'CONNECT'), ('PUBLIC', 'TEMPORARY'), ('sbt_owner', 'CONNECT'),
        ('sbt_app', 'CONNECT'), ('sbt_worker', 'CONNECT'))
    UNION ALL SELECT 'information schema ' || oid::regclass FROM pg_class
      WHERE relnamespace = 'information_schema'::regnamespace AND oid >= 16384
    UNION ALL SELECT 'publication ' || pubname FROM pg_publication
    UNION ALL SELECT 'operator ' || oid::regoperator FROM pg_operator WHERE oprnamespace = 'public'::regnamespace
    UNION ALL SELECT 'cast ' || castsource::regtype || ' ' || casttarget::regtype FROM pg_cast WHERE oid >= 16384
    UNION ALL SELECT 'type ' || oid::regtype FROM pg_type t WHERE typnamespace = 'public'::regnamespace AND typtype <> 'c'
      AND NOT EXISTS (SELECT 1 FROM pg_type e WHERE e.typarray = t.oid AND e.typtype = 'c')
    UNION ALL SELECT 'system function ' || oid::regprocedure FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace
      AND (oid >= 16384 OR prosecdef OR proowner <> 10 OR prolang NOT IN (SELECT oid FROM pg_language WHERE lanname IN ('internal', 'c', 'sql')))
    UNION ALL SELECT 'system right ' || p.oid::regprocedure FROM pg_proc p
      LEFT JOIN pg_init_privs i ON i.objoid = p.oid AND i.classoid = 'pg_proc'::regclass AND i.objsubid = 0
      WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.oid < 16384 AND p.proacl IS DISTINCT FROM i.initprivs
    UNION ALL SELECT 'system right ' || c.oid::regclass FROM pg_class c
      LEFT JOIN pg_init_privs i ON i.objoid = c.oid AND i.classoid = 'pg_class'::regclass AND i.objsubid = 0
      WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.oid < 16384 AND c.relkind <> 'i' AND c.relacl IS DISTINCT FROM i.initprivs
    UNION ALL SELECT 'system right ' || a.attrelid::regclass || '.' || a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
      LEFT JOIN pg_init_privs i ON i.objoid = c.oid AND i.classoid = 'pg_class'::regclass AND i.objsubid = a.attnum
      WHERE c.relnamespace = 'pg_catalog'::regnamespace AND a.attacl IS DISTINCT FROM i.initprivs
    UNION ALL SELECT 'system relation ' || oid::regclass FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace AND oid >= 16384
    UNION ALL SELECT 'default right ' || defaclobjtype::text || ' ' || array_to_string(defaclacl, ',') FROM pg_default_acl
    UNION ALL SELECT 'setting ' || coalesce(r.rolname, '(all roles)') || ' ' || coalesce(d.datname, '(all databases)') || ' '
      || array_to_string(s.setconfig, ' ') FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole
      LEFT JOIN pg_database d ON d.oid = s.setdatabase
      WHERE (s.setdatabase = 0 OR d.datname = current_database()) AND (s.setrole = 0 OR r.rolname LIKE 'sbt%')
    UNION ALL SELECT 'server setting ' || name || ' ' || setting FROM pg_settings
      WHERE name IN ('session_replication_role', 'search_path', 'row_security', 'shared_preload_libraries',
        'session_preload_libraries', 'local_preload_libraries', 'ignore_checksum_failure', 'zero_damaged_pages', 'fsync')
      AND source NOT IN ('default', 'session', 'client') AND setting <> boot_val AND name || setting <> 'fsyncoff'
    UNION ALL SELECT 'role ' || rolname || concat_ws(' ', '', CASE WHEN rolsuper THEN 'superuser' END,
        CASE WHEN rolbypassrls THEN 'bypassrls' END, CASE WHEN rolcreaterole THEN 'createrole' END,
        CASE WHEN rolcreatedb THEN 'createdb' END, CASE WHEN rolreplication THEN 'replication' END)
      FROM pg_roles WHERE rolname IN ('sbt_owner', 'sbt_app', 'sbt_worker')
    UNION ALL SELECT 'powerful role ' || r.rolname FROM pg_roles r WHERE r.oid <> 10 AND r.oid >= 16384
      AND (r.rolsuper OR r.rolbypassrls OR r.rolreplication OR r.rolcreaterole OR EXISTS (SELECT 1 FROM pg_roles p WHERE NOT r.rolsuper
        AND p.rolname IN ('pg_write_all_data', 'pg_read_all_data', 'pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files', 'pg_signal_backend', 'pg_maintain', 'pg_checkpoint')
        AND pg_has_role(r.oid, p.oid, 'MEMBER')))
    UNION ALL SELECT 'parameter right ' || parname || ' ' || coalesce(r.rolname, 'PUBLIC') || ' ' || a.privilege_type
      FROM pg_parameter_acl p, aclexplode(p.paracl) a LEFT JOIN pg_roles r ON r.oid = a.grantee WHERE a.grantee <> 10
    UNION ALL SELECT 'membership ' || m.rolname || ' in ' || r.rolname FROM pg_auth_members a
      JOIN pg_roles r ON r.oid = a.roleid JOIN pg_roles m ON m.oid = a.member
      WHERE m.rolname IN ('sbt_app', 'sbt_worker') OR r.rolname IN ('sbt_app', 'sbt_worker')
        OR (m.rolname = 'sbt_owner' OR r.rolname = 'sbt_owner') AND NOT m.rolsuper
"""


def guard_lines(seen: Snapshot) -> list[str]:
    rows = [*seen.rows(LINES), *seen.rows(OUTSIDE)]
    return sorted(" ".join(row.line.split()) for row in rows)


def check_guards(report: VerificationReport, seen: Snapshot) -> None:
    """Step 13: no guard of facts was removed, weakened or added."""
    wanted, present = set(FILE.read_text().splitlines()), set(guard_lines(seen))
    report.count("projections", len(wanted))
    for line in sorted(wanted - present):
        report.find("projections", "GUARD_MISSING", line[:200], "it guards facts, and is not as the migrations made it")
    for line in sorted(present - wanted):
        report.find("projections", "GUARD_STRANGE", line[:200], "no migration made it")
