"""From rows to what a caller may see of them: the view names the fields; an unnamed field cannot leak."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from app.access import policy
from app.access.caller import Caller
from app.access.policy import AccessFacts
from app.cases.due_schemas import NextStep
from app.cases.schemas import CaseHeader, CaseView, IncidentView, ReportView, StageLine, SubjectView
from app.procedure.loading import rulebook
from app.procedure.model import Stage
from app.procedure.views import FULL, view_of


def access_facts(case: Any) -> AccessFacts:
    return AccessFacts(case.agency_code, tuple(case.conditions), case.opened_by, case.successors)


def owner_now(caller: Caller, stage: Stage, case: AccessFacts) -> str:
    """Who fills the owner role today: after a succession, the successor."""
    return stage.owner if stage.owner == "ppk" else policy.holder(caller, stage.owner, case) or stage.owner


def recorder_now(caller: Caller, stage: Stage, case: AccessFacts) -> str | None:
    if stage.recorder is None:
        return None
    return policy.holder(caller, stage.recorder, case) or stage.recorder


def lines(caller: Caller, case: Any) -> list[StageLine]:
    """Every stage of the procedure in its order: rounds that were opened, and what still waits."""
    known: dict[str, list[Mapping[str, Any]]] = {}
    for row in case.stages:
        known.setdefault(row["stage"], []).append(row)
    seen, place = [], access_facts(case)
    for stage in rulebook().procedures[case.procedure].stages.values():
        if stage.code in known:
            seen += [_line(caller, stage, place, row) for row in known[stage.code]]
        elif stage.only_if is None or stage.only_if in case.conditions:
            seen.append(_line(caller, stage, place, _unopened(closed=case.closed_at is not None)))
    return seen


def _unopened(*, closed: bool) -> dict[str, Any]:
    empty = dict.fromkeys(("opened_at", "due_on", "outcome", "posted_at", "posted_by"))
    return {**empty, "round": 1, "status": "skipped" if closed else "waiting"}


def _line(caller: Caller, stage: Stage, place: AccessFacts, row: Mapping[str, Any]) -> StageLine:
    return StageLine(
        stage=stage.code,
        round=row["round"],
        status=row["status"],
        owner=owner_now(caller, stage, place),
        recorder=recorder_now(caller, stage, place),
        opened_at=instant(row["opened_at"]),
        due_on=day(row["due_on"]),
        outcome=row["outcome"],
        posted_at=instant(row["posted_at"]),
        posted_by=row["posted_by"],
    )


def header(caller: Caller, case: Any, language: str) -> dict[str, Any]:
    """The members of CaseHeader."""
    return {
        "id": case.id,
        "number": case.number,
        "version": case.version,
        "procedure": case.procedure,
        "election": case.election,
        "contest": case.contest,
        "status": case.status,
        "status_label": rulebook().vocabulary.statuses[case.status].label[language],
        "open_stages": case.open_stages,
        "stages": lines(caller, case),
        "agency_code": case.agency_code,
        "job_level": case.job_level,
        "province": case.province,
        "violations": case.violations,
        "laws": case.laws,
        "report_number": case.report_number,
        "received_on": case.received_on,
        "opened_by": case.opened_by,
        "opened_at": case.opened_at,
        "updated_at": case.updated_at,
        "closed_at": case.closed_at,
    }


def in_list(caller: Caller, case: Any, language: str) -> CaseHeader:
    return CaseHeader(**header(caller, case, language))


def whole(caller: Caller, case: Any, sealed: Mapping[str, Any], steps: Sequence[NextStep], language: str) -> CaseView:
    """`sealed`: the parts that may_read() named, and no others."""
    subject, reporter = sealed.get("subject"), sealed.get("reporter")
    return CaseView(
        **header(caller, case, language),
        report=ReportView(
            kind=case.report_kind,
            report_number=case.report_number,
            received_on=case.received_on,
            received_by=case.opened_by,
            reporter=reporter,
        ),
        subject=SubjectView(
            **{name: subject[name] if subject else None for name in ("nip", "nik", "name")},
            masked=subject is None,
            identified=case.identified,
            agency_code=case.agency_code,
            job_level=case.job_level,
            kind=case.subject_kind,
        ),
        incident=IncidentView(
            occurred_on=case.occurred_on,
            province=case.province,
            regency=case.regency,
            channel=case.channel,
            account=sealed.get("account"),
        ),
        next=list(steps),
    )


def may_read(caller: Caller, case: Any) -> list[str]:
    """Which sealed parts of a case the caller may read: they are selected by this list, not filtered after."""
    place, parts = access_facts(case), []
    if policy.identifies(caller, place, parts_in(caller, case)):
        parts.append("subject")
    if policy.reads_reporter(caller, place):
        parts.append("reporter")
    first = rulebook().procedures[case.procedure].stages[first_stage(case)]
    if view_of(first, policy.viewer(caller, place)) == FULL:
        parts.append("account")
    return parts


def first_stage(case: Any) -> str:
    return next(str(s["stage"]) for s in case.stages if s["after"] == "case_opened")


def parts_in(caller: Caller, case: Any) -> set[str | None]:
    """Who own, owned or record for a posted or open stage of the case."""
    place, found = access_facts(case), set[str | None]()
    for row in case.stages:
        if row["status"] == "skipped":
            continue
        stage = rulebook().procedures[case.procedure].stages[row["stage"]]
        found |= {row["posted_by"], stage.owner, owner_now(caller, stage, place), recorder_now(caller, stage, place)}
    return found


def day(value: str | None) -> date | None:
    return date.fromisoformat(value) if value else None


def instant(value: str | None) -> datetime | None:
    return datetime.fromisoformat(value) if value else None
