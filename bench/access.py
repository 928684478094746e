"""What access costs: a token checked, a signed post under row-level security beside neither, and what a flood of refusals does to who is served."""

import asyncio
import itertools
import json
import multiprocessing
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import uvloop

from app.access.signatures.signing import SigningClient
from app.access.tokens import jwks, keys
from app.access.tokens.access_tokens import Tokens
from app.database import embedded, roles
from bench import load, service
from bench.load import Measured, Prepared
from bench.service import Service
from demo.bodies import body_for

AT_ONCE = 16
DAY = date(2024, 10, 18)
GUARDED = ("cases", "stage", "entry", "payload", "data_key", "blind_index", "access", "idempotency")
FLOOD = 2000  # refused requests a second
Openings = Callable[[Service, int, list[str]], Iterator[Prepared]]


def measure(data: Path, openings: Openings, cases: int, turns: int, seconds: float) -> list[dict[str, Any]]:
    with service.running(data, 2) as found:
        signed = _both(found, openings, cases, turns)
    limits = "read=60/120, write=100000/100000, bulk=5/20, admin=10/50, token=100/100, stranger=20/100"
    with service.running(data, 2, limits=limits) as found:
        flood = _flood(found, openings, seconds)
    return [_token_check(data), signed, flood]


def _token_check(data: Path) -> dict[str, Any]:
    """Warm: the same token again, as a client sends it for ten minutes."""
    folder = data / "bench-token"
    tokens = Tokens(keys.load_token_keys(folder), "https://sbt.example", "sandbox")
    token = tokens.issue("bkn-sandbox", "bkn", ["cases:read"] * 30)
    tokens.check(token)
    rounds, begun = 20_000, time.perf_counter()
    for _ in range(rounds):
        tokens.check(token)
    warm = (time.perf_counter() - begun) / rounds
    others = [tokens.issue(f"c{n}", "bkn", ["cases:read"]) for n in range(200)]
    begun = time.perf_counter()
    for other in others:
        tokens.check(other)
    return {
        "what": "token check",
        "warm_ms": round(warm * 1000, 4),
        "first_time_ms": round((time.perf_counter() - begun) / len(others) * 1000, 3),
    }


def _superuser(found: Service) -> psycopg.Connection[Any]:
    socket = embedded.socket_folder(found.data.resolve())
    url = embedded.url(socket, embedded.SUPERUSER, (found.data / "pg.password").read_text(), roles.DATABASE)
    return psycopg.connect(roles.plain(url), autocommit=True)


def _client(found: Service) -> SigningClient:
    """A signing key of the party whose token is used."""
    key = jwks.read_pem(jwks.new_pem())
    public = jwks.public(key)
    jwk = {name: public[name] for name in ("kty", "crv", "x", "y")}
    body = {"client_id": "bkn-sandbox", "purpose": "sign", "jwk": jwk}
    headers = {"Authorization": f"Bearer {found.tokens['operator']}", "Idempotency-Key": str(uuid4())}
    base = f"http://127.0.0.1:{found.port}"
    httpx.post(f"{base}/v1/admin/keys", json=body, headers=headers).raise_for_status()
    time.sleep(3)  # the other process hears of it
    return SigningClient(public["kid"], key, base)


def _both(found: Service, openings: Openings, cases: int, turns: int) -> dict[str, Any]:
    """Neither, policies alone, both, a signature alone, and back again: in one run, on one ledger, so that what grows or warms favours none."""
    signer = _client(found)
    rates = {what: list[Measured]() for what in ("neither", "policies", "both", "signed")}
    ids: list[str] = []
    each, order = cases // 2, [*rates, *reversed(rates)] * turns
    uvloop.run(load.run(found.port, AT_ONCE, openings(found, each * len(order), ids), seconds=600))
    time.sleep(3)  # the sequencer has caught up
    for turn, what in enumerate(order):
        _policies(found, on=what in ("policies", "both"))
        chosen = ids[turn * each : (turn + 1) * each]
        requests = list(_posts(found, chosen, signer if what in ("signed", "both") else None))  # a client's work
        rates[what].append(uvloop.run(load.run(found.port, AT_ONCE, iter(requests), seconds=600)))
    means = {what: sum(m.rate for m in done) / len(done) for what, done in rates.items()}
    return {
        "what": "stage post of 2 workers, 16 connections",
        "rates": {what: [round(m.rate) for m in done] for what, done in rates.items()},
        "share_of_means": {what: round(rate / means["neither"], 3) for what, rate in means.items()},
        "statuses": {what: dict(done[-1].statuses) for what, done in rates.items()},
        "p99_ms": {what: round(done[-1].percentile(0.99), 1) for what, done in rates.items()},
    }


def _policies(found: Service, *, on: bool) -> None:
    with _superuser(found) as session:
        for table in GUARDED:
            session.execute(f"ALTER TABLE {table} {'ENABLE' if on else 'DISABLE'} ROW LEVEL SECURITY")


