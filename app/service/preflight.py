"""Checks a production service before it serves: its database role, its clients, its keys.
Each fault has its own message; a sandbox may have all of them.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_network
from pathlib import Path

from app.database.sessions import SERVICE, Database, Session
from app.database.statements import Statement
from app.settings import DEFAULT_ORIGIN, Settings

SANDBOX_MARK = "SANDBOX"  # a file beside the keys, if a sandbox made them
ROLE = Statement(
    "SELECT current_user AS name, rolsuper AS super, rolbypassrls AS bypass FROM pg_roles WHERE rolname = current_user"
)
OWNS = Statement(
    "SELECT count(*) FROM pg_class c WHERE pg_has_role(current_user, c.relowner, 'MEMBER')"
    " AND c.relnamespace = 'public'::regnamespace"
)
SECRETS = Statement("SELECT count(*) FROM client WHERE secret_hash IS NOT NULL")
FOUNDED = Statement(
    "SELECT f ->> 'environment' AS environment, f ->> 'public_url' AS public_url FROM (SELECT convert_from(leaf, 'UTF8')::jsonb -> 'facts' AS f"
    " FROM entry WHERE type = 'ledger.founded' ORDER BY received_at LIMIT 1) said"
)
UNSIGNED = Statement(
    "SELECT string_agg(code, ', ') FROM party WHERE kind IN ('agency', 'ppk', 'operator') AND signatures <> 'required'"
)
MOVED = Statement("SELECT count(*) FROM clock_move")
PRODUCTION = "production"


def faults(settings: Settings) -> Iterator[str]:
    """Return the settings that a production service does not start with, each with its remedy."""
    if not settings.issuer_url.startswith("https://"):
        yield "SBT_ISSUER must be the public https:// address of the service: tokens name it."
    if not settings.public.startswith("https://"):
        yield "SBT_PUBLIC_URL must be an https:// address: signatures name it."
    if "*" in settings.origins:
        yield "SBT_CORS_ORIGINS must name its origins: with * any page could ask in its visitor's name."
    if any(_everybody(proxy) for proxy in settings.proxies):
        yield "SBT_TRUSTED_PROXIES must name its proxies: with * or /0 everybody would be believed."
    if settings.debug:
        yield "SBT_DEBUG is for the sandbox only: what it tells helps an attacker too."
    if settings.log_origin == DEFAULT_ORIGIN:
        yield "SBT_LOG_ORIGIN must be a name of your own: the default is every sandbox's."


def _everybody(proxy: str) -> bool:
    with suppress(ValueError):  # the name of a socket is not everybody
        return ip_network(proxy, strict=False).prefixlen == 0
    return proxy == "*"


class UnsafeError(Exception):
    """The service does not start like this; the message says what to do."""


def mark_sandbox(keys: Path) -> None:
    """Mark keys that a sandbox made: they can never be those of a production service."""
    keys.mkdir(parents=True, exist_ok=True, mode=0o700)
    (keys / SANDBOX_MARK).touch(mode=0o600)


def require_safe_settings(settings: Settings) -> None:
    """Check the settings, and whose keys these are, before anything is connected to."""
    if settings.sandbox:
        return
    unsafe = list(faults(settings))
    if unsafe:
        raise UnsafeError("\n".join(unsafe))
    if (settings.keys / SANDBOX_MARK).exists():
        raise UnsafeError(
            f"The keys in {settings.keys} are a sandbox's: make those of this ledger with `sbt keys init`."
        )


async def require_own_sessions(database: Database, setting: str) -> None:
    """Check that a session keeps its guards for as long as it lives.
    They are the timeouts, the read-only mode of readers, and the locks of the background work.
    """
    if not await database.keeps_its_settings():
        raise UnsafeError(
            f"{setting} leads to a pooler that does not keep what a session was opened with: timeouts and the read-only mode of readers are "
            "lost there. Connect to PostgreSQL itself: the service has a pool of its own."
        )


async def require_safe(database: Database, settings: Settings) -> None:
    """Check the sessions and the role that serve, and the registers in the database."""
    await require_own_sessions(database, "SBT_DATABASE_URL")
    if settings.sandbox:
        return
    require_safe_settings(settings)
    async with database.reading(SERVICE) as session:
        await _require_role(session, "SBT_DATABASE_URL", "sbt_app")
        await _require_registers(session, settings)


async def require_safe_worker(database: Database, settings: Settings) -> None:
    """Check the sessions and the role of the worker.
    The role that writes the log is bound like the role that writes facts.
    """
    await require_own_sessions(database, "SBT_WORKER_DATABASE_URL")
    if settings.sandbox:
        return
    async with database.reading() as session:
        await _require_role(session, "SBT_WORKER_DATABASE_URL", "sbt_worker")


async def _require_role(session: Session, setting: str, right: str) -> None:
    """Refuse a superuser, a role that bypasses row-level security, and the tables' owner and its members.
    No guard of the database would bind them.
    """
    (role,) = await session.run(ROLE)
    if role.super or role.bypass:
        raise UnsafeError(f"{setting} connects as {role.name}, which no guard binds: use the role {right}.")
    if await session.value(OWNS):
        raise UnsafeError(f"{setting} connects as {role.name}, which owns the tables: use the role {right}.")


async def _require_registers(session: Session, settings: Settings) -> None:
    if await session.value(SECRETS):
        raise UnsafeError(
            "This database holds clients with sandbox secrets: production starts on a database of its own."
        )
    rows = await session.run(FOUNDED)
    if not rows:
        raise UnsafeError("This ledger was not founded: `sbt found DIR` makes its registers and two operators.")
    founded = rows[0]
    if founded.public_url not in (None, settings.public):
        raise UnsafeError(
            "SBT_PUBLIC_URL is not the address that this ledger was founded with: signatures made for another one stand for nothing here."
        )
    if founded.environment != PRODUCTION:
        raise UnsafeError(
            f"This ledger was founded as a {_plain(founded.environment)}: production starts on a database of its own."
        )
    if await session.value(MOVED):
        raise UnsafeError("The time of this ledger was moved: only a sandbox's may be. Run `sbt verify --db`.")
    unsigned = await session.value(UNSIGNED)
    if unsigned:
        raise UnsafeError(f"In production who posts stages or keeps registers signs it: {_plain(unsigned)} need not.")


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9_, ]", "?", text)
