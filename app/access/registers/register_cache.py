"""Caches clients, parties, keys and mandates in the process; reads them again every two seconds.

Every request needs them.
A suspended client or party and a revoked token stop working within that time in every process (at most 5 s are allowed).
"""

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Protocol

from app import clock
from app.database.sessions import Database, Session
from app.database.statements import Row, Statement
from app.procedure.code_lists import AddedCodes, CodeRow
from app.procedure.roles import Mandate

FRESH_SECONDS = 2.0
HASTE_SECONDS = 0.2
OLDEST_SECONDS = 4.0  # an older snapshot is never used, whatever prevents a new reading
PARTIES = Statement("SELECT code, kind, agency_code, signatures, suspended, fingerprint FROM party")
CLIENTS = Statement("SELECT id, party, secret_hash, scopes, suspended FROM client")
KEYS = Statement("SELECT kid, client_id, purpose, x, y, expires_at, suspended FROM client_key")
MANDATES = Statement("SELECT role, party, valid_from, valid_to FROM mandate")
REVOKED = Statement("SELECT jti FROM revoked_token WHERE expires_at > now()")
LAST_MOVE = Statement('SELECT ahead FROM clock_move ORDER BY "to" DESC LIMIT 1')


class AddedRow(Row, Protocol):
    """A code that operators added to a list."""

    list: str
    code: str
    valid_from: date
    valid_to: date | None


ADDED = Statement[AddedRow](
    "SELECT list, code, name_id, name_en, level, valid_from, valid_to, source FROM added_code ORDER BY code"
)


@dataclass(frozen=True, slots=True)
class KnownParty:
    code: str
    kind: str
    agency_code: str | None
    signatures: str
    suspended: bool
    fingerprint: str | None = None


@dataclass(frozen=True, slots=True)
class KnownClient:
    id: str
    party: str
    secret_hash: bytes | None
    scopes: frozenset[str]
    suspended: bool


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A public key of a client.
    `purpose`: auth or sign.
    """

    kid: str
    client_id: str
    purpose: str
    x: str
    y: str
    expires_at: datetime
    suspended: bool

    def good_for(self, purpose: str) -> bool:
        return self.purpose == purpose and not self.suspended and clock.real() < self.expires_at


@dataclass(frozen=True, slots=True)
class RegisterSnapshot:
    """One reading of all registers.
    `holders`: role to party, by the mandates in force on `today`.
    """

    parties: Mapping[str, KnownParty]
    clients: Mapping[str, KnownClient]
    keys: Mapping[str, KnownKey]
    mandates: tuple[Mandate, ...]
    revoked: frozenset[str]
    ppk_employers: frozenset[str]

    today: date
    holders: Mapping[str, str]
    added: AddedCodes = field(default_factory=dict)


class RegisterCache:
    """Holds the newest register snapshot; it is read again after FRESH_SECONDS."""

    def __init__(self, database: Database, *, sandbox: bool) -> None:
        """`sandbox`: its clock may be moved.
        In production no row moves it.
        """
        self._database, self._sandbox = database, sandbox
        self._read_at = self._as_of = float("-inf")
        self._snapshot: RegisterSnapshot | None = None
        self._reading: asyncio.Future[RegisterSnapshot] | None = None
        self._reading_of = 0  # the newest that was kept when it began
        self._begun = self._newest = 0  # numbers of readings: the last begun, the newest kept

    async def current(self) -> RegisterSnapshot:
        snapshot, now = self._snapshot, time.monotonic()
        too_old = snapshot is None or now - self._as_of > OLDEST_SECONDS or snapshot.today != clock.today()
        if too_old or now - self._read_at > FRESH_SECONDS:
            self._read_at = now  # one reading at a time; other requests use the old snapshot, unless it is too old
            try:
                snapshot = await self._read_together()
            except BaseException:
                self._read_at = float("-inf")
                raise
        assert snapshot is not None
        return snapshot

    async def newer(self, outdated: RegisterSnapshot) -> RegisterSnapshot:
        """Reads the registers again for a request that names something unknown.
        Another process may have registered it just now.
        Returns `outdated` itself if it was read a moment ago: strangers cause at most five readings a second.
        """
        if self._snapshot is outdated and time.monotonic() - self._read_at > HASTE_SECONDS:
            self._read_at = float("-inf")
        return await self.current()

    async def _read_together(self) -> RegisterSnapshot:
        """Joins the reading that has begun since the last change, if there is one.
        So many requests cost one reading.
        """
        if self._reading is None or not self._may_join(self._reading):
            self._reading = asyncio.ensure_future(self._read_anew())
            self._reading_of = self._newest
        return await asyncio.shield(self._reading)

    def _may_join(self, reading: asyncio.Future[RegisterSnapshot]) -> bool:
        """Whether the reading goes on in this loop, and nothing was changed or kept since it began."""
        here = reading.get_loop() is asyncio.get_running_loop()
        return here and not reading.done() and self._reading_of == self._newest

    async def _read_anew(self) -> RegisterSnapshot:
        self._begun += 1
        generation, begun = self._begun, time.monotonic()
        async with self._database.reading() as session, session.snapshot():
            further, registers = await read_registers(session)
        if generation > self._newest:  # no later reading and no change came first: otherwise time would run back
            self._newest, self._snapshot, self._as_of = generation, registers, begun
            clock.shift(further if self._sandbox else timedelta(0))
        return self._snapshot or await self._read_anew()

    def forget(self) -> None:
        """Drops the snapshot after a change in this process; the next request reads the registers again.
        A reading that is in progress now is not kept.
        """
        self._newest, self._snapshot = self._begun, None


async def read_registers(session: Session) -> tuple[timedelta, RegisterSnapshot]:
    """Returns how far the ledger's time is ahead, and the registers as they are on that day."""
    parties = [KnownParty(*r) for r in await session.run(PARTIES)]
    keys = [KnownKey(*r) for r in await session.run(KEYS)]
    clients = [
        KnownClient(r.id, r.party, r.secret_hash, frozenset(r.scopes), r.suspended) for r in await session.run(CLIENTS)
    ]
    mandates = [Mandate(r.role, r.party, r.valid_from, r.valid_to) for r in await session.run(MANDATES)]
    revoked = frozenset(r.jti for r in await session.run(REVOKED))
    further = await ahead(session)
    today = clock.day_of(clock.real() + further)
    with_client = {c.party for c in clients if not c.suspended}
    employers = {p.agency_code for p in parties if p.kind == "ppk" and not p.suspended and p.code in with_client}
    return further, RegisterSnapshot(
        {p.code: p for p in parties},
        {c.id: c for c in clients},
        {k.kid: k for k in keys},
        tuple(mandates),
        revoked,
        frozenset(filter(None, employers)),
        today,
        {m.role: m.party for m in mandates if m.on(today)},
        added_codes(await session.run(ADDED)),
    )


def added_codes(rows: Iterable[AddedRow]) -> AddedCodes:
    """The codes that operators added, by list, each as a row of the program's own lists."""
    added: dict[str, dict[str, CodeRow]] = {}
    for row in rows:
        days = {name: day.isoformat() if (day := getattr(row, name)) else None for name in ("valid_from", "valid_to")}
        added.setdefault(row.list, {})[row.code] = {**row._asdict(), **days}
    return added


async def ahead(session: Session) -> timedelta:
    """Returns how far the sandbox's time is ahead of the machine's time, by its last move."""
    return await session.value(LAST_MOVE) or timedelta(0)
