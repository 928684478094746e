"""Production, from an empty database to a signed post that verifies; two operators; what is suspended ends in every process; what it refuses to start with."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from app.admin.requests import change_hash
from app.database import embedded, roles
from tests.e2e.production import Production, image_command, production
from tests.e2e.service import ROOT
from tests.support.house import HTTP
from tests.support.walks import body_for, first_body


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    with _founded(tmp_path_factory.mktemp("production")) as found:
        yield found


@contextmanager
def _founded(folder: Path) -> Iterator[Production]:
    """As docs and README say it: keys, tables, registers."""
    with production(folder) as found:
        found.good("keys", "init")
        found.good("db", "migrate")
        fingerprint = found.good("client", "keys", "--out", str(folder / "bkn")).split()[-1]
        found.good("found", str(folder), "--anchor", f"bkn={fingerprint}")
        yield found


def asked(who: Any, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
    raw = json.dumps(body).encode() if body is not None else b""
    made = {"Content-Type": "application/json"} if raw else {}
    answer: httpx.Response = who.send(method, path, raw, made | {n.replace("_", "-"): v for n, v in headers.items()})
    return answer


def approved(who: Any, change: dict[str, Any]) -> httpx.Response:
    """As whoever approves does: of what it was shown."""
    body = {"sha256": change_hash(change["kind"], change["facts"])}
    return asked(who, "POST", f"/v1/admin/changes/{change['id']}/approvals", body)


def at_home(found: Production, folder: str) -> None:
    """The folder names the public address; here the service is reached where it listens."""
    path = found.folder / folder / "client.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"url": found.base}))


def test_from_an_empty_database_to_a_signed_post_that_verifies(founded: Production) -> None:
    founded.start(SBT_WORKERS="2")
    for name in ("operator-1", "operator-2"):
        at_home(founded, name)
    one, two = founded.client("operator-1"), founded.client("operator-2")
    _never_below_two(one, two)
    _two_operators(founded, one, two)
    bkn = founded.client("bkn")
    opened = asked(bkn, "POST", "/v1/cases", first_body("sbt_2024"))
    assert opened.status_code == 201, opened.text
    path = f"/v1/cases/{opened.json()['id']}/stages/verifikasi_satgas"
    body, etag = body_for("sbt_2024", "verifikasi_satgas", "lolos"), opened.headers["ETag"]
    bare = {"Authorization": f"Bearer {bkn.token()}", "Idempotency-Key": opened.json()["id"], "If-Match": etag}
    unsigned = HTTP.post(founded.base + path, json=body, headers=bare)
    assert (unsigned.status_code, unsigned.json()["code"]) == (401, "SIGNATURE_REQUIRED")
    assert _posted(bkn, f"/v1/cases/{opened.json()['id']}", body).status_code == 201
    weaker = asked(one, "POST", "/v1/admin/parties/bkn/policies", {"signatures": "optional"})
    assert weaker.json()["errors"][0]["code"] == "SIGNATURES_REQUIRED"
    basic = HTTP.post(f"{founded.base}/oauth2/token", data={"grant_type": "client_credentials"}, auth=("x", "y"))
    assert basic.status_code == 401 and "private_key_jwt" in basic.text
    assert asked(one, "POST", f"/v1/cases/{opened.json()['id']}/withdrawals", {"reason": "x"}).status_code == 403
    _every_process(founded, one, bkn)
    founded.stop()
    report = json.loads(founded.sbt("verify", "--db", "local", "--json").stdout)
    assert report["result"] == "sound", report["findings"]
    assert report["environment"] == "production"
    assert next(s for s in report["steps"] if s["step"] == "signatures")["checked"] == 9, (
        "two posts, three proposals, three decisions, a suspension"
    )


def _two_operators(founded: Production, one: Any, two: Any) -> None:
    """`sbt client create` by one operator; nothing works until the other approves."""
    out = founded.folder / "bkn"
    mistaken = founded.sbt(
        "client", "create", "--party", "bkn", "--scopes", "a:b", "--out", str(out), "--as", str(one.folder)
    )
    assert mistaken.returncode == 1 and "/scopes/0" in mistaken.stderr, mistaken.stderr
    _consent(founded, one)
    told = founded.good("client", "create", "--party", "bkn", "--out", str(out), "--as", str(one.folder))
    change = told.partition("sbt client approve ")[2].split()[0]
    at_home(founded, "bkn")
    assert {p.name: p.stat().st_mode & 0o777 for p in out.iterdir()} == dict.fromkeys(
        ("auth.pem", "sign.pem", "client.json"), 0o600
    )
    with pytest.raises(SystemExit, match="invalid_client"):
        founded.client("bkn").token()
    shown = asked(two, "GET", f"/v1/admin/changes/{change}").json()
    alone = approved(one, shown)
    assert (alone.status_code, alone.json()["code"]) == (403, "SECOND_OPERATOR_NEEDED")
    for _ in range(2):  # whoever was not answered enters the same command again
        assert "In force" in founded.good("client", "approve", change, "--as", str(two.folder))
    for late, verb in ((one, "approvals"), (two, "approvals"), (one, "refusals"), (two, "refusals")):
        other = (
            approved(late, shown) if verb == "approvals" else asked(late, "POST", f"/v1/admin/changes/{change}/{verb}")
        )
        assert (other.status_code, other.json()["code"]) == (409, "CHANGE_DECIDED")
    other = asked(one, "POST", "/v1/admin/mandates", {"role": "kasn", "party": "bkn", "valid_from": "2090-01-01"})
    assert (other.status_code, other.json()["status"]) == (202, "pending")
    key = str(uuid4())
    refused = asked(two, "POST", f"/v1/admin/changes/{other.json()['id']}/refusals", Idempotency_Key=key)
    assert refused.json()["status"] == "refused"
    third = asked(
        one, "POST", "/v1/admin/mandates", {"role": "kasn", "party": "bkn", "valid_from": "2091-01-01"}
    ).json()
    reused = asked(two, "POST", f"/v1/admin/changes/{third['id']}/refusals", Idempotency_Key=key)
    assert (reused.status_code, reused.json()["code"]) == (422, "IDEMPOTENCY_KEY_REUSED"), "a key is for one decision"
    assert asked(one, "POST", f"/v1/admin/changes/{third['id']}/refusals").json()["status"] == "refused"
    path = f"/v1/admin/changes/{other.json()['id']}/refusals"
    again = asked(two, "POST", path, Idempotency_Key=key)
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (201, "true")
    otherwise = asked(two, "POST", path)
    assert (otherwise.status_code, otherwise.json()["code"]) == (409, "CHANGE_DECIDED"), "nothing is kept of that key"
    late = approved(two, other.json())
    assert (late.status_code, late.json()["code"]) == (409, "CHANGE_DECIDED")
    assert asked(one, "GET", "/v1/admin/changes?status=pending").json()["data"] == []
    mine = founded.client("bkn")
    told = asked(mine, "GET", "/v1/me").json()["server_time"]
    assert abs(datetime.fromisoformat(told) - datetime.now(UTC)) < timedelta(minutes=5), "no clock but the machine's"
    for _ in range(10):  # both processes know the new client at once, whichever of them was asked
        assert HTTP.get(f"{founded.base}/v1/me", headers={"Authorization": f"Bearer {mine.token()}"}).status_code == 200


def _never_below_two(one: Any, two: Any) -> None:
    """One operator's key cannot end administration, whichever door it tries."""
    kid = two.config.kids["sign"]
    for path in (
        "clients/operator-2",
        "parties/operator",
        f"keys/{kid}",
        f"keys/{two.config.kids['auth']}",
        "clients/operator-1",
    ):
        answer = asked(one, "POST", f"/v1/admin/{path}/suspensions")
        assert (answer.status_code, answer.json()["code"]) == (409, "LAST_OPERATORS"), path
    narrowed = asked(one, "POST", "/v1/admin/grants", {"client_id": "operator-2", "scopes": ["audit:read"]})
    assert narrowed.status_code in (409, 422), narrowed.text


