"""Two locks on every row: the decision in code, and PostgreSQL's policies. Either is taken away once, and the other still holds."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import psycopg
import pytest
from psycopg import errors as pg

from app.access.policy import CaseScope
from app.cases.reading.visible_fields import OUTLINE, PERSON, WORDS
from app.cases.schemas import Reporter
from app.database import roles
from app.procedure.loading import rulebook
from tests.support.house import PPK_EMPLOYER, Case, House
from tests.support.walks import first_body

TABLES = ("cases", "case_party", "stage", "entry", "payload", "data_key", "blind_index", "access", "idempotency", "import_job", "import_line", "change")  # fmt: skip
EVERYTHING = CaseScope(all=True, acted=None, employer=None)
EVERY_FIELD = PERSON | WORDS | OUTLINE | set(rulebook().vocabulary.fields) | set(Reporter.model_fields)
HIDDEN = {  # what the operator, a PPK of another employer and KASN without a mandate may not see of a case
    "operator": None, "ppk_banda_aceh": None, "kasn": None,
}  # fmt: skip


@contextmanager
def without_code() -> Iterator[None]:
    """The one decision in code says: everybody sees every case, and opens every part of it."""
    with (
        patch("app.cases.visibility.case_scope", lambda _caller: EVERYTHING),
        patch("app.cases.reading.one_case.visible_fields", lambda *_: EVERY_FIELD),
        patch("app.publication.bundle.visible_fields", lambda *_: EVERY_FIELD),
        patch("app.cases.showing.policy.may_read_identity", lambda *_: True),
    ):
        yield


@contextmanager
def without_policies(api: House) -> Iterator[None]:
    """PostgreSQL is told to look away."""
    try:
        for table in TABLES:
            api.superuser(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
        yield
    finally:
        for table in TABLES:
            api.superuser(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")


@pytest.fixture(params=["both locks", "without the code", "without the policies"])
def locks(request: Any, api: House) -> Iterator[str]:
    api.add_ppk()
    if request.param == "without the code":
        with without_code():
            yield request.param
    elif request.param == "without the policies":
        with without_policies(api):
            yield request.param
    else:
        yield request.param


CANARY = "Kenari Kunci"


def a_case(api: House) -> Case:
    """Beside one that another agency opened: a policy that looked at the wrong row would take the one for the other."""
    api.open("skb_2022")
    return api.walked("kajian_bawaslu", subject__name=CANARY, report__reporter={"name": f"{CANARY} Pelapor"})


@pytest.mark.parametrize("party", sorted(HIDDEN))
def test_a_case_that_is_not_for_a_party_is_not_there(api: House, locks: str, party: str) -> None:
    case, number = a_case(api), "KUNCI-7"
    listed = api.open(report__report_number=number)
    if party == "operator":  # it has no scope of cases; were it given one, it would still see none
        api.superuser("UPDATE client SET scopes = array_append(scopes, 'cases:read') WHERE id = 'operator-sandbox'")
        api.app.state.register_cache.forget()
        api.tokens.pop("operator None", None)
    try:
        for path in ("", "/history", "/stages/verifikasi_satgas", "/bundle"):
            assert api.get(party, f"/v1/cases/{case.id}{path}").status_code == 404, (locks, path)
        found = api.get(party, f"/v1/cases?report_number={number}").json()["data"]
        assert [c["id"] for c in found if c["id"] == listed.id] == []
    finally:
        if party == "operator":
            api.superuser("UPDATE client SET scopes = array_remove(scopes, 'cases:read') WHERE id = 'operator-sandbox'")
            api.app.state.register_cache.forget()
            api.tokens.pop("operator None", None)


def test_lists_feeds_and_numbers_hide_it_too(api: House, locks: str) -> None:
    case = a_case(api)
    for party in ("kasn", "ppk_banda_aceh"):
        for path in ("/v1/worklist?agency=bawaslu", "/v1/deadlines", "/v1/cases"):
            assert case.id not in str(api.every(party, path)), (locks, party, path)
        assert case.id not in api.get(party, "/v1/events?limit=200").text, (locks, party)
    search = api.send("kasn", "/v1/cases/search", {"nip": case.nip}, X_Purpose="penanganan")
    assert search.status_code == 200 and case.id not in search.text


def test_the_reporter_and_the_person_are_sealed_from_who_has_no_part(api: House, locks: str) -> None:
    case = a_case(api)
    for party, purpose in (("kemendagri", "penanganan"), ("kemenpanrb", "penanganan"), ("auditor", "penanganan")):
        text = api.get(party, f"/v1/cases/{case.id}", X_Purpose=purpose).text
        assert CANARY not in text, (locks, party)
    assert f"{CANARY} Pelapor" not in api.get("bawaslu", f"/v1/cases/{case.id}", X_Purpose="penanganan").text
    for party in ("bkn", "bawaslu"):
        assert CANARY not in api.get(party, f"/v1/cases/{case.id}").text, "no purpose, no identity"


def test_with_both_locks_those_it_is_for_see_it(api: House) -> None:
    api.add_ppk()
    case = a_case(api)
    assert CANARY in api.get("bawaslu", f"/v1/cases/{case.id}", X_Purpose="penanganan").text
    assert f"{CANARY} Pelapor" in api.get("bkn", f"/v1/cases/{case.id}", X_Purpose="penanganan").text
    mine = api.walked("tindak_lanjut_ppk", subject__agency_code=PPK_EMPLOYER)
    assert api.get("ppk_banda_aceh", f"/v1/cases/{mine.id}").status_code == 200


@contextmanager
def as_app(api: House, party: str = "", purpose: str = "") -> Iterator[psycopg.Connection[Any]]:
    """The application's own role, as a hole in the program would use it."""
    with psycopg.connect(roles.plain(api.urls.app)) as session:
        session.execute("SELECT ask_as(%s, %s, '2025-07-01')", [party, purpose])
        try:
            yield session
        finally:
            session.rollback()


