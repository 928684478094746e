"""The floor of `make bench` inserts the rows of a stage post: a new column must not leave it behind."""

from uuid import uuid4

from bench.rows import rows_of_a_post


def test_the_floor_of_the_bench_knows_every_column_of_a_post() -> None:
    sql, values = rows_of_a_post(uuid4(), {"decided_on": "2024-10-18"})
    assert "INSERT INTO entry" in sql and "idempotency" in sql and len(values) > 80