def _posts(found: Service, ids: list[str], signer: SigningClient | None) -> Iterator[Prepared]:
    body = json.dumps(body_for("sbt_2024", "verifikasi_satgas", "lolos", DAY)).encode()
    for case in ids:
        path = f"/v1/cases/{case}/stages/verifikasi_satgas"
        made = {"Idempotency-Key": str(uuid4()), "If-Match": '"1"', "Content-Type": "application/json"}
        made = signer.signed("POST", path, made, body) if signer else made
        made |= {"Authorization": f"Bearer {found.tokens['bkn']}"}
        yield load.request("POST", path, {n: v for n, v in made.items() if n != "Content-Type"}, body), None


ORDER = ("calm", "flood", "flood", "calm", "calm", "flood", "flood", "calm")


def _flood(found: Service, openings: Openings, seconds: float) -> dict[str, Any]:
    """One client reads and another posts, in calm and in the flood, there and back; a third asks far beyond its measure."""
    ids: list[str] = []
    uvloop.run(load.run(found.port, AT_ONCE, openings(found, 1600, ids), seconds=600))
    with _superuser(found) as settled:  # what loading leaves to do is none of it
        settled.execute("VACUUM ANALYZE")
        settled.execute("CHECKPOINT")
    time.sleep(5)
    each = len(ids) // len(ORDER)
    latencies: dict[str, dict[str, list[float]]] = {when: {"read": [], "post": []} for when in set(ORDER)}
    flooded: list[tuple[float, dict[int, int]]] = []
    for n, when in enumerate(ORDER):
        served, refused = _phase(found, ids[n * each : (n + 1) * each], seconds, flood=when == "flood")
        flooded += [refused] if refused else []
        for what, measured in served.items():
            latencies[when][what] += measured.latencies
    return {
        "what": "accepted requests beside a flood of refused ones, ms",
        "refused_per_second": [round(rate) for rate, _ in flooded],
        "of_the_flood": {status: sum(s.get(status, 0) for _, s in flooded) for status in (200, 429)},
        "percentiles": {
            f"{when} {what} p{share * 100:.0f}": round(_percentile(found_, share), 1)
            for when, of in latencies.items() for what, found_ in of.items() for share in (0.5, 0.9, 0.99)
        },
        "p99_grown_by": {
            what: round(_percentile(latencies["flood"][what], 0.99) / _percentile(latencies["calm"][what], 0.99) - 1, 2)
            for what in ("read", "post")
        },
    }  # fmt: skip


def _percentile(found: list[float], share: float) -> float:
    return sorted(found)[min(int(len(found) * share), len(found) - 1)]


def _phase(
    found: Service, ids: list[str], seconds: float, *, flood: bool
) -> tuple[dict[str, Measured], tuple[float, dict[int, int]] | None]:
    if not flood:
        return _served(found, ids, seconds), None
    spawn = multiprocessing.get_context("spawn")
    queue: Any = spawn.Queue()
    other = spawn.Process(target=_refused, args=(found.port, found.tokens["kemenpanrb"], seconds + 3, queue))
    other.start()
    time.sleep(2)
    served, told = _served(found, ids, seconds), queue.get()
    other.join()
    return served, told


def _served(found: Service, ids: list[str], seconds: float) -> dict[str, Measured]:
    """Fifty reads and fifty posts a second, evenly."""
    mine = {"Authorization": f"Bearer {found.tokens['bawaslu']}"}
    reads = (load.request("GET", f"/v1/cases/{case}", mine) for case in itertools.cycle(ids))
    posts = (raw for raw, _ in _posts(found, ids, None))

    async def both() -> dict[str, Measured]:
        one, two = await asyncio.gather(
            _evenly(found.port, reads, 50, seconds), _evenly(found.port, posts, 50, seconds)
        )
        return {"read": one, "post": two}

    return uvloop.run(both())


async def _evenly(port: int, requests: Iterator[bytes], rate: float, seconds: float) -> Measured:
    """At a steady pace over four connections: the latency counts from the moment a request was due."""
    measured, begun = Measured(seconds), time.perf_counter()
    turn = itertools.count()

    async def connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (due := begun + next(turn) / rate) < begun + seconds and (raw := next(requests, None)) is not None:
            await asyncio.sleep(max(due - time.perf_counter(), 0))
            writer.write(raw)
            status, _ = await load.answer(reader)
            measured.latencies.append((time.perf_counter() - due) * 1000)
            measured.statuses[status] = measured.statuses.get(status, 0) + 1
        writer.close()

    await asyncio.gather(*(connection() for _ in range(4)))
    return measured


def _refused(port: int, token: str, seconds: float, queue: Any) -> None:
    """In a process of its own."""
    raw = load.request("GET", "/v1/me", {"Authorization": f"Bearer {token}"})
    done = uvloop.run(_evenly(port, itertools.repeat(raw), FLOOD, seconds))
    queue.put((done.statuses.get(429, 0) / seconds, done.statuses))
