"""Replays the registers: the rows that follow from entries without a case and from accesses.

Parties, clients, keys, mandates, calendar, clock, access trail, idempotency keys.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from app.access.registers.registration import ADDS, Facts, added_row
from app.audit.accesses import access_row
from app.audit.agreements import Agreements
from app.audit.calendars import days_off_flaws, released
from app.audit.case_numbers import COUNTER, CaseNumbers
from app.audit.compare import Expected, table
from app.audit.signed_entries import SignedEntries
from app.audit.snapshot import Snapshot
from app.cases import part_schemas
from app.clock import day_of
from app.ledger.origin import CASES, LOGS
from app.ledger.parts import unb64u
from app.procedure.loading import rulebook
from app.procedure.roles import Mandate
from app.reference.calendar import Release
from app.verifier.leaves import PRODUCTION
from app.verifier.report import NOT_CHECKED, VerificationReport

START = datetime.min.replace(tzinfo=UTC)
STANDING = {"party", "client", "client_key", "mandate"}  # tables whose rows later entries change
KEYS: dict[str, tuple[str, ...]] = {
    "party": ("code",),
    "client": ("id",),
    "client_key": ("kid",),
    "mandate": ("role", "party", "valid_from"),
    "calendar_version": ("version",),
    "loaded_procedure": ("code", "sha256"),
    "part_schema": ("name", "version"),
    "key_epoch": ("epoch",),
    "added_code": ("list", "code"),
    "clock_move": ("entry_id",),
    "access": ("entry_id",),
    "idempotency": ("client_id", "key"),
}


@dataclass
class Registers:
    """The rows that follow from the entries seen so far."""

    report: VerificationReport
    rows: dict[str, Expected] = field(default_factory=lambda: {name: {} for name in KEYS})
    calendars: dict[str, str] = field(default_factory=dict)
    calendar: str | None = None
    procedures: dict[str, str] = field(default_factory=dict)
    began: date | None = None
    agreements: Agreements = field(init=False)
    # when a client was registered, or a party, client or key suspended or resumed, or scopes were set
    turned: dict[tuple[str, str], datetime] = field(default_factory=dict)
    # by register and key: since when it stands, suspended or not
    standing: dict[tuple[str, str], list[tuple[datetime, bool]]] = field(default_factory=lambda: defaultdict(list))
    newest_epoch: int = 0
    # version of a revised calendar: the version before it, and the facts that two operators agreed on
    revisions: dict[str, tuple[str, Facts]] = field(default_factory=dict)
    # log, size up to which it was restored, index of the entry that says so
    restorations: list[tuple[str, int, int]] = field(default_factory=list)
    # the calendar before the newest, and when the newest was loaded
    replaced: dict[str, datetime] = field(default_factory=dict)
    unsigned_calendars: list[str] = field(default_factory=list)
    numbers: CaseNumbers = field(default_factory=CaseNumbers)
    _index: int = 0
    _at: datetime = START

    def __post_init__(self) -> None:
        self.agreements = Agreements(self.report, self, SignedEntries(self))

    def add(self, index: int, members: Mapping[str, Any]) -> None:
        """Adds a leaf of either log. Its form was checked: the access log holds only accesses."""
        entry = UUID(members["id"])
        self._index, self._at = index, datetime.fromisoformat(members["received_at"])
        if members["type"] == "mandate.granted" and self.began is None:
            self.began = day_of(datetime.fromisoformat(members["received_at"]))
        self.numbers.check(self.report, index, members, self.agreements.rules)
        before = self.agreements.active(members)
        self.agreements.add(index, members)
        if members["type"] == "access":
            self._put("access", access_row(members), entry)
        elif "facts" in members and members["type"] in REGISTER_BY_TYPE:
            REGISTER_BY_TYPE[members["type"]](self, members["facts"], entry)
            self.agreements.require_left(index, members, before)
        if self.unsigned_calendars and self.agreements.environment == PRODUCTION:  # also those of before the founding
            why = f"this program does not know the days off of {self.unsigned_calendars[-1]}, and nobody signed them"
            self.report.skip("projections", NOT_CHECKED, why)
        if "idempotency" in members:
            request = members["idempotency"]
            row = {"key": UUID(request["key"]), "fingerprint": unb64u(request["fingerprint"])}
            self._put("idempotency", {"client_id": members["client"], **row}, entry)

    def _put(self, name: str, row: dict[str, Any], entry: UUID) -> None:
        whole = {**row, "entry_id": entry} | ({"standing_entry_id": entry} if name in STANDING else {})
        key = tuple(whole[column] for column in KEYS[name])
        if key in self.rows[name]:
            says = "an entry before says it already, and nothing may be said twice"
            self.report.find("standing", "SAID_TWICE", f"{name} {'/'.join(map(str, key))}", says, index=self._index)
        self.rows[name][key] = whole

    def party(self, facts: Facts, entry: UUID) -> None:
        row = {n: facts[n] for n in ("code", "kind", "name_id", "name_en", "agency_code")}
        self._put(
            "party",
            {**row, "signatures": facts.get("signatures", "off"), "suspended": False, "fingerprint": None},
            entry,
        )

    def client(self, facts: Facts, entry: UUID) -> None:
        row = {"id": facts["client"], "party": facts["party"], "scopes": facts["scopes"], "suspended": False}
        self.turned["client", facts["client"]] = self._at
        self.standing["client", facts["client"]].append((self._at, False))
        secret = facts.get("secret_hash")
        self._put("client", {**row, "secret_hash": unb64u(secret) if secret else None}, entry)

    def key(self, facts: Facts, entry: UUID) -> None:
        row = {"kid": facts["key"], "client_id": facts["client"], **{n: facts[n] for n in ("purpose", "x", "y")}}
        ends = datetime.fromisoformat(facts["expires_at"])
        self._put("client_key", {**row, "expires_at": ends, "suspended": False}, entry)

    def _stands(self, name: str, key: tuple[Any, ...], entry: UUID, **changed: Any) -> None:
        """Changes columns of a registered row."""
        row = self.rows[name].get(key)
        if row is None:
            says = "it changes what no entry has registered"
            self.report.find("standing", "NOT_REGISTERED", f"{name} {'/'.join(map(str, key))}", says, index=self._index)
            return
        row |= {**changed, "standing_entry_id": entry}

    def retired(self, facts: Facts, entry: UUID) -> None:
        self._stands("client_key", (facts["key"],), entry, expires_at=datetime.fromisoformat(facts["expires_at"]))

    def policy(self, facts: Facts, entry: UUID) -> None:
        self._stands("party", (facts["party"],), entry, signatures=facts["signatures"])

    def anchored(self, facts: Facts, entry: UUID) -> None:
        self._stands("party", (facts["party"],), entry, fingerprint=facts["key"])

    def grant(self, facts: Facts, entry: UUID) -> None:
        self.turned["scopes", facts["client"]] = self._at
        self._stands("client", (facts["client"],), entry, scopes=facts["scopes"])

    def mandate_ended(self, facts: Facts, entry: UUID) -> None:
        key = (facts["role"], facts["party"], date.fromisoformat(facts["valid_from"]))
        self._stands("mandate", key, entry, valid_to=date.fromisoformat(facts["valid_to"]))

    def stands_suspended(self, name: str, key: str, entry: UUID, *, to: bool) -> None:
        row = self.rows[name].get((key,))
        if row is not None and row["suspended"] and to:
            # a second suspension would give the suspended one another ten seconds (HEARD_WITHIN)
            says = "it stood so before, and nothing may be said twice"
            self.report.find("standing", "SAID_TWICE", f"{name} {key}", says, log=CASES, index=self._index)
        elif row is not None and row["suspended"] != to:
            self.turned[name, key] = self._at
            self.standing[name, key].append((self._at, to))
        self._stands(name, (key,), entry, suspended=to)

    def mandate(self, facts: Facts, entry: UUID) -> None:
        until = date.fromisoformat(facts["valid_to"]) if facts["valid_to"] else None
        row = {"role": facts["role"], "party": facts["party"], "valid_to": until}
        self._put("mandate", {**row, "valid_from": date.fromisoformat(facts["valid_from"])}, entry)

    def loaded(self, facts: Facts, entry: UUID) -> None:
        """calendar.loaded: a package release with known days, or a revision by two operators."""
        before, self.calendar = self.calendar, facts["version"]
        self.replaced[str(before)] = self._at
        released_days, until = released(self.calendar), date.fromisoformat(facts["known_until"])
        if released_days is not None and Release(facts["sha256"], until, facts["days"]) != released_days:
            self._calendar_wrong(self.calendar, "its days off are not those of the package that it names")
        elif released_days is not None and before in self.revisions and until <= self._known_until(before):
            self._calendar_wrong(self.calendar, "it replaces a revision that knows joint leave as long")
        elif released_days is None and "change" in facts:
            change = self.agreements.rows.get((UUID(facts["change"]),), {})
            self.revisions[self.calendar] = (str(before), change.get("facts", {}))
        elif released_days is None:
            self.unsigned_calendars.append(str(self.calendar))
        self.calendars[facts["version"]] = facts["sha256"]
        self._put("calendar_version", {"version": facts["version"], "known_until": until}, entry)

    def _known_until(self, version: str) -> date:
        known_until: date = self.rows["calendar_version"][(version,)]["known_until"]
        return known_until

    def procedure(self, facts: Facts, entry: UUID) -> None:
        self.procedures[facts["code"]] = facts["sha256"]
        if facts["code"] not in rulebook().procedures:
            self.report.skip("projections", NOT_CHECKED, f"this program does not know the procedure {facts['code']}")
        self._put("loaded_procedure", {"code": facts["code"], "sha256": facts["sha256"]}, entry)

    def schema(self, facts: Facts, entry: UUID) -> None:
        self._put("part_schema", {n: facts[n] for n in ("name", "version", "sha256")}, entry)
        self._own_schema(facts["name"], facts["version"], facts["sha256"])

    def _own_schema(self, name: str, version: int, text: str) -> None:
        """Part schemas are this program's own, or older ones before them.
        Whoever writes rows must not choose which fields an entry commits to.
        """
        own, place = part_schemas.schemas().get(name), f"part_schema {name}/{version}"
        if own is None or version > own.version:
            self.report.skip("schemas", NOT_CHECKED, f"this program does not know {name}, version {version}")
        elif version == own.version and text != own.sha256:
            self.report.find("schemas", "SCHEMA_WRONG", place, "this program's is another", index=self._index)
        elif version < own.version and (name, own.version) in self.rows["part_schema"]:
            self.report.find("schemas", "SCHEMA_WRONG", place, "a newer one was registered before", index=self._index)

    def epoch_opened(self, facts: Facts, entry: UUID) -> None:
        if facts["epoch"] != self.newest_epoch + 1:
            self._not_so(f"key_epoch {facts['epoch']}", f"the newest epoch is {self.newest_epoch}")
        self.newest_epoch = max(self.newest_epoch, facts["epoch"])
        self._put("key_epoch", {"epoch": facts["epoch"]}, entry)

    def epoch_ended(self, facts: Facts, entry: UUID) -> None:
        del entry
        if (facts["epoch"],) not in self.rows["key_epoch"] or facts["epoch"] == self.newest_epoch:
            self._not_so(f"key_epoch {facts['epoch']}", "only an older epoch that is there can end")
        self.rows["key_epoch"].pop((facts["epoch"],), None)

    def restored(self, facts: Facts, entry: UUID) -> None:
        """log.restored: nobody signs it, so the report lists it."""
        del entry
        if facts["log"] not in LOGS or not 0 <= facts["from"] < facts["to"]:
            self._not_so("log.restored", "it names no log of ours, or a restoration of nothing")
        self.restorations.append((facts["log"], facts["to"], self._index))
        self.report.says["restored"] = self.report.says.get("restored", 0) + 1

    def _not_so(self, place: str, says: str) -> None:
        self.report.find("standing", "NOT_REGISTERED", place, says, log=CASES, index=self._index)

    def moved(self, facts: Facts, entry: UUID) -> None:
        if self.agreements.environment == PRODUCTION:
            return  # a finding reports it, and it shifts no time
        ahead = timedelta(microseconds=facts["ahead_microseconds"])
        self._put("clock_move", {"to": datetime.fromisoformat(facts["to"]), "ahead": ahead}, entry)

    def ahead(self) -> timedelta | None:
        """How far the ledger's time is ahead of the machine's; None (unknown) where a sandbox moved it."""
        moved = self.rows["clock_move"] and self.agreements.environment != PRODUCTION
        return None if moved else timedelta(0)

    def holders(self, day: date) -> dict[str, str]:
        """Role to party, by the mandates in force on a day."""
        mandates = [
            Mandate(r["role"], r["party"], r["valid_from"], r["valid_to"]) for r in self.rows["mandate"].values()
        ]
        return {m.role: m.party for m in mandates if m.on(day)}

    def kind(self, party: str) -> str | None:
        row = self.rows["party"].get((party,))
        return str(row["kind"]) if row else None

    def compare(self, report: VerificationReport, seen: Snapshot) -> None:
        self.agreements.close()
        self._restored()
        table(report, seen, "change", ("id",), self.agreements.rows)
        for name, key in KEYS.items():
            table(report, seen, name, key, self.rows[name])
        table(report, seen, "case_counter", COUNTER, self.numbers.rows())
        for version, says in days_off_flaws(report, seen, self.calendars, self.revisions):
            self._calendar_wrong(version, says)

    def _restored(self) -> None:
        looks = len(self.rows["access"])
        for log, to, index in self.restorations:
            if to > (index if log == CASES else looks):
                says = f"the log {log} was never so long"
                self.report.find("standing", "NOT_REGISTERED", "log.restored", says, log=CASES, index=index)

    def _calendar_wrong(self, version: str, says: str) -> None:
        self.report.find("projections", "CALENDAR_WRONG", f"calendar {version}", says, log=CASES, index=self._index)


def _suspends(name: str, fact: str, *, to: bool) -> Callable[[Registers, Facts, UUID], None]:
    def read(registers: Registers, facts: Facts, entry: UUID) -> None:
        registers.stands_suspended(name, facts[fact], entry, to=to)

    return read


def _adds(name: str) -> Callable[[Registers, Facts, UUID], None]:
    def read(registers: Registers, facts: Facts, entry: UUID) -> None:
        registers._put("added_code", added_row(name, facts), entry)  # noqa: SLF001 - a row of the same file's table

    return read


REGISTER_BY_TYPE: dict[str, Callable[[Registers, Facts, UUID], None]] = {
    "party.registered": Registers.party,
    "party.policy_set": Registers.policy,
    "party.anchored": Registers.anchored,
    "party.suspended": _suspends("party", "party", to=True),
    "party.resumed": _suspends("party", "party", to=False),
    "client.registered": Registers.client,
    "client.suspended": _suspends("client", "client", to=True),
    "client.resumed": _suspends("client", "client", to=False),
    "grant.set": Registers.grant,
    "key.registered": Registers.key,
    "key.retired": Registers.retired,
    "key.suspended": _suspends("client_key", "key", to=True),
    "key.resumed": _suspends("client_key", "key", to=False),
    "mandate.ended": Registers.mandate_ended,
    "mandate.granted": Registers.mandate,
    **{kind: _adds(name) for kind, name in ADDS.items()},
    "calendar.loaded": Registers.loaded,
    "procedure.loaded": Registers.procedure,
    "schema.registered": Registers.schema,
    "key.epoch_opened": Registers.epoch_opened,
    "key.epoch_ended": Registers.epoch_ended,
    "log.restored": Registers.restored,
    "clock.started": Registers.moved,
    "clock.moved": Registers.moved,
}
