"""Any life of a case: random acts, allowed and not, over all procedures. After each the log alone gives the same rows, due dates are
what a wall calendar gives, and no state is there that must not be.
"""

import os
from datetime import date, timedelta
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from app.procedure.loading import rulebook
from demo.bodies import body_for
from tests.imports.test_imports import imported, line
from tests.support.house import Case, House
from tests.support.replaying import check_replay
from tests.support.walks import first_body

SOAK = bool(os.environ.get("SBT_SOAK"))
AGENCIES = ("bawaslu", "kasn", "bkn", "kemendagri", "kemenpanrb")
BEGUN = {"skb_2022": "2024-06-03", "sbt_2024": "2024-10-10", "skb_2020": "2024-06-03"}
STAGES = sorted({code for p in rulebook().procedures.values() for code in p.stages})
REFUSED = {403, 404, 409, 412, 422}  # 404: KASN after its mandate, in a case it had no part in


class AnyLife(RuleBasedStateMachine):
    """One case, five agencies, a clock, a watcher."""

    api: ClassVar[House]
    days_off: ClassVar[set[str]]
    case: Case
    today: date
    version: int
    seen: dict[str, Any]

    @initialize(
        procedure=st.sampled_from(sorted(BEGUN)), regional=st.booleans(), posts=st.integers(1, 8), general=st.booleans()
    )
    def begin(self, *, procedure: str, regional: bool, posts: int, general: bool) -> None:
        self.today = date.fromisoformat(BEGUN[procedure])
        self._clock()
        employer = "7600" if regional else "4011"
        if procedure == "skb_2020":
            (result,) = imported(self.api, [line(posts, subject__agency_code=employer)])
            self.case = Case(result["case_id"], "", procedure)
        else:
            self.case = self._opened(procedure, employer, general=general)
        self._read()

    def _opened(self, procedure: str, employer: str, *, general: bool) -> Case:
        day, before = self.today.isoformat(), (self.today - timedelta(days=2)).isoformat()
        body = first_body(
            procedure, subject__agency_code=employer, report__received_on=day, incident__occurred_on=before,
            violations=["ds_14"], election="pemilu_2024" if general else "pilkada_2024",
        )  # fmt: skip
        body |= body_for(
            procedure, rulebook().procedures[procedure].first_stages[0], "diterima", self.today, known_on=before
        )
        answer = self.api.send("bawaslu" if procedure == "skb_2022" else "bkn", "/v1/cases", body)
        assert answer.status_code == 201, answer.text
        return Case(answer.json()["id"], answer.headers["ETag"], procedure)

    def _clock(self) -> None:
        self.api.at(self.today.isoformat())

    def _read(self) -> None:
        answer = self.api.get("auditor", f"/v1/cases/{self.case.id}", X_Purpose="audit")
        assert answer.status_code == 200, answer.text
        self.seen, self.case.etag = answer.json(), answer.headers["ETag"]
        self.version = self.seen["version"]

    def _act(self, party: str, path: str, body: Any) -> bool:
        """Whether it was allowed. What is refused changes nothing, and is never the service's own fault."""
        answer = self.api.send(party, f"/v1/cases/{self.case.id}/{path}", body, If_Match=self.case.etag)
        assert answer.status_code in REFUSED | {201}, f"{path} {answer.status_code} {answer.text}"
        before = self.version
        self._read()
        assert self.version == before + (answer.status_code == 201), answer.text
        return answer.status_code == 201

    @precondition(lambda self: self.seen["next"])
    @rule(data=st.data())
    def post_what_is_open(self, data: st.DataObject) -> None:
        step = data.draw(st.sampled_from(self.seen["next"]))
        outcome = data.draw(st.sampled_from(step["outcomes"]))
        known = {"violation_codes": ["ds_14"]}
        body = body_for(self.case.procedure, step["stage"], outcome, self.today, **known)
        if self.case.procedure == "skb_2020" and "sanction_code" in body["body"] and outcome == "sanksi_sesuai":
            body["body"]["sanction_code"] = "h_berat_bebas"
        assert self._act(step["acts_now"], f"stages/{step['stage']}", body), (step, outcome)

    @rule(stage=st.sampled_from(STAGES), party=st.sampled_from(AGENCIES), data=st.data())
    def post_anything(self, stage: str, party: str, data: st.DataObject) -> None:
        found = next(p.stages[stage] for p in rulebook().procedures.values() if stage in p.stages)
        outcome = data.draw(st.sampled_from(sorted(found.outcomes)))
        procedure = next(p.code for p in rulebook().procedures.values() if stage in p.stages)
        self._act(party, f"stages/{stage}", body_for(procedure, stage, outcome, self.today, violation_codes=["ds_14"]))

    @precondition(lambda self: self.seen["next"])
    @rule(data=st.data(), act=st.sampled_from(["extensions", "pauses", "receipts"]), days=st.integers(-1, 25))
    def move_a_clock(self, data: st.DataObject, act: str, days: int) -> None:
        step = data.draw(st.sampled_from(self.seen["next"]))
        body: dict[str, Any] = {"reason": "Alasan contoh."}
        if act == "pauses":
            body["until"] = (self.today + timedelta(days=days)).isoformat()
        if act == "receipts":
            body = {"received_on": (self.today - timedelta(days=max(days, 0))).isoformat()}
        self._act(step["acts_now"], f"stages/{step['stage']}/{act}", body)

    @rule(data=st.data(), party=st.sampled_from(AGENCIES), note=st.integers(0, 3))
    def correct_what_was_posted(self, data: st.DataObject, party: str, note: int) -> None:
        lines = [s for s in self.seen["stages"] if s["status"] == "posted"]
        chosen = data.draw(st.sampled_from(lines))
        body = body_for(self.case.procedure, chosen["stage"], chosen["outcome"], self.today, violation_codes=["ds_14"])
        body["body"]["summary_text"] = f"Dibetulkan {note}."
        self._act(party, f"stages/{chosen['stage']}/corrections", {"body": body["body"], "reason": "Salah ketik."})

    @rule(party=st.sampled_from(AGENCIES))
    def take_back(self, party: str) -> None:
        self._act(party, "withdrawals", {"reason": "Dicabut."})

    @rule(party=st.sampled_from(AGENCIES), data=st.data())
    def open_again(self, party: str, data: st.DataObject) -> None:
        stage = data.draw(st.sampled_from(sorted({s["stage"] for s in self.seen["stages"]})))
        self._act(party, "reopenings", {"stage": stage, "reason": "Bukti baru."})

    @rule(party=st.sampled_from(AGENCIES), to=st.sampled_from(AGENCIES))
    def hand_over(self, party: str, to: str) -> None:
        self._act(party, "transfers", {"role": "kasn", "to": to, "reason": "Peralihan."})

    @rule(days=st.integers(1, 30))
    def let_time_pass(self, days: int) -> None:
        self.today += timedelta(days=days)
        self._clock()
        self.api.watched()
        self._read()
        late = [s for s in self.seen["next"] if s["due_on"] and s["due_on"] < self.today.isoformat()]
        rows = self.api.superuser(
            "SELECT 1 FROM stage WHERE case_id = %s AND status = 'open' AND due_on < %s AND passed_entry_id IS NULL",
            self.case.id, self.today,
        )  # fmt: skip
        assert not rows, "a deadline passed, and nobody said so"
        assert all(not s["when_overdue"] for s in late)

    @invariant()
    def the_log_gives_the_same_rows(self) -> None:
        if hasattr(self, "seen"):
            check_replay(self.api, self.case)

    @invariant()
    def no_forbidden_state(self) -> None:
        if not hasattr(self, "seen"):
            return
        seen, statuses = self.seen, rulebook().vocabulary.statuses
        assert bool(seen["open_stages"]) != bool(seen["closed_at"]) == statuses[seen["status"]].closed
        assert (
            sorted(s["stage"] for s in seen["next"]) == sorted(seen["open_stages"]) == sorted(set(seen["open_stages"]))
        )
        rounds: dict[str, list[int]] = {}
        for one in seen["stages"]:
            rounds.setdefault(one["stage"], []).append(one["round"])
        assert all(sorted(found) == list(range(1, len(found) + 1)) for found in rounds.values())
        assert all(step["outcomes"] and step["acts_now"] in AGENCIES for step in seen["next"])

    @invariant()
    def due_dates_are_those_of_a_wall_calendar(self) -> None:
        for step in self.seen["next"] if hasattr(self, "seen") else ():
            due = step["due"]
            if due["on"] is None:
                continue
            rule_ = _rule(self.case.procedure, step["stage"], due)
            span = _days(due["start"], due["on"])
            skipped = {d["day"] for d in due["skipped"]}
            assert len(span) - len(skipped) == rule_, (due, rule_)
            working = due["unit"] == "working_day" or "kerja" in due["text"]
            paused = due["paused"] or {"since": "9999", "until": "0000"}
            for day in span:
                off = working and (date.fromisoformat(day).weekday() >= 5 or day in self.days_off)
                off = off or paused["since"] <= day <= paused["until"]
                assert (day in skipped) == off, (day, due)


