"""`sbt verify --db`: verifies the whole database against the log, in one snapshot, step by step."""

from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from psycopg import Error, OperationalError

from app import clock
from app.audit import guards, log_rows
from app.audit.accesses import impossible
from app.audit.acts_replay import REPLAY_BY_TYPE
from app.audit.cases_replay import Replay
from app.audit.compare import Expected, table
from app.audit.log_rows import Trust
from app.audit.registers import Registers
from app.audit.sealed import Sealed, StoredPart
from app.audit.signatures import Signatures
from app.audit.snapshot import Snapshot, open_snapshot
from app.ledger import origin
from app.ledger.append import Appended
from app.ledger.merkle import leaf_hash
from app.ledger.origin import ACCESS, CASES, LOGS
from app.procedure.deadlines import Calendar
from app.procedure.loading import rulebook
from app.vault.keys import VaultKeys
from app.verifier.leaves import NOBODY_SIGNS, LeafCheck, check_registration, check_signed
from app.verifier.report import NOT_CHECKED, NOT_YET, VerificationReport
from app.verifier.verify import Witnessed, check_order, check_times

StepTick = Callable[[str, int], None]
ROWS = """
    SELECT o.leaf_index, e.id, e.log, e.type, e.case_id, e.seq, e.party, e.leaf, e.leaf_hash,
      to_char(e.received_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS received_at,
      (SELECT array_agg(p.part ORDER BY p.part) FROM payload p WHERE p.entry_id = e.id) AS parts,
      (SELECT array_agg(p.key_id ORDER BY p.part) FROM payload p WHERE p.entry_id = e.id) AS key_ids,
      (SELECT array_agg(p.ciphertext ORDER BY p.part) FROM payload p WHERE p.entry_id = e.id) AS ciphertexts
    FROM ({}) o JOIN entry e ON e.id = o.entry_id ORDER BY o.leaf_index
"""
PLACED = "SELECT leaf_index, entry_id FROM sequenced WHERE log = %s"
# pending entries come after the sequenced ones, in the order of arrival
WAITING = """
    SELECT row_number() OVER (ORDER BY arrived) - 1 + (SELECT count(*) FROM sequenced s WHERE s.log = p.log) AS leaf_index,
      entry_id FROM pending p WHERE log = %s AND NOT EXISTS (SELECT 1 FROM sequenced s WHERE s.entry_id = p.entry_id)
"""
HEAD_MIGRATION = "0011"


class EntryWithParts(Protocol):
    """A row of ROWS; the three lists have the parts in one order, and are None where there is none."""

    leaf_index: int
    id: UUID
    log: str
    type: str
    case_id: UUID | None
    seq: int | None
    party: str
    leaf: bytes
    leaf_hash: bytes
    received_at: str
    parts: list[str] | None
    key_ids: list[UUID] | None
    ciphertexts: list[bytes] | None


def verify_database(
    url: str, trust: Trust, keys: Path | None, tick: StepTick = lambda _step, _n: None, party: str | None = None
) -> VerificationReport:
    """Verifies a database and returns the report.
    `keys`: the vault's key folder; None: sealed parts stay closed, and steps 10, 12 and 13 are not fully checked.
    `party`: the posts of this party must be signed, whatever its policy was.
    """
    with open_snapshot(url) as seen:
        return verify_snapshot(seen, trust, keys, tick, party)


def verify_snapshot(
    seen: Snapshot, trust: Trust, keys: Path | None, tick: StepTick = lambda _step, _n: None, party: str | None = None
) -> VerificationReport:
    report = VerificationReport()
    try:
        _check_schema(report, seen)
        notes = {log: log_rows.check_log(report, seen, trust, log, lambda n: tick("tree", n)) for log in LOGS}
        log_rows.check_queue(report, seen)
        walk = DatabaseVerification(report, seen, keys, tick, trust.quorum)
        walk.checks[CASES].must_sign = walk.signatures.must_sign = party
        walk.run({log: [*notes[log], *trust.looked.get(log, ())] for log in LOGS})
        if party is not None and walk.registers.kind(party) is None:
            report.skip("signatures", NOT_CHECKED, f"no party {party} is on record")
        _quorum(report, trust, notes[CASES])
    except OperationalError:
        raise  # no answer is no finding: the connection was cut, or the server restarts
    except (Error, ValueError, OverflowError, RecursionError) as error:
        message = error.diag.message_primary if isinstance(error, Error) else None
        says = f"{type(error).__name__}: {message or 'a value that none of ours can be'}"
        report.find("projections", "DATABASE_UNREADABLE", "a table", says)
    report.skip("signatures", NOT_YET, NOBODY_SIGNS)
    return report