@pytest.mark.parametrize("table", [t for t in TABLES if t not in ("import_job", "import_line", "change")])
def test_nobody_sees_no_row(api: House, table: str) -> None:
    a_case(api)
    where = " WHERE case_id IS NOT NULL" if table == "entry" else ""
    with as_app(api) as session:
        assert session.execute(f"SELECT count(*) FROM {table}{where}").fetchone() == (0,)


def test_the_accesses_of_a_case_are_shown_to_an_auditor_alone(api: House) -> None:
    """A function of the tables' owner asks the index for them: it must decide by itself."""
    case = a_case(api)
    assert api.get("bkn", f"/v1/cases/{case.id}").status_code == 200
    for party, sees in (("auditor", True), ("bkn", False), ("operator", False), ("nobody", False), ("", False)):
        with as_app(api, party) as session:
            rows = session.execute("SELECT * FROM accesses_of(%s)", [case.id]).fetchall()
            assert bool(rows) == sees, party


def test_a_party_sees_in_which_cases_it_acted_and_not_in_which_others_did(api: House) -> None:
    case = a_case(api)
    for party, sees in (("bkn", {"bkn"}), ("kasn", set()), ("auditor", set()), ("", set())):
        with as_app(api, party) as session:
            rows = session.execute("SELECT party FROM case_party WHERE case_id = %s", [case.id])
            assert {row[0] for row in rows} == sees, party


def test_no_entry_is_put_in_anothers_name(api: House) -> None:
    row = "gen_random_uuid(), 'cases', 'stage.posted', NULL, NULL, 'bawaslu', now(), 'x'"
    with as_app(api, "bkn") as session, pytest.raises(pg.InsufficientPrivilege):
        session.execute(f"INSERT INTO entry (id, log, type, case_id, seq, party, received_at, leaf) VALUES ({row})")


