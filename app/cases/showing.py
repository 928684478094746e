"""Turn rows into what a caller may see of them.
The view names the fields, so an unnamed field cannot leak.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from app.access import policy
from app.access.caller import Caller
from app.access.policy import AccessFacts
from app.cases.case import Case, Round
from app.cases.due_schemas import NextStep
from app.cases.schemas import CaseView, IncidentView, ReportView, StageLine, SubjectView
from app.procedure.loading import rulebook
from app.procedure.model import Stage


def owner_now(caller: Caller, stage: Stage, case: AccessFacts) -> str:
    """The party that fills the owner role today; after a succession, the successor."""
    return stage.owner if stage.owner == "ppk" else policy.role_holder(caller, stage.owner, case) or stage.owner


def recorder_now(caller: Caller, stage: Stage, case: AccessFacts) -> str | None:
    if stage.recorder is None:
        return None
    return policy.role_holder(caller, stage.recorder, case) or stage.recorder


def turn_members(caller: Caller, stage: Stage, case: AccessFacts) -> dict[str, Any]:
    """Of an open stage: who owns it, who records for a PPK, and which of both acts on it now."""
    return {
        "owner": owner_now(caller, stage, case),
        "recorder": recorder_now(caller, stage, case),
        "acts_now": policy.posting_party(caller, stage, case),
    }


def acts_now(caller: Caller, stage: Stage, case: AccessFacts, round_: Round | None) -> str | None:
    """The party whose turn an open round is; None for a round that is not open."""
    return policy.posting_party(caller, stage, case) if round_ is not None and round_.status == "open" else None


def lines(caller: Caller, case: Case) -> list[StageLine]:
    """Every stage of the procedure in its order: the rounds opened, and the stages that still wait."""
    rounds_by_stage: dict[str, list[Round]] = {}
    for round_ in case.rounds:
        rounds_by_stage.setdefault(round_.stage, []).append(round_)
    lines_, facts = list[StageLine](), case.access_facts
    for stage in case.its_procedure.stages.values():
        if stage.code in rounds_by_stage:
            lines_ += [_line(caller, stage, facts, round_) for round_ in rounds_by_stage[stage.code]]
        elif stage.only_if is None or stage.only_if in case.conditions:
            lines_.append(_unopened(caller, stage, case, facts))
    return lines_


def _unopened(caller: Caller, stage: Stage, case: Case, facts: AccessFacts) -> StageLine:
    return StageLine(
        stage=stage.code,
        round=1,
        status="skipped" if case.closed_at is not None else "waiting",
        owner=owner_now(caller, stage, facts),
        recorder=recorder_now(caller, stage, facts),
        **dict.fromkeys(("acts_now", "opened_at", "due_on", "outcome", "posted_at", "posted_by")),
    )


def _line(caller: Caller, stage: Stage, facts: AccessFacts, round_: Round) -> StageLine:
    return StageLine(
        stage=stage.code,
        round=round_.round,
        status=round_.status,
        owner=owner_now(caller, stage, facts),
        recorder=recorder_now(caller, stage, facts),
        acts_now=acts_now(caller, stage, facts, round_),
        opened_at=round_.opened_at,
        due_on=round_.due_on,
        outcome=round_.outcome,
        posted_at=round_.posted_at,
        posted_by=round_.posted_by,
    )


def header(caller: Caller, case: Case, language: str) -> dict[str, Any]:
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


def full_view(
    caller: Caller, case: Case, sealed: Mapping[str, Any], steps: Sequence[NextStep], language: str
) -> CaseView:
    """The full view of a case.
    `sealed`: fields by part, as visible_fields() allows them.
    """
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


def parts_in(caller: Caller, case: Case) -> set[str | None]:
    """The roles and parties that take part in the case.
    For a posted or open stage they posted, own, owned or record.
    """
    facts, roles = case.access_facts, set[str | None]()
    for round_ in case.rounds:
        if round_.status == "skipped":
            continue
        stage = case.its_procedure.stages[round_.stage]
        roles |= {round_.posted_by, stage.owner, owner_now(caller, stage, facts), recorder_now(caller, stage, facts)}
    return roles
