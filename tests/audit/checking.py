"""The auditor's view of a test house: `sbt verify --db`, with the keys that the house's operator and witnesses would hand over."""

import time
from pathlib import Path

from app.audit.database import verify_database
from app.audit.log_rows import Trust
from app.database import embedded, roles
from app.ledger.note import VerifierKey
from app.ledger.origin import LOGS
from app.ledger.signer import Signer
from app.verifier.report import VerificationReport
from tests.support.house import House


def trust(keys: Path, witnesses: tuple[VerifierKey, ...] = ()) -> Trust:
    signers = {log: Signer(keys, log, make=False) for log in LOGS}
    signed = {log: signer.last for log, signer in signers.items()}
    return Trust({log: s.verifier for log, s in signers.items()}, witnesses, len(witnesses), {}, signed)


def url(api: House) -> str:
    return roles.plain(api.server.url(embedded.SUPERUSER, api.server.password, roles.DATABASE))


def settle(api: House) -> None:
    """Until nothing waits for its index or its signature."""
    for _ in range(1000):
        waiting = api.superuser(
            "SELECT 1 FROM pending UNION ALL SELECT 1 FROM log l"
            " WHERE l.size > (SELECT coalesce(max(size), -1) FROM published p WHERE p.log = l.name)"
        )
        if not waiting:
            return
        time.sleep(0.02)
    raise AssertionError("the sequencer does not come after")


def audit(api: House) -> VerificationReport:
    settle(api)
    keys = api.folder / "var" / "keys"
    return verify_database(url(api), trust(keys), keys)