def count_entries(seen: Snapshot) -> int:
    return int(seen.value("SELECT count(*) FROM entry"))


def _check_schema(report: VerificationReport, seen: Snapshot) -> None:
    report.count("projections")
    version = ", ".join(row.version_num for row in seen.rows("SELECT version_num FROM alembic_version"))
    if version != HEAD_MIGRATION:
        report.find(
            "projections", "SCHEMA_VERSION", "alembic_version", f"it is {version}, this program knows {HEAD_MIGRATION}"
        )
    guards.check_guards(report, seen)


def _quorum(report: VerificationReport, trust: Trust, notes: list[Witnessed]) -> None:
    """A checkpoint below quorum is not a finding: the log signed it, and witnesses may still cosign it.
    A quorum that was asked for and is not met is not_checked.
    """
    witnessed = [n.checkpoint.size for n in notes if trust.quorum and len(n.cosigned) >= trust.quorum]
    report.says["newest_size"] = notes[-1].checkpoint.size if notes else 0
    report.says["witnessed_size"] = max(witnessed, default=None)
    if not witnessed and report.statuses.get("witnesses") == "passed":
        status = NOT_CHECKED if trust.quorum else NOT_YET
        report.skip("witnesses", status, "no checkpoint has a quorum of cosignatures")


class DatabaseVerification:
    """Steps 5 to 13: leaf by leaf through both logs, then table by table."""

    def __init__(
        self,
        report: VerificationReport,
        seen: Snapshot,
        keys: Path | None,
        tick: StepTick = lambda _step, _n: None,
        quorum: int = 1,
    ) -> None:
        self.report, self.seen, self.tick, self.quorum = report, seen, tick, quorum
        self.registers = Registers(report)
        self.checks = {log: LeafCheck(report, origin.of(log), log) for log in LOGS}
        self.signatures = Signatures(report, self.registers)
        self.sealed: Sealed | None = None
        if keys is not None:
            vault = VaultKeys(keys, make=False)
            self.sealed = Sealed.begin(report, seen, vault, self.checks[CASES].schemas)
        self.replay = Replay(report, self.registers, _calendars(seen), REPLAY_BY_TYPE)

    def read(self) -> None:
        """Reads both logs, leaf by leaf.
        The log of cases comes first: the clients that the access log names are registered there.
        """
        self.checks[ACCESS].clients = self.checks[CASES].clients
        for log in (CASES, ACCESS):
            for source in (PLACED, WAITING):
                for row in self.seen.stream(ROWS.format(source), log):
                    self._entry(log, row)
                    self.tick("leaves", 1)

    def run(self, notes: dict[str, list[Witnessed]]) -> None:
        self.read()
        moved = bool(self.checks[CASES].clock)
        self.report.says["environment"] = self.registers.agreements.environment or "sandbox"
        self.report.says["sandbox_clock"] = moved  # a moved clock excuses wrong times; production has none
        check_times(self.report, self.checks[CASES], notes[CASES], self.quorum)
        if self.checks[CASES].production:
            for log in LOGS:
                check_order(self.report, self.checks[log], clock.real())
        # the clock moves of a sandbox are entries of the log of cases: their position among accesses is not known
        if not self.checks[CASES].clock:
            check_times(self.report, self.checks[ACCESS], notes[ACCESS], self.quorum)
        self.compare()

    def compare(self) -> None:
        """Step 13, table by table, and the rest of step 12."""
        self.registers.compare(self.report, self.seen)
        self.report.says["signed_without_words"] = self.signatures.without_words
        self._sealed_tables()

    def _entry(self, log: str, row: EntryWithParts) -> None:
        check = self.checks[log]
        members = check.add(row.leaf_index, row.leaf)
        if members is None:
            return
        self._columns(log, row, members)
        try:
            check_registration(self.report, check, row.leaf_index, members)
            check_signed(self.report, check, row.leaf_index, members)
            self.registers.add(row.leaf_index, members)
            self._looked(log, row.leaf_index, members)
            self._content(log, row, members)
        except Exception as error:  # noqa: BLE001 - whatever a forger wrote becomes a finding, and never ends the verification
            says = f"what it says cannot be read: {type(error).__name__}"
            self.report.find("bytes", "LEAF_MALFORMED", "leaf", says, log=log, index=row.leaf_index)

    def _looked(self, log: str, index: int, members: dict[str, Any]) -> None:
        """Step 9 for an access: its client could act then, and each case that it was shown is there."""
        if log != ACCESS:
            return
        timed = self.checks[CASES].production
        why = impossible(members, self.registers.standing, self.checks[CASES].heads, timed=timed)
        if why is not None:
            self.report.find("standing", "ACCESS_IMPOSSIBLE", "access", why, log=log, index=index)

    def _content(self, log: str, row: EntryWithParts, members: dict[str, Any]) -> None:
        """Steps 12 and 13 for one entry: its parts, and what it does to its case."""
        if log != CASES or "case" not in members:
            if row.parts:
                place = f"payload {row.id}"
                self.report.find(
                    "payloads", "PAYLOAD_EXTRA", place, "its entry has no parts", log=log, index=row.leaf_index
                )
            return
        if self.sealed is None:
            return
        parts = self.sealed.entry(row.leaf_index, members, _payloads(row))
        case = self.replay.cases.get(members["case"])
        if members["type"] == "subject.erased":
            self.sealed.order(row.leaf_index, members, closed=case is not None and case.row["closed_at"] is not None)
        self.signatures.entry(row.leaf_index, members, parts)
        entry = Appended(row.id, row.leaf, leaf_hash(row.leaf), datetime.fromisoformat(members["received_at"]))
        self.replay.entry(row.leaf_index, members, entry, parts)

    def _columns(self, log: str, row: EntryWithParts, members: dict[str, Any]) -> None:
        """Step 11: the columns of an entry say the same as its leaf."""
        self.report.count("rows")
        case = str(row.case_id) if row.case_id else None
        pairs = {
            "id": (str(row.id), members["id"]),
            "log": (row.log, log),
            "type": (row.type, members["type"]),
            "case_id": (case, members.get("case")),
            "seq": (row.seq, members.get("seq")),
            "party": (row.party, members["party"]),
            "received_at": (row.received_at, members["received_at"]),
        }
        if row.leaf_hash != leaf_hash(row.leaf):
            says = "it is not the hash of the leaf"
            self.report.find("rows", "HASH_DIFFERS", "entry.leaf_hash", says, log=log, index=row.leaf_index)
        for column, (stored, expected) in pairs.items():
            if stored != expected:
                self.report.find(
                    "rows", "ROW_DIFFERS", f"entry.{column}", "the leaf says otherwise", log=log, index=row.leaf_index
                )

    def _sealed_tables(self) -> None:
        stray = "SELECT p.entry_id, p.part FROM payload p LEFT JOIN entry e ON e.id = p.entry_id WHERE e.id IS NULL"
        for row in self.seen.rows(stray):
            self.report.find(
                "payloads", "PAYLOAD_EXTRA", f"payload {row.entry_id} {row.part}", "there is no such entry"
            )
        unlike = [p.code for p in rulebook().procedures.values() if self.registers.procedures.get(p.code) != p.sha256]
        if unlike:
            why = f"this program has another text of {', '.join(unlike)} than was on record last"
            self.report.skip("projections", NOT_CHECKED, why)
        if self.sealed is None:
            for step in ("signatures", "payloads", "projections"):
                self.report.skip(step, NOT_CHECKED, "the keys of the vault are not here")
            return
        self.sealed.compare(self.seen)
        doubtful = {UUID(case) for case in self.replay.doubtful | self.sealed.doubtful}
        cases, stages = self.replay.rows()
        kept = {k: v for k, v in cases.items() if v["id"] not in doubtful}
        table(self.report, self.seen, "cases", ("id",), kept, doubtful=lambda row: row.id in doubtful)
        acted: Expected = {
            (party, row["id"]): {"party": party, "case_id": row["id"]}
            for row in kept.values()
            for party in row["acted"]
        }
        table(
            self.report,
            self.seen,
            "case_party",
            ("party", "case_id"),
            acted,
            doubtful=lambda row: row.case_id in doubtful,
        )
        rows = {k: v for k, v in stages.items() if v["case_id"] not in doubtful}
        key = ("case_id", "stage", "round")
        table(self.report, self.seen, "stage", key, rows, doubtful=lambda row: row.case_id in doubtful)


def _payloads(row: EntryWithParts) -> dict[str, StoredPart]:
    payloads = zip(row.parts or (), row.key_ids or (), row.ciphertexts or (), strict=True)
    return {part: StoredPart(key, data) for part, key, data in payloads}


def _calendars(seen: Snapshot) -> dict[str, Calendar]:
    """Every stored snapshot of days off.
    audit/registers.py checks that they are the snapshots that were loaded.
    """
    days: dict[str, dict[date, tuple[str, str]]] = {}
    for row in seen.rows("SELECT version, day, name_id, name_en FROM holiday"):
        days.setdefault(row.version, {})[row.day] = (row.name_id, row.name_en)
    versions = seen.rows("SELECT version, known_until FROM calendar_version")
    return {row.version: Calendar(row.version, row.known_until, days.get(row.version, {})) for row in versions}
