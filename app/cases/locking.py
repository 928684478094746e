"""The first of a post's two statements: take the key, look for a replay, lock the case and read all that decides, in one round trip."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from app import clock
from app.access.caller import Caller
from app.access.signatures.signed import Signed
from app.cases.case import Case
from app.cases.visibility import VISIBLE, seen_by
from app.database.sessions import Session, Statement
from app.errors import (
    IdempotencyKeyReused,
    IfMatchRequired,
    LedgerQuarantined,
    NotFound,
    RequestInProgress,
    SignatureInvalid,
    StaleVersion,
)
from app.ledger.parts import derive, expand
from app.vault.keys import VaultKeys
from app.vault.seal import REPORTER, SUBJECT, OpenKey, open_key

# not coalesce: row-level security takes that for leaky, and would read every key there is instead of asking the index
OF_WHICH = "(CASE WHEN r.case_id IS NULL THEN CAST(:case_id AS uuid) ELSE r.case_id END)"
KEYS = "(SELECT jsonb_agg(to_jsonb(d)) FROM data_key d WHERE d.case_id = {}) AS keys"
FOUND_BY = (
    "(SELECT jsonb_agg(jsonb_build_object('epoch', b.epoch, 'digest', encode(b.digest, 'hex'))) FROM blind_index b"
    " WHERE b.case_id = c.id AND b.kind <> 'name') AS found_by"
)
EPOCH = (
    "(SELECT max(epoch) FROM key_epoch) AS epoch,"
    " EXISTS (SELECT 1 FROM log WHERE quarantined IS NOT NULL) AS quarantined,"
    " EXISTS (SELECT 1 FROM used_once u WHERE u.kid = :signer AND u.value = :nonce) AS nonce_used"
)

# pg_try_advisory_xact_lock first, so that a twin of this request does not queue on the case. The case row comes in its
# newest version (FOR UPDATE waits), everything else from the statement's snapshot: `snapshot_version` tells when the
# snapshot is older than the row.
LOCK = Statement(
    f"""
        WITH k AS MATERIALIZED (SELECT pg_try_advisory_xact_lock(CAST(:lock AS bigint)) AS got)
        SELECT k.got, i.fingerprint, r.leaf AS replay_leaf, c.*,
          (SELECT s.version FROM cases s WHERE s.id = c.id) AS snapshot_version,
          (SELECT jsonb_agg(to_jsonb(st) ORDER BY st.stage, st.round) FROM stage st WHERE st.case_id = c.id) AS stages,
          {FOUND_BY}, {KEYS.format(OF_WHICH)}, {EPOCH}
        FROM k
        LEFT JOIN idempotency i ON i.client_id = :client AND i.key = :key
        LEFT JOIN entry r ON r.id = i.entry_id
        LEFT JOIN LATERAL (
          SELECT * FROM cases c WHERE k.got AND c.id = :case_id AND {VISIBLE} FOR UPDATE
        ) c ON true
        """
)
NEXT = Statement(
    f"""
        WITH k AS MATERIALIZED (SELECT pg_try_advisory_xact_lock(CAST(:lock AS bigint)) AS got)
        SELECT k.got, i.fingerprint, r.leaf AS replay_leaf, nextval('case_number') AS serial,
          {KEYS.format("r.case_id")}, {EPOCH}
        FROM k
        LEFT JOIN idempotency i ON i.client_id = :client AND i.key = :key
        LEFT JOIN entry r ON r.id = i.entry_id
        """
)


@dataclass(frozen=True, slots=True)
class Request:
    """What makes a write the same write: the client's key, and what was asked of which address."""

    client: str
    key: UUID
    asked: bytes

    def fingerprint(self, subject: OpenKey) -> bytes:
        """Keyed from the subject's data key: when the person is erased, nothing can be guessed from it any more."""
        return expand(derive(subject.key, b"sbt/v1/fingerprint"), self.asked)


class Replay(bytes):
    """The leaf of an entry that the same request led to before."""


