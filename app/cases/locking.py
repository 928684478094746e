"""First of a write's two statements: takes the key, finds a replay, locks the case, in one round trip.
It also reads everything that decides.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol
from uuid import UUID

from app import clock
from app.access.caller import Caller
from app.access.signatures.signed import VerifiedSignature
from app.cases.case import Case
from app.cases.if_match import SERVICE_TYPES, IfMatch
from app.cases.refusals import IfMatchRequired
from app.cases.visibility import VISIBLE, seen_by
from app.database.sessions import Session
from app.database.statements import Row, Statement
from app.errors import (
    IdempotencyKeyReused,
    LedgerQuarantined,
    NotFound,
    RequestInProgress,
    SignatureInvalid,
    StaleVersion,
)
from app.ledger.canonical import read_leaf
from app.ledger.parts import derive, expand
from app.vault.keys import VaultKeys
from app.vault.seal import REPORTER, SUBJECT, OpenKey, open_key

# CASE, not coalesce: row-level security treats coalesce as leaky.
# PostgreSQL would then read every key instead of using the index.
KEYS_CASE_ID = "(CASE WHEN r.case_id IS NULL THEN CAST(:case_id AS uuid) ELSE r.case_id END)"
KEYS = "(SELECT jsonb_agg(to_jsonb(d)) FROM data_key d WHERE d.case_id = {}) AS keys"
FOUND_BY = (
    "(SELECT jsonb_agg(jsonb_build_object('epoch', b.epoch, 'digest', encode(b.digest, 'hex'))) FROM blind_index b"
    " WHERE b.case_id = c.id AND b.kind NOT IN ('name', 'whole')) AS found_by"
)
GUARD_COLUMNS = (
    "(SELECT max(epoch) FROM key_epoch) AS epoch,"
    " EXISTS (SELECT 1 FROM log WHERE quarantined IS NOT NULL) AS quarantined,"
    " nonce_used(:signer, :nonce) AS nonce_used"
)


class WriteGuardRow(Protocol):
    """What both statements read besides the case.
    `epoch`, `keys`: the newest key epoch, and the wrapped data keys of the case.
    `got`: this transaction holds the lock of the key.
    `fingerprint`, `replay_leaf`: of the earlier request, if there was one.
    """

    got: bool
    fingerprint: bytes | None
    replay_leaf: bytes
    keys: list[dict[str, Any]] | None
    epoch: int
    quarantined: bool
    nonce_used: bool


class CaseToLock(WriteGuardRow, Row, Protocol):
    """The row of LOCK; it has all columns of `cases` too.
    They are null where the caller sees no such case.
    """

    id: UUID | None
    version: int
    snapshot_version: int
    found_by: Sequence[Mapping[str, Any]] | None


# pg_try_advisory_xact_lock comes first, so that a duplicate of this request does not wait for the lock of the case.
# The case row comes in its newest version (FOR UPDATE waits), everything else from the statement's snapshot.
# `snapshot_version` shows whether the snapshot is older than the row.
LOCK_CASE = Statement[CaseToLock](
    f"""
        WITH k AS MATERIALIZED (SELECT pg_try_advisory_xact_lock(CAST(:lock AS bigint)) AS got)
        SELECT k.got, i.fingerprint, r.leaf AS replay_leaf, c.*,
          (SELECT s.version FROM cases s WHERE s.id = c.id) AS snapshot_version,
          (SELECT jsonb_agg(to_jsonb(st) ORDER BY st.stage, st.round) FROM stage st WHERE st.case_id = c.id) AS stages,
          {FOUND_BY}, {KEYS.format(KEYS_CASE_ID)}, {GUARD_COLUMNS}
        FROM k
        LEFT JOIN idempotency i ON i.client_id = :client AND i.key = :key
        LEFT JOIN entry r ON r.id = i.entry_id
        LEFT JOIN LATERAL (
          SELECT * FROM cases c WHERE k.got AND c.id = :case_id AND {VISIBLE} FOR UPDATE
        ) c ON true
        """
)
# From the newest entry down to the first that is not the service's own: as many rows as the service has added since.
DECIDED = Statement(
    "SELECT seq FROM entry WHERE case_id = :case_id AND NOT (type = ANY(:service_types)) ORDER BY seq DESC LIMIT 1"
)
GUARD_OPENING = Statement[WriteGuardRow](
    f"""
        WITH k AS MATERIALIZED (SELECT pg_try_advisory_xact_lock(CAST(:lock AS bigint)) AS got)
        SELECT k.got, i.fingerprint, r.leaf AS replay_leaf,
          {KEYS.format("r.case_id")}, {GUARD_COLUMNS}
        FROM k
        LEFT JOIN idempotency i ON i.client_id = :client AND i.key = :key
        LEFT JOIN entry r ON r.id = i.entry_id
        """
)


@dataclass(frozen=True, slots=True)
class WriteIdentity:
    """What identifies a write: the client's key, and what was asked of which address."""

    client: str
    key: UUID
    asked: bytes

    def fingerprint(self, subject: OpenKey) -> bytes:
        """A keyed hash of the request; its key derives from the subject's data key.
        After the person is erased, nobody can guess the request from it.
        """
        return expand(derive(subject.key, b"sbt/v1/fingerprint"), self.asked)


class EarlierLeaf(bytes):
    """The leaf of the entry that the same request created before."""


@dataclass(frozen=True, slots=True)
class LockedCase:
    """A case that nobody else changes until the commit.
    `keys`: data keys of its persons.
    `epoch`: the key epoch under which new data keys are wrapped.
    `found_by`: the rows of the blind index by which the case is found.
    `at`: the instant of the entry, never before that of the entry it follows.
    `decided_version`: the version that people last decided on; those after it are the service's own entries.
    """

    case: Case
    keys: dict[str, OpenKey]
    epoch: int
    found_by: Sequence[Mapping[str, Any]]
    at: datetime
    decided_version: int

    @property
    def today(self) -> date:
        """The legal day of the entry that will be appended."""
        return clock.day_of(self.at)


