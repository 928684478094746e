"""Writes the first entries of a ledger: parties, mandates, first operators, and the environment.

Parties and mandates come from the catalogue.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from types import MappingProxyType
from typing import Any

from app import clock
from app.access.registers.registration import (
    OFF,
    OPERATOR,
    OPTIONAL,
    REQUIRED,
    Author,
    Facts,
    Organisation,
    apply_change,
    mandate_facts,
    registers_hash,
)
from app.database.batches import StatementBatch
from app.database.sessions import Session
from app.database.statements import Statement
from app.ledger.append import append
from app.procedure.loading import rulebook
from app.procedure.roles import Mandate

PRODUCTION, SANDBOX = "production", "sandbox"
SIGNS = {"agency", "ppk", "operator"}  # kinds of parties that post stages or keep the registers
# Version 2: operators sign their acts, and parties consent to their keys. Version 3: case numbers have no gaps.
# The verifier requires it from the first entry on.
RULES = 3
# `sbt db migrate` writes these types before the founding; an entry of another type was written by somebody else.
OURS = ("calendar.loaded", "procedure.loaded", "schema.registered", "key.epoch_opened")
CLOCK = "clock.started"  # the clock of a sandbox alone is started
COUNT = Statement("SELECT count(*) FROM entry WHERE log = 'cases' AND type <> ALL(CAST(:ours AS text[]))")
# An entry that another transaction has written and not committed yet cannot be seen, and may stand before the founding in the log.
WRITES = Statement(
    "SELECT 1 FROM pg_locks WHERE relation = 'entry'::regclass AND mode = 'RowExclusiveLock' AND pid <> pg_backend_pid() LIMIT 1"
)
ANY = Statement("SELECT 1 FROM party LIMIT 1")


class FoundedError(Exception):
    """A ledger is founded only once."""


async def require_empty(session: Session, environment: str) -> None:
    if await session.value(ANY) or await session.value(COUNT, ours=_ours(environment)):
        raise FoundedError("the registers of this ledger are not empty, or somebody wrote to its log")


def _ours(environment: str) -> list[str]:
    return [*OURS, *([CLOCK] if environment == SANDBOX else [])]


async def require_alone(session: Session, environment: str, count: int) -> None:
    """Refuses where somebody else wrote to the log meanwhile, or writes to it now.
    What is written after this stands behind the founding: entries are placed in the order in which they came.
    `count`: of the entries that the founding itself wrote.
    """
    written = await session.value(COUNT, ours=_ours(environment))
    if written != count or (environment == PRODUCTION and await session.value(WRITES)):
        raise FoundedError("somebody else writes to this ledger: stop every other session of its database first")


async def found_ledger(
    session: Session,
    environment: str,
    operators: Sequence[tuple[str, Sequence[Mapping[str, Any]]]],
    anchors: Mapping[str, str] = MappingProxyType({}),
    public_url: str | None = None,
) -> None:
    """Founds a ledger.
    `operators`: client id and the facts of its keys.
    `anchors`: party to the fingerprint of its first signing key.
    `public_url`: the one address that signatures may name, so that a signature for another service is not valid here.
    After the last entry, giving power takes two operators, and a party consents to its own keys.
    The last entry names all before it by their hash: whatever else stands there was written by somebody else.
    """
    await require_empty(session, environment)
    entries = [*_catalogue(environment), *_operators(operators)]
    entries += [("party.anchored", {"party": party, "key": kid}) for party, kid in anchors.items()]
    for kind, facts in entries:
        await apply_change(session, kind, facts, Author(OPERATOR))
    batch = StatementBatch()
    founding_facts = {"environment": environment, "rules": RULES, "registers": registers_hash(entries)}
    founding_facts |= {"public_url": public_url} if public_url else {}
    append(batch, type_="ledger.founded", party=OPERATOR, received_at=clock.now(), facts=founding_facts)
    await batch.send(session)
    await require_alone(session, environment, len(entries) + 1)


def _catalogue(environment: str) -> Iterator[tuple[str, Facts]]:
    """The parties and mandates of the catalogue, as entries."""
    for row in rulebook().catalogue.codes("parties").values():
        yield "party.registered", _organisation(row, environment).facts()
    for row in rulebook().catalogue.mandates:
        until = date.fromisoformat(str(row["to"])) if row["to"] else None
        mandate = Mandate(str(row["role"]), str(row["party"]), date.fromisoformat(str(row["from"])), until)
        yield "mandate.granted", mandate_facts(mandate)


def _operators(operators: Sequence[tuple[str, Sequence[Mapping[str, Any]]]]) -> Iterator[tuple[str, Facts]]:
    """The first operators' clients, each followed by its keys."""
    for client, keys in operators:
        yield "client.registered", {"client": client, "party": OPERATOR, "scopes": ["admin:write"]}
        yield from (("key.registered", key) for key in keys)


def _organisation(row: Mapping[str, Any], environment: str) -> Organisation:
    texts = {name: str(row[name]) for name in ("code", "kind", "name_id", "name_en")}
    employer = row.get("bkn_kode_cepat")
    policy = OPTIONAL if environment == SANDBOX else REQUIRED if row["kind"] in SIGNS else OFF
    return Organisation(**texts, agency_code=str(employer) if employer else None, signatures=policy)