def _days(start: str, end: str) -> list[str]:
    first, last = date.fromisoformat(start), date.fromisoformat(end)
    return [(first + timedelta(days=n)).isoformat() for n in range(1, (last - first).days + 1)]


def _rule(procedure: str, stage: str, due: dict[str, Any]) -> int:
    """How many days must count: the term, or what an extension made of it."""
    if not due["extended"]:
        return int(due["value"])
    found = [c for c in rulebook().procedures[procedure].stages[stage].clocks if c.extension]
    if any(c.extension and c.extension.total == due["value"] for c in found):
        return int(due["value"])
    longer = next(c.extension for c in found if (c.value, c.unit) == (due["value"], due["unit"]))
    return int(due["value"] + (longer.adds if longer and longer.adds else 0))


@pytest.fixture
def life(api: House) -> type[AnyLife]:
    AnyLife.api = api
    AnyLife.days_off = {row["day"] for row in api.http.get("/v1/reference/holidays").json()["data"]}
    return AnyLife


def test_any_life_of_a_case_keeps_every_promise(life: type[AnyLife]) -> None:
    run_state_machine_as_test(
        life,
        settings=settings(
            max_examples=150 if SOAK else 5,
            stateful_step_count=30 if SOAK else 14,
            deadline=None,
            derandomize=not SOAK,  # the same lives each time in the short run; others in the long one
            phases=(Phase.generate, Phase.shrink) if SOAK else (Phase.generate,),
            suppress_health_check=list(HealthCheck),
        ),
    )
