"""Replays the cases: runs every entry through the procedure again, as if it were posted now.

The result is the rows that the database must hold.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

from app.access import policy
from app.access.caller import Caller
from app.access.registers.register_cache import KnownClient, KnownParty
from app.access.registers.register_cache import RegisterSnapshot as Known
from app.audit.case_rows import ReplayedCase, entry_day, without_wrappers
from app.audit.compare import Expected, same
from app.audit.registers import Registers
from app.audit.sealed import Parts
from app.cases import charging, projection, showing
from app.cases.acts import ACTS
from app.errors import DomainError
from app.ledger.append import Appended
from app.ledger.canonical import Members, instant
from app.procedure import rules, views
from app.procedure.deadlines import Calendar
from app.procedure.loading import rulebook
from app.procedure.rules import Move
from app.verifier.leaves import HEARD_WITHIN
from app.verifier.report import VerificationReport

UNPOSTED = ("outcome", "posted_at", "posted_by", "posted_seq", "posted_entry_id")
ASKED_BEFORE = timedelta(minutes=3)
FOLLOWED_WITHIN = timedelta(seconds=30)  # within this time every process uses a calendar that another one loaded


@dataclass(frozen=True, slots=True)
class ReplayedEntry:
    """One entry of a case, as it is replayed."""

    index: int
    members: Members
    entry: Appended
    parts: Parts

    @property
    def day(self) -> date:
        return entry_day(self.entry)

    @property
    def asked_on(self) -> date:
        """The day before, for an entry of the first minutes of a day.
        Before 0.5.0 an act was judged by the day on which it was asked for.
        """
        return entry_day(replace(self.entry, received_at=self.entry.received_at - ASKED_BEFORE))

    @property
    def summary(self) -> Mapping[str, Any]:
        return self.parts["summary"]

    @property
    def content(self) -> Mapping[str, Any] | None:
        """The content part; None where the person was erased."""
        return self.parts.get("content")


@dataclass
class Replay:
    """Replays all cases.
    A case with a part that does not open is doubtful from there on; another finding reports that part.
    """

    report: VerificationReport
    registers: Registers
    calendars: Mapping[str, Calendar]
    readers: Mapping[str, Callable[["Replay", ReplayedEntry], None]]
    cases: dict[str, ReplayedCase] = field(default_factory=dict)
    doubtful: set[str] = field(default_factory=set)

    def entry(self, index: int, members: Members, entry: Appended, parts: Parts) -> None:
        """Replays one entry of a case, in the order of the log."""
        self.report.begin("projections")
        if members["case"] in self.doubtful:
            return
        replayed, type_ = ReplayedEntry(index, members, entry, parts), members["type"]
        if type_ not in self.readers or (members["case"] in self.cases) == ACTS[type_].opens_case:
            self._doubt(replayed, f"a {type_} cannot stand here")
        elif ACTS[type_].summarised and "summary" not in parts:
            self._doubt(replayed, "its summary does not open: it cannot be replayed")
        else:
            self._scoped(replayed)
            try:
                self.readers[type_](self, replayed)
            except Exception as error:  # noqa: BLE001 - whatever was written becomes a finding, and never ends the verification
                self._doubt(replayed, f"the procedure refuses it: {type(error).__name__}")

    def _scoped(self, replayed: ReplayedEntry) -> None:
        """Step 9: the client had the scope of the act; every process learns of another scope within seconds."""
        members = replayed.members
        row, scope = self.registers.rows["client"].get((members["client"],)), ACTS[members["type"]].scope
        if row is None or scope is None:
            return
        needed = scope.format_map({"stage": members.get("stage")})
        turned = self.registers.turned.get(("scopes", members["client"]))
        fresh = turned is not None and abs(replayed.entry.received_at - turned) <= HEARD_WITHIN
        if needed not in row["scopes"] and not fresh:
            self.find("NO_SCOPE", replayed, f"{members['client']} had no scope {needed}", "standing")

    def _doubt(self, replayed: ReplayedEntry, says: str) -> None:
        self.doubtful.add(replayed.members["case"])
        self.find("PROCEDURE_BROKEN", replayed, says)

    def find(self, code: str, replayed: ReplayedEntry, says: str, step: str = "projections") -> None:
        place = f"case {replayed.members['case']} entry {replayed.members['seq']}"
        self.report.find(step, code, place, says, log="cases", index=replayed.index)

    def case(self, replayed: ReplayedEntry) -> ReplayedCase:
        return self.cases[replayed.members["case"]]

    def calendar(self, replayed: ReplayedEntry) -> Calendar:
        """The calendar by which the entry says that its days were counted.
        It is the newest that was loaded, or for FOLLOWED_WITHIN the one before it; LookupError for any other.
        """
        named = replayed.members.get("calendar") or self.registers.calendar
        at = self.registers.replaced.get(str(named))
        if named != self.registers.calendar and (at is None or replayed.entry.received_at - at > FOLLOWED_WITHIN):
            raise LookupError("another calendar had replaced it")
        if named not in self.registers.calendars:
            raise LookupError("no calendar of that name was loaded")
        return self.calendars[str(named)]

    def said(self, replayed: ReplayedEntry, says: Mapping[str, Any]) -> None:
        """Checks that these members of the leaf are what the procedure makes of the entry.
        The members of its chain and its parts are checked elsewhere.
        """
        differing = sorted(name for name, value in says.items() if not same(replayed.members.get(name), value))
        if differing:
            self.find("PROCEDURE_BROKEN", replayed, f"the procedure says otherwise of: {', '.join(differing)}")

    def shown(self, replayed: ReplayedEntry) -> dict[str, Any]:
        """The facts that the summary of a post shows."""
        return self.facts(replayed, replayed.content, replayed.summary, replayed.parts.get("text", {}))

    def facts(
        self,
        replayed: ReplayedEntry,
        content: Mapping[str, Any] | None,
        summary: Mapping[str, Any],
        words: Mapping[str, Any],
    ) -> dict[str, Any]:
        """The facts of the summary; summary and free text must agree with the content.
        Where the content was erased, the summary stands alone.
        In ledgers that are older than the part for free text, the summary holds the free text.
        """
        fields = rulebook().vocabulary.fields
        facts = {n: v for n, v in summary.items() if n in fields}
        if content is not None:
            body = {n: v for n, v in content.items() if n in fields}
            text = views.in_words(rulebook().vocabulary, body)
            old = views.in_words(rulebook().vocabulary, facts)
            if (views.in_summary(rulebook().vocabulary, body) | old, text) != (facts, old or dict(words)):
                self.find("SUMMARY_DIFFERS", replayed, "summary and content disagree")
        return facts

    def caller(self, replayed: ReplayedEntry, *, before: bool = False, day: date | None = None) -> Caller:
        """Who acts, with the mandates of that day.
        `before`: as a process sees it that does not know of a suspension yet.
        """
        rows, members, day = self.registers.rows, replayed.members, day or replayed.day
        parties = {
            r["code"]: KnownParty(r["code"], r["kind"], r["agency_code"], r["signatures"], suspended=False)
            for r in rows["party"].values()
        }
        clients: dict[str, KnownClient] = {}
        clients_now = (
            r for r in rows["client"].values() if self._stands(replayed, "client", r["id"], r, before=before)
        )
        with_client = {r["party"] for r in clients_now}
        acting = {
            r["code"] for r in rows["party"].values() if self._stands(replayed, "party", r["code"], r, before=before)
        }
        employers = {p.agency_code for p in parties.values() if p.kind == "ppk" and p.code in with_client & acting}
        holders, nobody = self.registers.holders(day), frozenset[str]()
        registers = Known(parties, clients, {}, (), nobody, frozenset(filter(None, employers)), day, holders)
        party = parties[members["party"]]
        employer = party.agency_code if party.kind == "ppk" else None
        return Caller(party.code, party.kind, members["client"], frozenset(), employer, registers, None, None)

    def _stands(self, replayed: ReplayedEntry, kind: str, key: str, row: Mapping[str, Any], *, before: bool) -> bool:
        """Whether a party or client could act.
        Every process learns of a suspension within five seconds, and not at once.
        """
        turned = self.registers.turned.get((kind, key))
        fresh = turned is not None and abs(replayed.entry.received_at - turned) <= HEARD_WITHIN
        return bool(row["suspended"]) == (before and fresh)

    def callers(self, replayed: ReplayedEntry) -> Iterator[Caller]:
        """The views of the registers by which the entry may have been made.
        As they are; as a process saw them that had not learned of a change; before 0.5.0 also as on the day before.
        """
        yield self.caller(replayed)
        yield self.caller(replayed, before=True)
        if replayed.asked_on != replayed.day:
            yield self.caller(replayed, day=replayed.asked_on)

    def may(self, replayed: ReplayedEntry, says: str, ask: Callable[[Caller], object]) -> None:
        """Step 9: on the day of the entry its party was allowed to do this."""
        self.report.count("standing")
        for caller in self.callers(replayed):
            with suppress(DomainError):
                ask(caller)
                return
        self.find("NO_MANDATE", replayed, f"{replayed.members['party']} {says}", "standing")

    def fits_phase(self, replayed: ReplayedEntry) -> None:
        """A charge of the other phase is valid only with a recorded reason."""
        summary, members = replayed.summary, replayed.members
        why = "a reason is on record" if "phase_override" in members.get("overrides", ()) else None
        day = date.fromisoformat(summary["occurred_on"])
        try:
            charging.require_phase(members["election"], summary["contest"], day, summary["violations"], "", why)
        except DomainError:
            self.find("PROCEDURE_BROKEN", replayed, "the charge does not fit the phase of the incident")

    def mandated(self, replayed: ReplayedEntry) -> None:
        """On the day of the entry this party had the mandate for the stage."""
        case, code = self.case(replayed), replayed.members["stage"]
        stage = rulebook().procedures[case.row["procedure"]].stages[code]
        says = f"had no mandate for {code} on that day"
        self.may(replayed, says, lambda caller: policy.require_mandate(caller, stage, case.access_facts()))

    def follow(
        self, replayed: ReplayedEntry, move: Move, changes: Mapping[str, Any] | None = None, *, acts: bool = True
    ) -> None:
        """Applies a move: the stages that it opened, redated or dropped, and the row of the case.
        The leaf must say the same.
        """
        case, entry = self.case(replayed), replayed.entry
        passed = {key: row["passed_entry_id"] for key, row in case.stages.items()}
        opened = projection.dated(move, self.calendar(replayed), passed, replayed.day)
        begun = {k: instant(s["opened_at"]) for k, s in case.stages.items() if s["status"] == "open"}
        owners = self.owners(replayed, case, move)
        left = projection.in_leaf(move, opened, begun, owners, self.calendar(replayed))
        if "calendar" not in replayed.members:  # older leaves do not name their calendar
            del left["calendar"]
        self.said(replayed, {**{n: case.row[n] for n in ("number", "procedure", "election")}, **left})
        for dated in opened:
            self._opened(case, move, dated, entry)
        for gone in move.dropped:
            case.stages[gone.stage, gone.round]["status"] = "skipped"
        self._row(replayed, case, move)
        case.row |= changes or {}
        self.touch(replayed, acts=acts)

    def _opened(self, case: ReplayedCase, move: Move, dated: projection.Dated, entry: Appended) -> None:
        row = without_wrappers(projection.opened_row(case.row["id"], move.case, dated, entry))
        running = case.stages.get((row["stage"], row["round"]))
        if running is None:
            case.stages[row["stage"], row["round"]] = row | dict.fromkeys(UNPOSTED)
        else:
            running.update({c: row[c] for c in projection.RECLOCKED})

    def _row(self, replayed: ReplayedEntry, case: ReplayedCase, move: Move) -> None:
        stages, employer = rulebook().procedures[move.case.procedure].stages, move.case.agency_code
        reached = "ppk" in {stages[s.stage].owner for s in move.opened}
        case.row |= {
            "reached_ppk": reached or (case.row["reached_ppk"] and employer == case.row["agency_code"]),
            "agency_code": employer,
            "status": move.status,
            "conditions": rules.conditions(rulebook(), move.case),
            "open_stages": projection.open_codes(move.case),
            "closed_at": projection.closed_at(move, case.row.get("closed_at"), replayed.entry),
        }

    def owners(self, replayed: ReplayedEntry, case: ReplayedCase, move: Move) -> dict[str, str]:
        """Who had to act on each opened stage on that day, in the case after the move."""
        place = replace(
            case.access_facts(),
            agency_code=move.case.agency_code,
            conditions=tuple(rules.conditions(rulebook(), move.case)),
        )
        stages, caller = rulebook().procedures[move.case.procedure].stages, self.caller(replayed)
        return {s.stage: showing.owner_now(caller, stages[s.stage], place) for s in move.opened}

    def touch(self, replayed: ReplayedEntry, *, acts: bool = True) -> None:
        row, members = self.case(replayed).row, replayed.members
        if acts:
            row["acted"] = sorted({*row["acted"], members["party"]})
        row |= {
            "version": members["seq"],
            "head_hash": replayed.entry.leaf_hash,
            "updated_at": replayed.entry.received_at,
            "last_entry_id": replayed.entry.id,
        }

    def rows(self) -> tuple[Expected, Expected]:
        """The rows that the tables `cases` and `stage` must hold."""
        cases: Expected = {(case.row["id"],): case.row for case in self.cases.values()}
        stages = {
            (s["case_id"], s["stage"], s["round"]): s for case in self.cases.values() for s in case.stages.values()
        }
        return cases, stages