def test_two_agencies_see_the_ciphertexts_that_are_theirs(api: House) -> None:
    case = a_case(api)
    count = "SELECT p.part FROM payload p JOIN entry e ON e.id = p.entry_id WHERE e.case_id = %s AND p.part IN ('reporter', 'subject', 'content')"  # fmt: skip

    def parts(party: str, purpose: str = "") -> set[str]:
        with as_app(api, party, purpose) as session:
            return {row[0] for row in session.execute(count, [case.id])}

    assert parts("bkn", "penanganan") == {"reporter", "subject", "content"}
    assert parts("bawaslu", "penanganan") == {"subject", "content"}
    assert parts("kemendagri", "penanganan") == {"content"}
    assert parts("bkn") == {"content"}, "no purpose: no person"
    assert parts("auditor", "audit") == {"subject"} and parts("auditor", "penanganan") == set()
    assert parts("operator", "audit") == parts("kasn", "penanganan") == parts("nobody", "audit") == set()


FORBIDDEN = [
    "UPDATE entry SET leaf = 'x'",
    "DELETE FROM entry",
    "UPDATE cases SET number = 'x'",
    "DELETE FROM used_once",
    "SELECT * FROM used_once",
    "ALTER TABLE entry DISABLE TRIGGER ALL",
    "ALTER TABLE cases DISABLE ROW LEVEL SECURITY",
    "ALTER POLICY cases_seen ON cases USING (true)",
    "CREATE POLICY mine ON cases FOR SELECT TO sbt_app USING (true)",
    "SET session_replication_role = replica",
    "SET ROLE sbt_owner",
    "SET ROLE sbt_worker",
    "SET row_security = off; SELECT * FROM cases",
    "ALTER ROLE sbt_app BYPASSRLS",
    "SELECT pg_read_file('/etc/hostname')",
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "CREATE TABLE mine (x text)",
    "CREATE FUNCTION its_roles() RETURNS text[] LANGUAGE sql AS 'SELECT NULL::text[]'",
    "INSERT INTO sequenced VALUES ('cases', 10, gen_random_uuid())",
    "UPDATE log SET quarantined = NULL",
    "UPDATE party SET kind = 'auditor'",
    "UPDATE client SET party = 'auditor'",
    "UPDATE mandate SET role = 'bkn'",
    "TRUNCATE entry",
]


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_the_application_cannot_change_facts_read_files_or_switch_guards_off(api: House, statement: str) -> None:
    with as_app(api, "bkn") as session, pytest.raises((pg.InsufficientPrivilege, pg.RestrictViolation)):
        session.execute(statement)


def test_nothing_of_ones_own_comes_in_front_of_what_runs_as_the_owner(api: House) -> None:
    """An `entry` of one's own orders no erasure: PostgreSQL would look among temporary tables first, were it not told."""
    case = a_case(api)
    with as_app(api, "bkn") as session:
        session.execute("CREATE TEMPORARY TABLE entry (id uuid, type text, leaf bytea)")
        session.execute("GRANT SELECT ON entry TO PUBLIC")
        order = json.dumps({"case": case.id, "person": "subject"})
        session.execute("INSERT INTO pg_temp.entry VALUES (%s, 'subject.erased', %s)", [case.id, order.encode()])
        with pytest.raises(psycopg.errors.RestrictViolation):
            session.execute("SELECT erase_person(%s)", [case.id])
    loose = api.superuser(
        "SELECT oid::regprocedure::text AS name FROM pg_proc WHERE prosecdef AND pronamespace = 'public'::regnamespace"
        " AND NOT coalesce('search_path=public, pg_temp' = ANY (proconfig), false)"
    )
    assert [row.name for row in loose] == []


def test_a_function_of_ones_own_in_front_does_not_fool_the_policies(api: House) -> None:
    """A temporary schema comes first in the search path, unless a function says otherwise: ours do."""
    a_case(api)
    with as_app(api, "kasn") as session:
        session.execute("CREATE TEMPORARY TABLE party (code text, kind text)")
        session.execute("INSERT INTO party VALUES ('kasn', 'auditor')")
        assert session.execute("SELECT count(*) FROM public.cases WHERE NOT 'kasn' = ANY (acted)").fetchone() == (0,)


def test_the_answer_of_a_member_that_is_not_shown_is_null_not_absent(api: House) -> None:
    case = a_case(api)
    seen = json.loads(api.get("kemendagri", f"/v1/cases/{case.id}").text)
    assert seen["subject"]["name"] is None and seen["report"]["reporter"] is None
    assert first_body("sbt_2024")["subject"]["name"]
