"""Drives the service as the five agencies would: day after day, each post by the party whose turn it is, the clock moved forward."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import uuid4

import httpx

from app.clock import JAKARTA
from app.procedure.charges import fitting
from app.procedure.loading import rulebook
from demo.bodies import body_for
from demo.plan import AS_OF, Planned

AT_ONCE = 8
UNAUTHORIZED = 401


class DemoError(Exception):
    """The service answered otherwise than the plan; the message is its answer."""


@dataclass
class Running:
    """A case under way: where it stands, and what is planned next."""

    planned: Planned
    step: int = 0
    id: str = ""
    etag: str = ""


@dataclass
class Driver:
    """The five agencies and the operator, over one connection pool."""

    http: httpx.AsyncClient
    clients: dict[str, dict[str, Any]]
    progress: Callable[[], None]
    tokens: dict[str, str] = field(default_factory=dict)

    async def headers(self, party: str) -> dict[str, str]:
        if party not in self.tokens:
            client = self.clients[party]
            secret = (client["client_id"], client["client_secret"])
            answer = await self.http.post("/oauth2/token", data={"grant_type": "client_credentials"}, auth=secret)
            self.tokens[party] = answer.raise_for_status().json()["access_token"]
        return {"Authorization": f"Bearer {self.tokens[party]}"}

    async def call(self, method: str, party: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """One call; a token that has run out is asked for anew."""
        for _ in range(2):
            made = await self.headers(party) | headers
            answer = await self.http.request(method, path, json=body, headers=made)
            if answer.status_code != UNAUTHORIZED:
                break
            self.tokens.pop(party, None)
        if answer.is_error:
            raise DemoError(f"{method} {path} by {party}: {answer.status_code} {answer.text}")
        return answer

    async def write(self, party: str, path: str, body: Any, **headers: str) -> httpx.Response:
        return await self.call("POST", party, path, body, **{"Idempotency-Key": str(uuid4())}, **headers)

    async def move_clock(self, day: date) -> None:
        moment = datetime.combine(day, time(17), JAKARTA)
        await self.call("PUT", "operator", "/v1/sandbox/clock", {"now": moment.isoformat()})

    async def bring(self, party: str, lines: list[str]) -> dict[str, Any]:
        """An import, until its last line: the job as it ended."""
        headers = await self.headers(party) | {"Idempotency-Key": str(uuid4()), "Content-Type": "application/x-ndjson"}
        answer = await self.http.post("/v1/imports", content="\n".join(lines), headers=headers)
        job: dict[str, Any] = answer.raise_for_status().json()
        done = 0
        while job["status"] in ("waiting", "running"):
            await asyncio.sleep(0.2)
            job = (await self.call("GET", party, f"/v1/imports/{job['id']}")).json()
            for _ in range(job["imported"] + job["refused"] - done):
                self.progress()
            done = job["imported"] + job["refused"]
        if job["refused"]:
            told = await self.call("GET", party, f"/v1/imports/{job['id']}/lines?status=refused&limit=3")
            raise DemoError(told.text)
        return job

    async def run(self, plan: list[Planned], on: Mapping[date, Callable[[], Awaitable[None]]]) -> None:
        """Every post on its day; cases side by side, the posts of one case one after the other. `on`: what else happens on a day."""
        calendar: dict[date, list[Running]] = defaultdict(list)
        for planned in plan:
            calendar[planned.received_on].append(Running(planned))
        room = asyncio.Semaphore(AT_ONCE)
        day = min(calendar)
        while day <= AS_OF:
            if calendar[day] or day in on:
                await self.move_clock(day)
            if day in on:
                await on[day]()
            if calendar[day]:
                async with asyncio.TaskGroup() as group:
                    for case in calendar[day]:
                        group.create_task(self._today(case, day, calendar, room))
            day += timedelta(days=1)
        if max(calendar) < AS_OF or not calendar[AS_OF]:
            await self.move_clock(AS_OF)

    async def _today(
        self, case: Running, day: date, calendar: dict[date, list[Running]], room: asyncio.Semaphore
    ) -> None:
        async with room:
            await self._step(case, day)
        self.progress()
        case.step += 1
        if case.step < len(case.planned.path):
            calendar[day + timedelta(days=max(1, case.planned.path[case.step][2]))].append(case)

    async def _step(self, case: Running, day: date) -> None:
        stage, outcome, _ = case.planned.path[case.step]
        if case.step == 0:
            answer = await self.write(case.planned.opener, "/v1/cases", opening(case.planned, stage, outcome))
            case.id = answer.json()["id"]
        else:
            path = f"/v1/cases/{case.id}/stages/{stage}"
            path, body = (
                (f"{path}/receipts", {"received_on": day.isoformat()})
                if outcome == "receipt"
                else (path, post(case.planned, stage, outcome, day))
            )
            answer = await self._post(case, poster(case.planned, stage), path, body)
        case.etag = answer.headers["ETag"]

    async def _post(self, case: Running, party: str, path: str, body: Any) -> httpx.Response:
        """The watcher may have written meanwhile that a term ran out: then the case is read again."""
        while True:
            try:
                return await self.write(party, path, body, **{"If-Match": case.etag})
            except DemoError as error:
                if "STALE_VERSION" not in str(error):
                    raise
            seen = await self.call("GET", party, f"/v1/cases/{case.id}")
            case.etag = seen.headers["ETag"]


def poster(planned: Planned, stage: str) -> str:
    """Until September 2024 every role is filled by the agency of its name; a PPK has no client, its recorder posts."""
    found = rulebook().procedures[planned.procedure].stages[stage]
    return str(found.recorder) if found.owner == "ppk" else found.owner


def post(planned: Planned, stage: str, outcome: str, day: date) -> dict[str, Any]:
    who = planned.person
    known = {
        "subject_nip": who.nip,
        "subject_name": who.name,
        "subject_agency_code": who.agency_code,
        "violation_codes": [planned.violation],
        "sanction_code": fitting(rulebook(), [planned.violation], planned.occurred_on, "pns")[0],
    }
    return body_for(planned.procedure, stage, outcome, day, **known)


def opening(planned: Planned, stage: str, outcome: str) -> dict[str, Any]:
    who, day, happened = planned.person, planned.received_on, planned.occurred_on
    kind = "laporan" if planned.procedure == "skb_2022" else "publik"
    known = outcome != "perlu_identifikasi"
    return {
        "report": {
            "kind": kind,
            "report_number": planned.number,
            "received_on": day.isoformat(),
            "reporter": {"name": "Pelapor Contoh"},
        },
        "subject": {
            "nip": who.nip if known else None,
            "name": who.name,
            "agency_code": who.agency_code,
            "job_level": who.job_level,
            "kind": "pns",
        },
        "election": planned.election,
        "incident": {
            "occurred_on": happened.isoformat(),
            "province": who.province,
            "channel": "media_sosial",
            "account": "Uraian peristiwa buatan.",
        },
        "violations": [planned.violation],
        **body_for(planned.procedure, stage, outcome, day, has_identity_number=known, known_on=happened.isoformat()),
    }
