"""Case numbers follow one another: an auditor asks first about the one that is missing."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from psycopg import errors as pg

from app.cases.opening.number import BLANK, case_number
from app.database import roles
from app.ledger.canonical import canonical
from tests.cases.bulk.test_many import again, report
from tests.imports.test_imports import imported, line
from tests.support.house import House
from tests.support.walks import first_body


def serials(api: House) -> list[int]:
    rows = api.superuser("SELECT split_part(number, '-', 3)::bigint AS n FROM cases ORDER BY 1")
    return [row.n for row in rows]


def whole(api: House) -> bool:
    """Whether the numbers of this house run from the first to the last, and the counter stands there."""
    numbers = serials(api)
    (counter,) = api.superuser("SELECT last_serial, case_id FROM case_counter")
    (last,) = api.superuser("SELECT id FROM cases ORDER BY split_part(number, '-', 3)::bigint DESC LIMIT 1")
    return numbers == list(range(1, numbers[-1] + 1)) and (counter.last_serial, counter.case_id) == (
        numbers[-1],
        last.id,
    )


def test_a_refused_post_uses_no_number_up(api: House) -> None:
    api.at("2024-10-10")
    body = first_body("sbt_2024")
    assert api.send("bkn", "/v1/cases", body).status_code == 201
    before = serials(api)[-1]
    refusals: list[tuple[str, Any]] = [
        ("bkn", again(body)),  # a duplicate
        ("kasn", first_body("sbt_2024")),  # its mandate has ended
        ("bkn", first_body("sbt_2024", violations=["ke_99"])),
        ("bkn", first_body("sbt_2024", report__report_number="198503122005031001")),
    ]
    for party, sent in refusals:
        assert api.send(party, "/v1/cases", sent).status_code in (403, 409, 422)
    named = report({}, {"subject": body["subject"]})
    assert api.send("bkn", "/v1/reports", named).status_code == 409, "all or none"
    (refused,) = imported(api, [line(violations=["ke_99"])])
    assert refused["status"] == "refused" and serials(api)[-1] == before
    assert api.send("bkn", "/v1/cases", first_body("sbt_2024")).status_code == 201
    assert serials(api)[-1] == before + 1 and whole(api)


def test_openings_reports_and_imports_at_once_leave_no_gap_and_wait_for_nobody_in_vain(api: House) -> None:
    api.at("2024-10-10")

    def one(n: int) -> int:
        if n % 8 == 0:
            return len(imported(api, [line(), line(violations=["ke_99"]), line()]))
        if n % 4 == 1 or n == 4:
            return api.send("bkn", "/v1/reports", report({}, {}, {})).status_code
        wrong: dict[str, Any] = {"violations": ["ke_99"]} if n % 4 == 2 else {}
        sent = first_body("sbt_2024", **wrong)
        return api.send("bkn", "/v1/cases", sent).status_code

    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(one, range(24)))
    assert sorted(set(told)) == [3, 201, 422] and whole(api)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE case_counter SET last_serial = last_serial - 1, case_id = gen_random_uuid()",
        "UPDATE case_counter SET last_serial = last_serial + 2, case_id = gen_random_uuid()",
        "UPDATE case_counter SET last_serial = last_serial + 1",
        "UPDATE case_counter SET last_serial = last_serial",
        "DELETE FROM case_counter",
        "TRUNCATE case_counter",
    ],
)
def test_the_owner_of_the_tables_cannot_leave_a_number_out(api: House, statement: str) -> None:
    api.open()
    with psycopg.connect(roles.plain(api.urls.owner)) as session, pytest.raises(pg.RestrictViolation):
        session.execute(statement)


def test_a_number_that_is_taken_twice_in_one_transaction_is_not_committed(api: House) -> None:
    """Each step wants the case that has this number, not just any case."""
    case = api.open()
    step = "UPDATE case_counter SET last_serial = last_serial + 1, case_id = %s"
    with psycopg.connect(roles.plain(api.urls.app)) as session:
        session.execute(step, ["00000000-0000-4000-8000-000000000000"])
        session.execute(step, [case.id])
        with pytest.raises((pg.RestrictViolation, pg.ForeignKeyViolation)):
            session.commit()
    assert whole(api)


def test_a_number_without_its_case_is_not_committed(api: House) -> None:
    with psycopg.connect(roles.plain(api.urls.app)) as session:
        session.execute("UPDATE case_counter SET last_serial = last_serial + 1, case_id = gen_random_uuid()")
        with pytest.raises((pg.RestrictViolation, pg.ForeignKeyViolation)):
            session.commit()
    api.open()
    assert whole(api)


def test_postgresql_writes_a_number_as_the_program_does(api: House) -> None:
    serials = [0, 1, 9, 35, 36, 37, 999, 54_321, 99_999, 100_000, 999_999, 1_000_000, 7_654_321, *range(2000, 2100)]
    for year in (2024, 2031):
        rows = api.superuser(
            "SELECT serial, case_number(%s, serial) AS number FROM unnest(%s::bigint[]) serial", year, serials
        )
        assert {row.serial: row.number for row in rows} == {serial: case_number(year, serial) for serial in serials}


def test_a_leaf_holds_the_number_of_its_case_and_no_blank(api: House) -> None:
    case = api.open()
    (row,) = api.superuser(
        "SELECT c.number, c.head_hash, e.leaf, e.leaf_hash FROM cases c JOIN entry e ON e.id = c.entry_id WHERE c.id = %s",
        case.id,
    )
    assert json.loads(row.leaf)["number"] == row.number == api.get("bkn", f"/v1/cases/{case.id}").json()["number"]
    assert row.head_hash == row.leaf_hash and BLANK.encode() not in row.leaf
    assert canonical(json.loads(row.leaf)) == row.leaf
