"""Replays the cases: every entry once more through the procedure, as if it had been posted now; the rows that must come out of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from app.access import policy
from app.access.caller import Caller
from app.access.policy import Standpoint
from app.access.standing import KnownClient, KnownParty
from app.access.standing import Snapshot as Known
from app.audit.case_rows import Case, case_row, day_of, plain
from app.audit.compare import Expected, same
from app.audit.registers import Registers
from app.cases import projecting, receiving, showing
from app.errors import DomainError
from app.ledger.append import Appended
from app.ledger.canonical import instant
from app.ledger.report import Report
from app.procedure import rules, views
from app.procedure.deadlines import Calendar
from app.procedure.loading import rulebook
from app.procedure.model import Procedure
from app.procedure.rules import Move
from app.procedure.state import CaseState

Members = Mapping[str, Any]
Parts = Mapping[str, Mapping[str, Any]]
UNPOSTED = ("outcome", "posted_at", "posted_by", "posted_seq", "posted_entry_id")


@dataclass
class Replay:
    """All cases. A case of which a part does not open is doubtful from there on: another finding says so."""

    report: Report
    registers: Registers
    calendars: Mapping[str, Calendar]
    cases: dict[str, Case] = field(default_factory=dict)
    doubtful: set[str] = field(default_factory=set)

    def entry(self, index: int, members: Members, entry: Appended, parts: Parts) -> None:
        """One entry of a case, in the order of the log."""
        self.report.begin("projections")
        known = members["type"] in READERS and (members["case"] in self.cases or members["type"] == "case.opened")
        if members["case"] in self.doubtful:
            return
        sealed = members["type"] in ("case.opened", "stage.posted")
        if not known or (sealed and "summary" not in parts):
            self.doubtful.add(members["case"])
            says = (
                f"a {members['type']} cannot stand here"
                if not known
                else "its summary does not open: it cannot be replayed"
            )
            self._find("PROCEDURE_BROKEN", index, members, says)
            return
        try:
            READERS[members["type"]](self, index, members, entry, parts)
        except Exception as error:  # noqa: BLE001 - whatever was written is told, and never ends the verification
            self._find("PROCEDURE_BROKEN", index, members, f"the procedure refuses it: {type(error).__name__}")
            self.doubtful.add(members["case"])

    def _find(self, code: str, index: int, members: Members, says: str) -> None:
        place = f"case {members['case']} entry {members['seq']}"
        self.report.find("projections", code, place, says, log="cases", index=index)

    @property
    def _calendar(self) -> Calendar:
        return self.calendars[str(self.registers.calendar)]

    def opened(self, index: int, members: Members, entry: Appended, parts: Parts) -> None:
        procedure = rulebook().procedures[members["procedure"]]
        summary = parts["summary"]
        facts = {n: v for n, v in summary.items() if n in rulebook().vocabulary.fields}
        self._same_facts(index, members, facts, parts)
        received = date.fromisoformat(members["received_on"])
        if not procedure.in_force_on(received):
            self._find("PROCEDURE_BROKEN", index, members, "another procedure was in force on that day")
        regime = str(rulebook().catalogue.codes("elections")[members["election"]]["regime"])
        empty = CaseState(procedure.code, regime, summary["report_kind"], received, summary["agency_code"], ())
        self._may_open(index, members, procedure, entry)
        before = rules.open_first(empty, members["stage"])
        move = rules.post(rulebook(), before, members["stage"], members["outcome"], facts, 1)
        case = Case(case_row(members, summary, received, entry))
        self.cases[members["case"]] = case
        self._first(index, case, procedure, members, move, facts, entry)
        self._move(index, case, members, move, entry)

    def _first(
        self,
        index: int,
        case: Case,
        procedure: Procedure,
        members: Members,
        move: Move,
        facts: Mapping[str, Any],
        entry: Appended,
    ) -> None:
        first = next(s for s in move.case.stages if (s.stage, s.round) == (members["stage"], 1))
        due = projecting.due_of(procedure, move.case, first, self._calendar)
        said = {"round": 1, "due_on": due.on.isoformat() if due.on else None, "seq": 1, "prev": None}
        self._said(index, members, said)
        row = projecting.opened_row(case.row["id"], move.case, projecting.Dated(first, due), entry)
        posted = projecting.posted_row(dict(facts), members["outcome"], members["party"], 1, entry)
        case.stages[members["stage"], 1] = plain(row | posted)

    def posted(self, index: int, members: Members, entry: Appended, parts: Parts) -> None:
        case = self.cases[members["case"]]
        summary, found = parts["summary"], rulebook().procedures[case.row["procedure"]].stages[members["stage"]]
        facts = {n: v for n, v in summary.items() if n in rulebook().vocabulary.fields}
        self._same_facts(index, members, facts, parts)
        self._mandate(index, case, members, entry)
        self._running(index, case, members, entry)
        state = replace(case.state(), agency_code=summary["agency_code"])
        move = rules.post(rulebook(), state, found.code, members["outcome"], dict(facts), members["seq"])
        row = projecting.posted_row(dict(facts), members["outcome"], members["party"], members["seq"], entry)
        case.stages[members["stage"], members["round"]].update(plain(row))
        moved_employer = summary["agency_code"] != case.row["agency_code"]
        case.row["agency_code"] = summary["agency_code"]
        opened = {rulebook().procedures[move.case.procedure].stages[s.stage].owner for s in move.opened}
        case.row["reached_ppk"] = "ppk" in opened or (case.row["reached_ppk"] and not moved_employer)
        if any(part["name"] == "subject" for part in members["parts"]):
            case.row |= {"subject_entry_id": entry.id, "identified": True}
        if summary["identified"] != case.row["identified"]:
            self._find("SUMMARY_DIFFERS", index, members, "it says otherwise whether the person is known")
        self._move(index, case, members, move, entry)
        self._touch(case, members, entry)

    def _running(self, index: int, case: Case, members: Members, entry: Appended) -> None:
        """The round that is posted is the one that was open, since when it was open, and whose it was."""
        stage = rulebook().procedures[case.row["procedure"]].stages[members["stage"]]
        running = next(s for s in case.stages.values() if s["stage"] == stage.code and s["status"] == "open")
        row = case.row
        place = Standpoint(row["agency_code"], tuple(row["conditions"]), row["opened_by"])
        owner = showing.owner_now(self._caller(members, day_of(entry)), stage, place)
        due = running["due_on"].isoformat() if running["due_on"] else None
        said = {"round": running["round"], "opened_at": instant(running["opened_at"]), "due_on": due, "owner": owner}
        self._said(index, members, said)

    def _may_open(self, index: int, members: Members, procedure: Procedure, entry: Appended) -> None:
        self.report.count("standing")
        try:
            policy.require_may_open(self._caller(members, day_of(entry)), procedure.stages[members["stage"]])
        except DomainError:
            says = f"{members['party']} could open no case on that day"
            self.report.find("standing", "NO_MANDATE", f"case {members['case']}", says, log="cases", index=index)

    def _move(self, index: int, case: Case, members: Members, move: Move, entry: Appended) -> None:
        """Stages that the move opened or dropped; the leaf must have said the same."""
        opened = projecting.dated(move, self._calendar)
        since = {k: s["opened_at"] for k, s in case.stages.items() if s["status"] == "open"}
        for one in opened:
            row = plain(projecting.opened_row(case.row["id"], move.case, one, entry))
            key = (row["stage"], row["round"])
            running = case.stages.get(key)
            if running is None:
                case.stages[key] = row | dict.fromkeys(UNPOSTED)
            else:
                running.update({c: row[c] for c in projecting.RECLOCKED})
        for gone in move.dropped:
            case.stages[gone.stage, gone.round]["status"] = "skipped"
        case.row |= {
            "status": move.status,
            "conditions": rules.conditions(rulebook(), move.case),
            "open_stages": projecting.open_codes(move.case),
            "closed_at": entry.received_at if move.closed else None,
        }
        begun = {key: instant(at) for key, at in since.items()}
        owners = self._owners(move, case.row["opened_by"], members, entry)
        same_case = {n: case.row[n] for n in ("number", "procedure", "election")}
        self._said(index, members, {**same_case, **projecting.in_leaf(move, opened, begun, owners)})

    def _said(self, index: int, members: Members, says: Mapping[str, Any]) -> None:
        """What the entry says beside its chain and its parts is, member by member, what the procedure makes of it."""
        differing = sorted(name for name, value in says.items() if not same(members.get(name), value))
        if differing:
            told = ", ".join(differing)
            self._find("PROCEDURE_BROKEN", index, members, f"the procedure says otherwise of: {told}")

    def _owners(self, move: Move, opened_by: str, members: Members, entry: Appended) -> dict[str, str]:
        """Who had to act on each opened stage, on that day, in the case as the move leaves it."""
        place = Standpoint(move.case.agency_code, tuple(rules.conditions(rulebook(), move.case)), opened_by)
        stages = rulebook().procedures[move.case.procedure].stages
        caller = self._caller(members, day_of(entry))
        return {s.stage: showing.owner_now(caller, stages[s.stage], place) for s in move.opened}

    def received(self, index: int, members: Members, entry: Appended, parts: Parts) -> None:
        del parts
        case, letter = self.cases[members["case"]], members["letter"]
        self._mandate(index, case, members, entry)
        before = case.state()
        running = rules.require_open(before, members["stage"])
        waited = receiving.letter_of(before, running)
        sent = case.stages[waited.stage, waited.round]
        sent["facts"] = {**sent["facts"], receiving.FIELD: letter["received_on"]}
        row, state = case.stages[running.stage, running.round], case.state()
        due = projecting.due_of(rulebook().procedures[state.procedure], state, running, self._calendar)
        says = {
            "stage": running.stage,
            "round": running.round,
            "letter": {**letter, "stage": waited.stage, "round": waited.round},
        }
        place = Standpoint(case.row["agency_code"], tuple(case.row["conditions"]), case.row["opened_by"])
        stage = rulebook().procedures[state.procedure].stages[running.stage]
        owner = showing.owner_now(self._caller(members, day_of(entry)), stage, place)
        opens = {"stage": running.stage, "round": running.round, "due_on": due.on.isoformat() if due.on else None}
        opens |= {"since": instant(row["opened_at"]), "owner": owner}
        self._said(index, members, {**says, **self._unmoved(case), "opens": [opens]})
        row |= {"due_on": due.on, "due": due.explained(), "entry_id": entry.id}
        self._touch(case, members, entry)

    def _unmoved(self, case: Case) -> dict[str, Any]:
        """What an entry says that moves no stage."""
        same_case = {n: case.row[n] for n in ("number", "procedure", "election", "status")}
        return {**same_case, "open": case.row["open_stages"], "opens": [], "skips": []}

    def erased(self, index: int, members: Members, entry: Appended, parts: Parts) -> None:
        del parts
        case = self.cases[members["case"]]
        self._said(index, members, {**self._unmoved(case), "person": members["erases"]["person"]})
        self._touch(case, members, entry, acts=False)

    def _touch(self, case: Case, members: Members, entry: Appended, *, acts: bool = True) -> None:
        if acts:
            case.row["acted"] = sorted({*case.row["acted"], members["party"]})
        case.row |= {
            "version": members["seq"],
            "head_hash": entry.leaf_hash,
            "updated_at": entry.received_at,
            "last_entry_id": entry.id,
        }

    def _same_facts(self, index: int, members: Members, facts: Mapping[str, Any], parts: Parts) -> None:
        """The summary is what the content shows of itself; where the content was erased, the summary stands alone."""
        content = parts.get("content")
        if content is None:
            return
        body = {n: v for n, v in content.items() if n in rulebook().vocabulary.fields}
        if views.in_summary(rulebook().vocabulary, body) != facts:
            self._find("SUMMARY_DIFFERS", index, members, "summary and content disagree")

    def _mandate(self, index: int, case: Case, members: Members, entry: Appended) -> None:
        """Step 9: on the day of the entry it was this party's turn."""
        self.report.count("standing")
        stage = rulebook().procedures[case.row["procedure"]].stages[members["stage"]]
        caller = self._caller(members, day_of(entry))
        row = case.row
        if not policy.has_turn(
            caller, stage, Standpoint(row["agency_code"], tuple(row["conditions"]), row["opened_by"])
        ):
            says = f"{members['party']} had no mandate for {stage.code} on that day"
            self.report.find("standing", "NO_MANDATE", f"case {members['case']}", says, log="cases", index=index)

    def _caller(self, members: Members, day: date) -> Caller:
        rows = self.registers.rows
        parties = {
            r["code"]: KnownParty(r["code"], r["kind"], r["agency_code"], suspended=False)
            for r in rows["party"].values()
        }
        clients: dict[str, KnownClient] = {}
        with_client = {r["party"] for r in rows["client"].values()}
        employers = {p.agency_code for p in parties.values() if p.kind == "ppk" and p.code in with_client}
        holders = self.registers.holders(day)
        known = Known(parties, clients, (), frozenset(), frozenset(filter(None, employers)), day, holders)
        party = parties[members["party"]]
        employer = party.agency_code if party.kind == "ppk" else None
        return Caller(party.code, party.kind, members["client"], frozenset(), employer, known, None, None)

    def rows(self) -> tuple[Expected, Expected]:
        """What the tables `cases` and `stage` must hold."""
        cases: Expected = {(case.row["id"],): case.row for case in self.cases.values()}
        stages = {
            (s["case_id"], s["stage"], s["round"]): s for case in self.cases.values() for s in case.stages.values()
        }
        return cases, stages


READERS = {
    "case.opened": Replay.opened,
    "stage.posted": Replay.posted,
    "stage.received": Replay.received,
    "subject.erased": Replay.erased,
    "erasure.refused": Replay.erased,
}