def test_two_founding_operators_give_the_registers_back(tmp_path: Path) -> None:
    """Offline, with the founding keys, and on record: the new operators act, and the ledger verifies."""
    with _founded(tmp_path / "production") as found:
        _given_back(found, tmp_path)


def _given_back(founded: Production, tmp_path: Path) -> None:
    founded.start()
    founded.stop()
    one, two = (str(founded.folder / name) for name in ("operator-1", "operator-2"))
    alone = founded.sbt("recover", "operators", one, one, "--out", str(tmp_path / "alone"))
    assert alone.returncode == 1 and "two founding operators" in alone.stderr
    told = founded.good("recover", "operators", one, two, "--out", str(founded.folder / "recovered"))
    names = [p.name for p in sorted((founded.folder / "recovered").iterdir())]
    assert len(names) == 2 and all(name in told for name in names)
    again = [str(founded.folder / "recovered" / name) for name in names]
    refused = founded.sbt("recover", "operators", *again, "--out", str(tmp_path / "again"))
    assert refused.returncode == 1, "recovered keys are no founding keys"
    founded.start()
    for name in names:
        at_home(founded, f"recovered/{name}")
    new = founded.client(f"recovered/{names[0]}")
    answer = asked(new, "POST", "/v1/admin/parties/kasn/suspensions")
    assert answer.status_code == 201, answer.text
    with pytest.raises(SystemExit):  # whoever acted against the others acts no more: it gets no token
        asked(founded.client("operator-1"), "POST", f"/v1/admin/clients/{names[0]}/suspensions")
    founded.stop()
    report = json.loads(founded.sbt("verify", "--db", "local", "--json").stdout)
    assert report["result"] == "sound", report["findings"]


