"""What openings rely on: PostgreSQL runs the statements of a batch from the last to the first, whatever nobody reads of."""

from tests.support.house import House


def test_postgresql_runs_the_last_statement_of_a_batch_first(api: House) -> None:
    """So the number of a case, which others wait for, is given when the rest of it is written."""
    api.superuser("DROP TABLE IF EXISTS in_turn")
    api.superuser("CREATE TABLE in_turn (name text, at timestamptz)")
    try:
        inserted = ", ".join(f"{n} AS (INSERT INTO in_turn VALUES ('{n}', clock_timestamp()))" for n in ("a", "b", "c"))
        api.superuser(f"WITH {inserted} SELECT 1")
        assert [row.name for row in api.superuser("SELECT name FROM in_turn ORDER BY at")] == ["c", "b", "a"]
    finally:
        api.superuser("DROP TABLE in_turn")
