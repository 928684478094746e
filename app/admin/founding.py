"""Writes the first entries of a ledger: parties, mandates, first operators, and the environment.

Parties and mandates come from the catalogue.
"""

from collections.abc import Mapping, Sequence
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
    Organisation,
    apply_change,
    grant_mandate,
    register_party,
)
from app.database.sessions import Session, StatementBatch
from app.database.statements import Statement
from app.ledger.append import append
from app.procedure.loading import rulebook
from app.procedure.roles import Mandate

PRODUCTION, SANDBOX = "production", "sandbox"
SIGNS = {"agency", "ppk", "operator"}  # kinds of parties that post stages or keep the registers
# Version 2: operators sign their acts, and parties consent to their keys. The verifier requires it from the first entry on.
RULES = 2
# `sbt db migrate` writes these types before the founding; an entry of another type was written by somebody else.
OURS = ("calendar.loaded", "procedure.loaded", "schema.registered", "key.epoch_opened")
CLOCK = "clock.started"  # the clock of a sandbox alone is started
NOT_OURS = Statement("SELECT 1 FROM entry WHERE log = 'cases' AND type <> ALL(CAST(:ours AS text[])) LIMIT 1")
ANY = Statement("SELECT 1 FROM party LIMIT 1")


class FoundedError(Exception):
    """A ledger is founded only once."""


async def require_empty(session: Session, environment: str) -> None:
    ours = [*OURS, *([CLOCK] if environment == SANDBOX else [])]
    if await session.value(ANY) or await session.value(NOT_OURS, ours=ours):
        raise FoundedError("the registers of this ledger are not empty, or somebody wrote to its log")


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
    """
    await require_empty(session, environment)
    for row in rulebook().catalogue.codes("parties").values():
        await register_party(session, _organisation(row, environment), by=OPERATOR)
    for row in rulebook().catalogue.mandates:
        until = date.fromisoformat(str(row["to"])) if row["to"] else None
        mandate = Mandate(str(row["role"]), str(row["party"]), date.fromisoformat(str(row["from"])), until)
        await grant_mandate(session, mandate, by=OPERATOR)
    for client, keys in operators:
        facts = {"client": client, "party": OPERATOR, "scopes": ["admin:write"]}
        await apply_change(session, "client.registered", facts, Author(OPERATOR))
        for key in keys:
            await apply_change(session, "key.registered", key, Author(OPERATOR))
    for party, kid in anchors.items():
        await apply_change(session, "party.anchored", {"party": party, "key": kid}, Author(OPERATOR))
    batch = StatementBatch()
    founding_facts = {"environment": environment, "rules": RULES, **({"public_url": public_url} if public_url else {})}
    append(batch, type_="ledger.founded", party=OPERATOR, received_at=clock.now(), facts=founding_facts)
    await batch.send(session)


def _organisation(row: Mapping[str, Any], environment: str) -> Organisation:
    texts = {name: str(row[name]) for name in ("code", "kind", "name_id", "name_en")}
    employer = row.get("bkn_kode_cepat")
    policy = OPTIONAL if environment == SANDBOX else REQUIRED if row["kind"] in SIGNS else OFF
    return Organisation(**texts, agency_code=str(employer) if employer else None, signatures=policy)