@dataclass(frozen=True, slots=True)
class NewCaseGuard:
    """For a case about to be opened.
    `epoch`: its keys are wrapped under it. `at`: the instant of its entry.
    """

    epoch: int
    at: datetime


async def lock_case(
    session: Session,
    vault: VaultKeys,
    caller: Caller,
    case_id: UUID,
    request: WriteIdentity,
    signed: VerifiedSignature | None,
    begin_comparison: Callable[[], None],
    if_match: IfMatch | None,
) -> LockedCase | EarlierLeaf:
    """Locks the case, or finds the replay; 404 if the caller sees no such case."""
    values = _lock_parameters(request, signed) | {"case_id": case_id}
    row = (await session.run(LOCK_CASE, **values, **seen_by(caller)))[0]
    # the snapshot is older than the locked row: read again; the lock now keeps others out
    if row.snapshot_version != row.version:
        row = (await session.run(LOCK_CASE, **values, **seen_by(caller)))[0]
    _require_may_proceed(row)
    keys = _open_data_keys(row, vault)
    if (leaf := _replay(row, request, keys, begin_comparison)) is not None:
        return leaf
    if row.id is None:
        raise NotFound
    case = Case.of(row)
    return LockedCase(
        case=case,
        keys=keys,
        epoch=row.epoch,
        found_by=row.found_by or (),
        at=max(clock.now(), case.updated_at),
        decided_version=await _decided_version(session, case, if_match),
    )


async def guard_opening(
    session: Session,
    vault: VaultKeys,
    request: WriteIdentity,
    signed: VerifiedSignature | None,
    begin_comparison: Callable[[], None],
) -> NewCaseGuard | EarlierLeaf:
    """Takes the key, or finds the replay, before a case is opened."""
    values = _lock_parameters(request, signed)
    row = (await session.run(GUARD_OPENING, **values))[0]
    _require_may_proceed(row)
    leaf = _replay(row, request, _open_data_keys(row, vault), begin_comparison)
    return NewCaseGuard(row.epoch, clock.now()) if leaf is None else leaf


def _lock_parameters(request: WriteIdentity, signed: VerifiedSignature | None) -> dict[str, Any]:
    """The parameters of both statements.
    A used nonce is refused first.
    Otherwise whoever replays a captured request could learn from the refusal whether a name matches.
    """
    fresh = signed if signed is not None and not signed.spent else None
    nonce = {"signer": fresh.kid if fresh else "", "nonce": fresh.nonce if fresh else ""}
    return {"lock": _lock_number(request), "client": request.client, "key": request.key, **nonce}


def _require_may_proceed(row: WriteGuardRow) -> None:
    """Refuses in a quarantine, while the same request runs, and for a nonce that was used."""
    # the trigger on entry would refuse it too; this check comes before any use of keys that may not fit
    if row.quarantined:
        raise LedgerQuarantined
    if not row.got:
        raise RequestInProgress
    if row.nonce_used:
        raise SignatureInvalid


def _open_data_keys(row: WriteGuardRow, vault: VaultKeys) -> dict[str, OpenKey]:
    """The data keys of the case's persons, without the reporter's.
    Nothing is sealed for a reporter after the opening.
    """
    vault.follow(row.epoch or 0)
    wrapped = [key for key in row.keys or () if key["person"] != REPORTER]
    return {key["person"]: open_key(vault, {**key, "wrapped": key["wrapped"][2:]}) for key in wrapped}


def _replay(
    row: WriteGuardRow, request: WriteIdentity, keys: Mapping[str, OpenKey], begin_comparison: Callable[[], None]
) -> EarlierLeaf | None:
    """The leaf that this request created before; 422 if the key was used for another request."""
    if row.fingerprint is None:
        return None
    # The request names every person of its entry. Once one of them is erased nothing may be compared with it:
    # the key then counts as used for another request, whatever is sent.
    sealed_with = {part["key"] for part in read_leaf(row.replay_leaf)["parts"]}
    if SUBJECT not in keys or not sealed_with <= {key["id"] for key in row.keys or ()}:
        raise IdempotencyKeyReused
    begin_comparison()
    if row.fingerprint != request.fingerprint(keys[SUBJECT]):
        raise IdempotencyKeyReused
    return EarlierLeaf(row.replay_leaf)


def _lock_number(request: WriteIdentity) -> int:
    """A lock number: 63 bits of a hash of client and key.
    Different keys get different numbers, save for hash collisions.
    """
    digest = hashlib.sha256(f"{request.client} {request.key}".encode()).digest()
    return int.from_bytes(digest[:8]) >> 1


def require_version(locked: LockedCase, if_match: IfMatch | None) -> None:
    """428 without If-Match; 412 if people have decided something since the version that was read."""
    version = locked.case.version
    if if_match is None:
        raise IfMatchRequired
    if not if_match.allows(locked.decided_version, version):
        raise StaleVersion(headers={"ETag": etag(version)})


async def _decided_version(session: Session, case: Case, if_match: IfMatch | None) -> int:
    """The version after the last entry of a party.
    What the service has added since makes no If-Match stale.
    The database is asked only where the caller has not read the newest version.
    """
    if if_match is None or if_match.allows(case.version, case.version):
        return case.version
    decided: int = await session.value(DECIDED, case_id=case.id, service_types=sorted(SERVICE_TYPES))
    return decided


def etag(version: int) -> str:
    return f'"{version}"'
