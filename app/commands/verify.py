"""`sbt verify`: checks whether history was kept.
It works over HTTP as an outsider, offline from a bundle alone, or inside the database.
"""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated

import httpx
import psycopg
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from app import clock
from app.audit import database as inside
from app.audit.fetching import CannotCheckError
from app.audit.log_rows import Trust
from app.audit.outside import RemoteVerification
from app.audit.snapshot import open_snapshot
from app.audit.trust_store import TrustStore, recall
from app.commands.failures import failure_text
from app.database import connect
from app.database.key_files import KeyFolderError
from app.ledger import origin
from app.ledger.note import COSIGNATURE, ED25519, NoteError, read_vkey
from app.ledger.origin import LOGS
from app.ledger.signer import Signer
from app.ledger.terminal import printable
from app.ledger.witnesses import Policy, read_policy
from app.settings import Settings, load_settings
from app.verifier import bundle as bundles
from app.verifier.report import COULD_NOT, NOT_CHECKED, Tick, VerificationReport, lines

SETTLED, MOST_SETTLED = 0.5, 10.0  # seconds
Vkeys = Annotated[
    list[str] | None,
    typer.Option(help="A verifier key you were told out of band, of a log or of a witness; repeat it."),
]


def verify(
    *,
    url: Annotated[str | None, typer.Option(help="The service, as an outsider sees it.")] = None,
    bundle: Annotated[Path | None, typer.Option(help="A case's bundle, offline.")] = None,
    db: Annotated[
        str | None, typer.Option(help="A PostgreSQL URL, or `local` for this machine's embedded one.")
    ] = None,
    remember: Annotated[Path | None, typer.Option(help="Where to keep keys and checkpoints between two runs.")] = None,
    vkey: Vkeys = None,
    token: Annotated[
        str | None, typer.Option(envvar="SBT_TOKEN", help="A bearer token: with ledger:verify also the leaves.")
    ] = None,
    party: Annotated[
        str | None,
        typer.Option(help="A party that signs all it writes: what is in its name without its signature is a finding."),
    ] = None,
    quorum: Annotated[
        int | None, typer.Option(min=1, help="How many witnesses must know the checkpoint; not met: exit 2.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="What your token does not show counts as not checked: exit 2.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The whole report as JSON.")] = False,
) -> None:
    """Was history kept? Exit code 0: sound; 1: findings; 2: could not be checked."""
    if sum(way is not None for way in (url, bundle, db)) != 1:
        raise typer.BadParameter("give one of --url, --bundle and --db")
    try:
        memory, policy = recall(remember), _policy(vkey or [], quorum)
        memory.keys |= {key.name.rpartition("/")[2]: key for key in map(read_vkey, vkey or []) if key.kind == ED25519}
        report = _verify(url, bundle, db, memory, policy, token, party, strict=strict)
    except (CannotCheckError, NoteError, KeyFolderError, OSError, ValueError, httpx.InvalidURL, psycopg.Error) as error:
        typer.echo(f"could not check: {failure_text(error) or printable(str(error))}", err=True)
        raise typer.Exit(COULD_NOT) from None
    except Exception as error:  # noqa: BLE001 - what crashes the verifier was not checked, which is not a finding
        typer.echo(f"could not check: {type(error).__name__}", err=True)
        raise typer.Exit(COULD_NOT) from None
    if party is not None:
        report.says["party"] = party
    typer.echo(json.dumps(report.told(), indent=1) if as_json else "\n".join(lines(report)))
    raise typer.Exit(report.exit_code)


def _verify(
    url: str | None,
    bundle: Path | None,
    db: str | None,
    memory: TrustStore,
    policy: Policy,
    token: str | None,
    party: str | None,
    *,
    strict: bool,
) -> VerificationReport:
    """Verify in the way that was asked for."""
    if bundle is not None:
        keys = [*memory.keys.values(), *policy.keys]
        return bundles.check(bundle.read_bytes(), keys, policy.quorum or None)
    settings = load_settings()
    origin.set_origin(settings.log_origin)
    if url is not None:
        return _outside(url, memory, policy, token, party, strict=strict)
    assert db is not None
    return _inside(db, memory, policy, settings, party)


def _policy(options: list[str], quorum: int | None) -> Policy:
    """Return the witnesses of the settings and of --vkey, with the quorum.
    The quorum is the one asked for, else the one of the settings if there are witnesses, else 0.
    """
    settings = load_settings()
    vkeys = [str(key) for key in map(read_vkey, options) if key.kind == COSIGNATURE]
    policy = read_policy(settings.witnesses, settings.witness_quorum)
    fresh = [text for text in vkeys if text not in map(str, policy.keys)]
    keys = read_policy(" ".join([*map(str, policy.keys), *fresh]), settings.witness_quorum).keys
    return Policy(keys, quorum or (settings.witness_quorum if keys else 0))


def _outside(
    url: str, memory: TrustStore, policy: Policy, token: str | None, party: str | None, *, strict: bool
) -> VerificationReport:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with httpx.Client(base_url=url, headers=headers, timeout=30) as client, _bar("entries", None) as advance:
        return RemoteVerification(client, memory, policy.keys, policy.quorum, party, strict=strict).run(tick=advance)


def _inside(db: str, memory: TrustStore, policy: Policy, settings: Settings, party: str | None) -> VerificationReport:
    with connect.database(settings) if db == "local" else nullcontext() as reached:
        url = reached.reader if reached is not None else db
        trust, doubt = _trust(memory, policy, settings, url)
        vault = settings.keys if (settings.keys / "vault").is_dir() else None
        with open_snapshot(url) as seen:
            total = inside.count_entries(seen)
        _wait_until_published(url, trust)
        began = int(clock.real().timestamp())
        with _bar("entries", 2 * total) as advance:
            report = inside.verify_database(url, trust, vault, lambda _step, n: advance(n), party)
        if doubt and not report.findings:
            report.skip("notes", NOT_CHECKED, "the keys were taken from the database itself: give --vkey")
        if report.may_be_remembered:
            memory.keys |= trust.keys
            memory.notes |= trust.newest
            memory.looked |= dict.fromkeys(trust.newest, began)
            memory.keep()
        return report


def _wait_until_published(url: str, trust: Trust) -> None:
    """Wait until what the signer remembers is published: a moment later, or under load some seconds."""
    time.sleep(SETTLED)
    waits_until = time.monotonic() + MOST_SETTLED
    while time.monotonic() < waits_until:
        with open_snapshot(url) as seen:
            newest = {
                row.log: row.size for row in seen.rows("SELECT log, max(size) AS size FROM published GROUP BY log")
            }
        if all(newest.get(log, 0) >= signed.size for log, signed in trust.signed.items()):
            return
        time.sleep(SETTLED)


def _trust(memory: TrustStore, policy: Policy, settings: Settings, url: str) -> tuple[Trust, bool]:
    """Return the verifier keys, and whether they are in doubt.
    They are those given or remembered, else those of the key folder, else those of the database: then they are in doubt.
    """
    signers: dict[str, Signer] = {}
    for log in LOGS:
        if (settings.keys / "log" / f"{log}.json").exists():
            signers[log] = Signer(settings.keys, log, make=False)
    keys = {log: signer.verifier for log, signer in signers.items()} | memory.keys
    doubt = not keys.keys() >= set(LOGS)
    if doubt:
        with open_snapshot(url) as seen:
            keys = {row.name: read_vkey(row.vkey) for row in seen.rows("SELECT name, vkey FROM log")} | keys
    signed = {log: signer.last for log, signer in signers.items()}
    looked = {log: memory.seen_before(log, policy.quorum) for log in LOGS}
    return Trust(keys, policy.keys, policy.quorum, memory.checkpoints, signed, looked), doubt


@contextmanager
def _bar(what: str, total: int | None) -> Iterator[Tick]:
    """Show the progress of long work, on a terminal only."""
    console = Console(stderr=True, quiet=not os.isatty(2))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(what, total=total)
        yield lambda n: progress.advance(task, n)