@dataclass(frozen=True, slots=True)
class LockedCase:
    """A case that nobody else moves until the commit. `keys`: of its persons; `epoch`: under which new keys are wrapped;
    `found_by`: the rows of the blind index by which the case is found; `at`: the instant of the entry, never before the one it follows.
    """

    case: Case
    keys: dict[str, OpenKey]
    epoch: int
    found_by: Sequence[Mapping[str, Any]]
    at: datetime

    @property
    def today(self) -> date:
        """The legal day of the entry that is about to be made."""
        return clock.day_of(self.at)


@dataclass(frozen=True, slots=True)
class NextNumber:
    """For a case about to be opened: its serial number, and the epoch under which its keys are wrapped."""

    serial: int
    epoch: int
    at: datetime


async def lock_case(
    session: Session, vault: VaultKeys, caller: Caller, case_id: UUID, request: Request, signed: Signed | None
) -> LockedCase | Replay:
    """404 where there is no such case that the caller sees."""
    values = _asked(request, signed) | {"case_id": case_id}
    row = (await session.run(LOCK, **values, **seen_by(caller)))[0]
    if row.snapshot_version != row.version:  # someone committed meanwhile, perhaps this request's twin: now nobody can
        row = (await session.run(LOCK, **values, **seen_by(caller)))[0]
    keys = _keys(row, vault)
    if (leaf := _replay(row, request, keys)) is not None:
        return leaf
    if row.id is None:
        raise NotFound
    case = Case.of(row)
    return LockedCase(case, keys, row.epoch, row.found_by or (), max(clock.now(), case.updated_at))


async def next_number(
    session: Session, vault: VaultKeys, request: Request, signed: Signed | None
) -> NextNumber | Replay:
    values = _asked(request, signed)
    row = (await session.run(NEXT, **values))[0]
    leaf = _replay(row, request, _keys(row, vault))
    return NextNumber(row.serial, row.epoch, clock.now()) if leaf is None else leaf


def _asked(request: Request, signed: Signed | None) -> dict[str, Any]:
    """A nonce that was used before is refused first: else a captured signature would ask for nothing what a text may not name."""
    fresh = signed if signed is not None and not signed.spent else None
    nonce = {"signer": fresh.kid if fresh else "", "nonce": fresh.nonce if fresh else ""}
    return {"lock": _lock_number(request), "client": request.client, "key": request.key, **nonce}


def _keys(row: Any, vault: VaultKeys) -> dict[str, OpenKey]:
    """The data keys of the persons; none of a reporter: nothing is sealed for a reporter after the opening."""
    if row.quarantined:  # the trigger on entry would refuse it too; here nothing is tried with keys that may not fit
        raise LedgerQuarantined
    if not row.got:
        raise RequestInProgress
    if row.nonce_used:
        raise SignatureInvalid
    vault.follow(row.epoch or 0)
    wrapped = [key for key in row.keys or () if key["person"] != REPORTER]
    return {key["person"]: open_key(vault, {**key, "wrapped": key["wrapped"][2:]}) for key in wrapped}


def _replay(row: Any, request: Request, keys: Mapping[str, OpenKey]) -> Replay | None:
    """The leaf that this request led to before. 409 where the key was used for something else."""
    if row.fingerprint is None:
        return None
    # of an erased person nothing can be compared: then the key counts as used for something else
    if SUBJECT not in keys or row.fingerprint != request.fingerprint(keys[SUBJECT]):
        raise IdempotencyKeyReused
    return Replay(row.replay_leaf)


def _lock_number(request: Request) -> int:
    """63 bits of a hash: two different keys of a client, or of two, do not meet by design."""
    found = hashlib.sha256(f"{request.client} {request.key}".encode()).digest()
    return int.from_bytes(found[:8]) >> 1


def require_version(case: Case, if_match: str | None) -> None:
    """428 without If-Match, 412 with another than the case's current ETag."""
    if if_match is None:
        raise IfMatchRequired
    if if_match.strip() != etag(case.version):
        raise StaleVersion(headers={"ETag": etag(case.version)})


def etag(version: int) -> str:
    return f'"{version}"'