def _consent(founded: Production, one: Any) -> None:
    """Without the key whose fingerprint the party told, no operator can propose a client of it."""
    stranger = str(founded.folder / "stranger")
    refused = founded.sbt("client", "create", "--party", "bkn", "--out", stranger, "--as", str(one.folder))
    assert refused.returncode == 1 and "CONSENT_REQUIRED" in refused.stderr, refused.stderr
    unknown = str(founded.folder / "unknown")
    refused = founded.sbt("client", "create", "--party", "bawaslu", "--out", unknown, "--as", str(one.folder))
    assert refused.returncode == 1 and "CONSENT_REQUIRED" in refused.stderr


def _posted(mine: Any, case: str, body: dict[str, Any]) -> httpx.Response:
    """As any client does: of the version it has read, and again where the watcher came between (the terms of 2024 are over)."""
    for _ in range(5):
        etag = asked(mine, "GET", case).headers["ETag"]
        answer = asked(mine, "POST", f"{case}/stages/verifikasi_satgas", body, If_Match=etag)
        if answer.status_code != httpx.codes.PRECONDITION_FAILED:
            break
    return answer


def _every_process(founded: Production, operator: Any, mine: Any) -> None:
    """Two processes answer; five seconds after a suspension neither knows the client any more."""
    bearer = {"Authorization": f"Bearer {mine.token()}"}
    path = f"/v1/admin/keys/{mine.config.kids['auth']}/suspensions"
    assert asked(operator, "POST", path).status_code == 201
    ends, refused = time.monotonic() + 5, 0
    while refused < 20 and time.monotonic() < ends:  # fresh sockets: both are asked, within a stranger's measure
        refused = refused + 1 if HTTP.get(f"{founded.base}/v1/me", headers=bearer).status_code == 401 else 0
        time.sleep(0.1)
    assert refused == 20


UNSAFE: list[tuple[dict[str, str], str]] = [
    ({"SBT_ISSUER": "http://sbt.example"}, "SBT_ISSUER must be the public https://"),
    ({"SBT_ISSUER": ""}, "SBT_ISSUER must be the public https://"),
    ({"SBT_PUBLIC_URL": "http://sbt.example"}, "SBT_PUBLIC_URL must be an https://"),
    ({"SBT_CORS_ORIGINS": "*"}, "SBT_CORS_ORIGINS must name its origins"),
    ({"SBT_CORS_ORIGINS": "https://a.example, *"}, "SBT_CORS_ORIGINS must name its origins"),
    ({"SBT_TRUSTED_PROXIES": "*"}, "SBT_TRUSTED_PROXIES must name its proxies"),
    ({"SBT_TRUSTED_PROXIES": "10.0.0.1, 0.0.0.0/0"}, "SBT_TRUSTED_PROXIES must name its proxies"),
    ({"SBT_DEBUG": "true"}, "SBT_DEBUG is for the sandbox only"),
    ({"SBT_LOG_ORIGIN": "localhost/sbt"}, "SBT_LOG_ORIGIN must be a name of your own"),
    ({"SBT_SANDBOX_CLOCK_START": "2023-08-01T08:00:00+07:00"}, "SBT_SANDBOX_CLOCK_START is for"),
    ({"SBT_DATABASE_URL": ""}, "SBT_DATABASE_URL"),
    ({"SBT_KEY_DIR": "/nonexistent/keys"}, "There are no keys in"),
    ({"SBT_ENVIRONMENT": "staging"}, "SBT_ENVIRONMENT"),
    ({"SBT_PORT": "x"}, "SBT_PORT"),
]


