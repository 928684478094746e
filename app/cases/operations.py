"""Build operations from the procedures: what the routes of opening, stages and bulk share.
There is one operation per stage code.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from functools import reduce
from operator import or_
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Discriminator, Tag

from app.procedure.loading import rulebook
from app.procedure.model import Procedure, Stage


def stages_by_code() -> dict[str, list[tuple[Procedure, Stage]]]:
    """Maps each stage code to its stages in all procedures that a case may be opened with."""
    stages: dict[str, list[tuple[Procedure, Stage]]] = {}
    for procedure in rulebook().current():
        for stage in procedure.stages.values():
            stages.setdefault(stage.code, []).append((procedure, stage))
    return stages


def later_stages_by_code() -> dict[str, list[tuple[Procedure, Stage]]]:
    """The same without first stages: those are posted by opening the case."""
    return {code: stages for code, stages in stages_by_code().items() if not any(s.opened_by_case for _, s in stages)}


def camel(code: str) -> str:
    return "".join(word.capitalize() for word in code.split("_"))


def outcomes_of(stages: list[tuple[Procedure, Stage]]) -> Any:
    return Literal[tuple(dict.fromkeys(o for _, s in stages for o in s.outcomes))]


def first_stages() -> Iterator[tuple[Procedure, Stage]]:
    for procedure in rulebook().current():
        for code in procedure.first_stages:
            yield procedure, procedure.stages[code]


def first_stages_by_code() -> dict[str, list[tuple[Procedure, Stage]]]:
    """Maps each first stage's code to the procedures that begin with it.
    These share a body, and the union of their outcomes.
    """
    stages: dict[str, list[tuple[Procedure, Stage]]] = {}
    for procedure, stage in first_stages():
        stages.setdefault(stage.code, []).append((procedure, stage))
    return stages


def first_stage_of(value: Any) -> str:
    """The tag of the model that validates a body; its errors then refer to the right model."""
    if isinstance(value, BaseModel):
        report: Any = getattr(value, "report", None)
        received: Any = getattr(report, "received_on", None)
    else:
        report = value.get("report") if isinstance(value, dict) else None
        received = report.get("received_on") if isinstance(report, dict) else None
    procedures = rulebook().current()
    try:
        day = received if isinstance(received, date) else date.fromisoformat(str(received))
    except ValueError:
        return f"~{procedures[-1].first_stages[0]}"
    return f"~{(rulebook().governing(day) or procedures[0]).first_stages[0]}"


def one_of(models: Mapping[str, type[BaseModel]], tag_of: Callable[[Any], str]) -> Any:
    """The body type of an operation that takes several models.
    `tag_of` picks the model that validates a body and that its errors refer to.
    """
    members: list[Any] = [Annotated[model, Tag(f"~{code}")] for code, model in models.items()]
    return Annotated[reduce(or_, members), Discriminator(tag_of)]


def post_description(stages: list[tuple[Procedure, Stage]]) -> str:
    """For the OpenAPI document: when a stage may be posted, by whom, and what each outcome needs.
    All of it comes from the data.
    """
    return "\n\n".join(when_of(procedure, stage) for procedure, stage in stages)


def when_of(procedure: Procedure, stage: Stage) -> str:
    opened = sorted(stage.opened_by) + [f"the clock of {s} running out" for s in sorted(stage.opened_by_clock_of)]
    recorder = f" (recorded by `{stage.recorder}` for a PPK without a client)" if stage.recorder else ""
    lines = [
        f"**{procedure.code}**: owner `{stage.owner}`{recorder}. May be posted while open; opened by {', '.join(opened)}."
    ]
    for outcome in stage.outcomes.values():
        needs_ = ", ".join(stage.body.required_for.get(outcome.code, ())) or "nothing more"
        to = ", ".join([w.stage for w in outcome.next] + [f"closes: {c.status}" for c in outcome.closes])
        lines.append(f"- `{outcome.code}` ({outcome.label['en']}) → {to}; needs {needs_}")
    return "\n".join(lines)
