"""The same request twice, many at once, and a commit that fails: what was told is what was kept."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from app.cases import locking
from app.database import embedded, roles
from tests.support.house import Case, House, refusal
from tests.support.walks import body_for, first_body


def at_once(jobs: list[Any]) -> list[httpx.Response]:
    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(lambda job: job(), jobs))


def posts(api: House, case: Case, keys: list[str]) -> list[httpx.Response]:
    body = body_for("sbt_2024", "verifikasi_satgas", "lolos")
    path = f"/v1/cases/{case.id}/stages/verifikasi_satgas"
    api.token("bkn")
    return at_once([lambda k=k: api.send("bkn", path, body, If_Match=case.etag, Idempotency_Key=k) for k in keys])


def test_of_eight_posts_of_one_stage_at_once_one_wins_and_seven_are_stale(api: House) -> None:
    case = api.open()
    answers = posts(api, case, [str(uuid4()) for _ in range(8)])
    assert sorted(a.status_code for a in answers) == [201] + [412] * 7
    assert {a.headers["ETag"] for a in answers} == {'"2"'}
    api.check_log(case)


def test_of_eight_posts_with_one_key_one_is_kept_and_the_others_say_the_same_or_wait(api: House) -> None:
    case, key = api.open(), str(uuid4())
    answers = posts(api, case, [key] * 8)
    assert {a.status_code for a in answers} <= {201, 409}
    told = {a.json()["entry"]["id"] for a in answers if a.status_code == 201}
    assert len(told) == 1
    assert {refusal(a)[1] for a in answers if a.status_code == 409} <= {"REQUEST_IN_PROGRESS"}
    api.check_log(case)


def test_eight_openings_with_one_key_open_one_case(api: House) -> None:
    body, key = first_body("sbt_2024"), str(uuid4())
    api.token("bkn")
    answers = at_once([lambda: api.send("bkn", "/v1/cases", body, Idempotency_Key=key) for _ in range(8)])
    assert {a.status_code for a in answers} <= {201, 409}
    number = body["report"]["report_number"]
    assert len(api.get("bkn", f"/v1/cases?report_number={number}").json()["data"]) == 1


def test_a_replay_answers_the_same_even_after_the_case_has_moved_on(api: House) -> None:
    case, key = api.open(), str(uuid4())
    path, body = f"/v1/cases/{case.id}/stages/verifikasi_satgas", body_for("sbt_2024", "verifikasi_satgas", "lolos")
    first = api.send("bkn", path, body, If_Match=case.etag, Idempotency_Key=key)
    case.etag = first.headers["ETag"]
    api.post("bawaslu", case, "kajian_bawaslu", "tidak_terbukti")
    again = api.send("bkn", path, body, Idempotency_Key=key)

    assert (again.status_code, again.json()) == (201, first.json())
    assert (again.headers["Idempotent-Replayed"], again.headers["ETag"]) == ("true", '"2"')
    api.check_log(case)


def test_a_replay_of_an_opening_answers_the_same(api: House) -> None:
    body, key = first_body("sbt_2024"), str(uuid4())
    first, again = (api.send("bkn", "/v1/cases", body, Idempotency_Key=key) for _ in range(2))
    assert first.json() == again.json() and first.headers["Location"] == again.headers["Location"]


def test_a_key_with_another_body_or_for_another_case_is_refused(api: House) -> None:
    key = str(uuid4())
    api.send("bkn", "/v1/cases", first_body("sbt_2024"), Idempotency_Key=key)
    other = api.send("bkn", "/v1/cases", first_body("sbt_2024"), Idempotency_Key=key)
    assert refusal(other) == (422, "IDEMPOTENCY_KEY_REUSED")


def test_a_key_belongs_to_its_client(api: House) -> None:
    key, body = str(uuid4()), first_body("sbt_2024")
    mine = api.send("bkn", "/v1/cases", body, Idempotency_Key=key)
    theirs = api.send("bawaslu", "/v1/cases", first_body("sbt_2024"), Idempotency_Key=key)
    assert mine.status_code == theirs.status_code == 201
    assert mine.json()["id"] != theirs.json()["id"]


@pytest.fixture
def no_commit(api: House) -> Any:
    api.superuser(
        "CREATE FUNCTION test_disk_full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'disk full'; END $$"
    )
    api.superuser(
        "CREATE CONSTRAINT TRIGGER test_disk_full AFTER INSERT ON entry DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION test_disk_full()"
    )
    yield
    api.superuser("DROP TRIGGER test_disk_full ON entry")
    api.superuser("DROP FUNCTION test_disk_full()")


def test_a_failed_commit_is_never_a_201(api: House, no_commit: None) -> None:
    body = first_body("sbt_2024")
    answer = api.send("bkn", "/v1/cases", body)
    assert refusal(answer) == (500, "INTERNAL")
    assert "disk full" not in answer.text
    assert not api.superuser("SELECT 1 FROM cases WHERE report_number = %s", body["report"]["report_number"])


@pytest.fixture
def held(api: House) -> Any:
    """Someone else holds a case's row; `waiting(n)` returns when n others wait for it."""

    def waiting(others: int) -> None:
        while len(api.superuser("SELECT 1 FROM pg_locks WHERE NOT granted")) < others:
            time.sleep(0.01)

    @contextmanager
    def holding(case: Case) -> Iterator[Callable[[int], None]]:
        url = api.server.url(embedded.SUPERUSER, api.server.password, roles.DATABASE)
        with psycopg.connect(roles.plain(url)) as holder:
            holder.execute("SELECT 1 FROM cases WHERE id = %s FOR UPDATE", [case.id])
            yield waiting

    return holding


def test_a_case_that_is_held_by_someone_else_is_a_503_to_try_again(api: House, held: Any) -> None:
    case = api.open()
    with held(case):
        answer = api.try_post("bkn", case, "verifikasi_satgas", "lolos")
    assert refusal(answer) == (503, "OVERLOADED")
    assert answer.headers["Retry-After"]


def test_a_twin_that_was_overtaken_between_two_looks_says_the_same(
    api: House, held: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both looked for the key before either had written; here their own lock is taken away, so that it happens each time."""
    numbers = iter(range(1, 99))
    monkeypatch.setattr(locking, "_lock_number", lambda _: next(numbers))
    case, key = api.open(), str(uuid4())
    with ThreadPoolExecutor(1) as beside:
        with held(case) as waiting:
            answers = beside.submit(posts, api, case, [key] * 2)
            waiting(2)
        first, second = answers.result()
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["entry"] == second.json()["entry"]
    assert {"true"} == {a.headers["Idempotent-Replayed"] for a in (first, second) if "Idempotent-Replayed" in a.headers}
    api.check_log(case)


def test_a_guessed_future_version_is_judged_by_the_case_as_it_is(api: House) -> None:
    """The lock waits for a writer, and what the rest of the statement read is older: it is read again."""
    case = api.open()
    body = body_for("sbt_2024", "verifikasi_satgas", "lolos")
    path = f"/v1/cases/{case.id}/stages/verifikasi_satgas"
    api.token("bkn")
    jobs = [lambda e=e: api.send("bkn", path, body, If_Match=e) for e in ['"1"', '"2"', '"2"', '"2"', '"2"']]
    statuses = sorted(a.status_code for a in at_once(jobs))
    assert statuses[0] == 201 and set(statuses[1:]) <= {409, 412}
    api.check_log(case)