@pytest.mark.parametrize(("settings", "says"), UNSAFE, ids=[f"{next(iter(s))}-{n}" for n, (s, _) in enumerate(UNSAFE)])
def test_an_unsafe_setting_keeps_it_from_starting_with_a_message_of_its_own(
    founded: Production, settings: dict[str, str], says: str
) -> None:
    assert says in founded.refusal(**settings)


def test_a_role_that_no_guard_binds_keeps_it_from_starting(founded: Production) -> None:
    url = founded.server.url(embedded.SUPERUSER, founded.server.password, roles.DATABASE)
    assert "which no guard binds" in founded.refusal(SBT_DATABASE_URL=url)
    assert "which owns the tables" in founded.refusal(SBT_DATABASE_URL=founded.urls.owner)
    told = founded.refusal(SBT_WORKER_DATABASE_URL=url)
    assert "SBT_WORKER_DATABASE_URL" in told and "which no guard binds" in told
    with psycopg.connect(roles.plain(url), autocommit=True) as session:
        session.execute("GRANT sbt_owner TO sbt_app")
        try:
            assert "which owns the tables" in founded.refusal()
        finally:
            session.execute("REVOKE sbt_owner FROM sbt_app")


def test_sandbox_secrets_keep_it_from_starting(founded: Production) -> None:
    url = roles.plain(founded.server.url(embedded.SUPERUSER, founded.server.password, roles.DATABASE))
    with psycopg.connect(url, autocommit=True) as session:
        session.execute("UPDATE client SET secret_hash = 'x' WHERE id = 'operator-1'")
        try:
            assert "sandbox secrets" in founded.refusal()
        finally:
            session.execute("UPDATE client SET secret_hash = NULL WHERE id = 'operator-1'")
        session.execute("UPDATE party SET signatures = 'optional' WHERE code = 'bkn'")
        try:
            assert "bkn need not" in founded.refusal()
        finally:
            session.execute("UPDATE party SET signatures = 'required' WHERE code = 'bkn'")


def test_keys_of_a_sandbox_keep_it_from_starting(founded: Production) -> None:
    mark = founded.folder / "keys" / "SANDBOX"
    mark.touch()
    try:
        assert "are a sandbox's" in founded.refusal()
    finally:
        mark.unlink()


def test_a_ledger_is_founded_once_and_not_served_before(tmp_path: Path, founded: Production) -> None:
    assert "Nothing was changed" in founded.sbt("found", str(tmp_path)).stderr
    assert not list(tmp_path.iterdir())
    with production(tmp_path / "fresh") as fresh:
        fresh.good("keys", "init")
        fresh.good("db", "migrate")
        assert "was not founded" in fresh.refusal()


def test_the_image_holds_what_it_starts() -> None:
    """What the Dockerfile copies is there, and no secret or setting of a sandbox is among it."""
    text = (ROOT / "Dockerfile").read_text()
    assert image_command() == ["python", "-m", "app.cli", "serve"]
    for line in text.splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            for source in line.split()[1:-1]:
                assert (ROOT / source).exists(), source
    assert "sandbox" not in text.lower() and "USER sbt" in text


def test_a_log_that_somebody_wrote_to_is_not_founded(tmp_path: Path) -> None:
    """Else whoever has the application's role registers operators of its own before the founding, and the founding calls them ours."""
    with production(tmp_path) as found:
        found.good("keys", "init")
        found.good("db", "migrate")
        url = roles.plain(found.server.url(embedded.SUPERUSER, found.server.password, roles.DATABASE))
        with psycopg.connect(url) as session:
            session.execute("SET ROLE sbt_app")
            session.execute("SELECT ask_as('@service', '', current_date)")
            session.execute(
                "INSERT INTO entry (id, log, type, party, received_at, leaf)"
                " VALUES (gen_random_uuid(), 'cases', 'party.registered', 'operator', now(), '{}')"
            )
        refused = found.sbt("found", str(tmp_path))
        assert refused.returncode == 1 and "somebody wrote to its log" in refused.stderr
