"""Prepares a sandbox: parties, mandates, and for each party a client with a secret in clients.json.

It can run again without harm.
"""

import json
import os
from datetime import datetime
from pathlib import Path

from app import clock
from app.access.registers.register_cache import ahead
from app.access.registers.registration import OPERATOR, register_client
from app.admin import founding, sandbox_clock
from app.cases import part_schemas
from app.database.sessions import Session
from app.database.statements import Statement
from app.procedure.loading import rulebook
from app.procedure.scopes import scopes_of
from app.reference import calendar, procedures
from app.vault import epochs
from app.vault.keys import VaultKeys

PARTIES = Statement("SELECT code, kind FROM party ORDER BY code")
CLIENTS = Statement("SELECT party FROM client")


async def prepare(session: Session, vault: VaultKeys, folder: Path, *, clock_start: str | None) -> None:
    """Brings an empty or older sandbox to the state where every party can ask for a token."""
    registered = {row.code for row in await session.run(PARTIES)}
    if clock_start and not registered:
        await sandbox_clock.start_clock(session, datetime.fromisoformat(clock_start), by=OPERATOR)
    clock.shift(await ahead(session))
    await load_references(session, vault)
    if not registered:
        await founding.found_ledger(session, founding.SANDBOX, [])
    await _clients(session, folder)


async def load_references(session: Session, vault: VaultKeys) -> None:
    """Loads what every environment needs before the first case, each by an entry.
    Calendar, procedures, schemas of parts, and a key epoch.
    """
    await calendar.ensure_calendar(session, by=OPERATOR)
    await procedures.ensure_procedures(session, by=OPERATOR)
    await part_schemas.ensure_part_schemas(session, by=OPERATOR)
    await epochs.ensure_epoch(session, vault, by=OPERATOR)


async def _clients(session: Session, folder: Path) -> None:
    """Registers a client for every party that has none.
    A secret is written once, to clients.json (mode 0600), before the commit.
    If the power fails in between, the next run finds no client and makes a new one.
    """
    have = {row.party for row in await session.run(CLIENTS)}
    made = []
    for code, kind in await session.run(PARTIES):
        if code in have:
            continue
        scopes = scopes_of(rulebook(), kind)
        client_id = f"{code}-sandbox"
        secret = await register_client(session, client_id, code, scopes, by=OPERATOR)
        made.append({"party": code, "client_id": client_id, "client_secret": secret, "scopes": scopes})
    if made:
        _tell(folder / "clients.json", made)


def _tell(path: Path, made: list[dict[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    before = json.loads(path.read_text()) if path.exists() else []
    fresh = {str(row["party"]) for row in made}
    rows = [row for row in before if row["party"] not in fresh] + made
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(rows, file, indent=1)
    new.rename(path)
