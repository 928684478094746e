"""Reads versions/*.yaml, vocabulary.yaml and the files of catalogues/ into values.
The rules are data: nothing is added here.
"""

import csv
import hashlib
from collections.abc import Mapping
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from app.procedure.checks import check_rulebook
from app.procedure.code_lists import EXTENSIBLE
from app.procedure.model import (
    BodyRule,
    Catalogue,
    Closing,
    Condition,
    DeadlineRule,
    Extension,
    Field,
    Outcome,
    Pause,
    Procedure,
    Rulebook,
    Stage,
    StatisticDefinition,
    Status,
    Succession,
    Vocabulary,
    When,
    Withdrawal,
)

HERE = Path(__file__).parent
LISTS = {
    "violations": ("violations", "violations"),
    "sanctions": ("sanctions", "sanctions"),
    "elections": ("elections", "elections"),
    "parties": ("parties", "parties"),
    "control_actions": ("sanctions", "control_actions"),
    "sanction_levels": ("sanctions", "levels"),
    "legacy_violations": ("violations", "legacy_forms"),
    "laws": ("laws", "laws"),
    **{
        name: ("lists", name)
        for name in (
            "purposes",
            "job_levels",
            "subject_kinds",
            "report_kinds",
            "channels",
            "evidence_kinds",
        )
    },
}


# the parser of libyaml: with the other one, reading takes half of the start-up time of a process
SAFE = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _yaml(path: Path) -> dict[str, Any]:
    data: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), SAFE)  # noqa: S506 - it is the safe loader
    return data


def _csv(path: Path) -> dict[str, dict[str, Any]]:
    """Rows by code; an empty cell is None. Lines that begin with # say where the rows come from."""
    lines = (line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    return {row["code"]: {name: text or None for name, text in row.items()} for row in csv.DictReader(lines)}


def _label(row: Mapping[str, Any], *, prefix: str = "") -> dict[str, str]:
    return {"id": row[f"{prefix}id"], "en": row[f"{prefix}en"]}


def _when(row: str | Mapping[str, str]) -> When:
    if isinstance(row, str):
        return When(row)
    return When(row["stage"], row.get("if"), row.get("unless"))


def _closes(row: str | list[Mapping[str, str]] | None) -> tuple[Closing, ...]:
    if row is None:
        return ()
    if isinstance(row, str):
        return (Closing(row),)
    return tuple(Closing(c["status"], c.get("if")) for c in row)


def _outcome(code: str, row: Mapping[str, Any]) -> Outcome:
    return Outcome(
        code=code,
        label=_label(row),
        next=tuple(_when(w) for w in row.get("next", ())),
        drops=tuple(row.get("drops", ())),
        closes=_closes(row.get("closes")),
        as_overdue=row.get("as_overdue", False),
        holds=row.get("if"),
        fails=row.get("unless"),
        identified=row.get("identified", False),
        sanction=row.get("sanction"),
    )


def _extension(row: Mapping[str, Any] | None) -> Extension | None:
    if row is None:
        return None
    return Extension(row.get("total"), row.get("adds"), row["unit"], row["when"], row["certainty"])


def _clock(row: Mapping[str, Any]) -> DeadlineRule:
    return DeadlineRule(
        value=row["value"],
        unit=row.get("unit"),
        starts=tuple(row.get("starts", ())),
        regime=row.get("regime"),
        kinds=tuple(row.get("kind", ())),
        after=tuple(row.get("after", ())),
        overdue_opens=tuple(_when(w) for w in row.get("overdue_opens", ())),
        extension=_extension(row.get("extension")),
        certainty=row["certainty"],
        unit_certainty=row.get("unit_certainty"),
        start_certainty=row.get("start_certainty"),
        reason=row.get("reason"),
        source=tuple(row.get("source", ())),
    )


def _body(row: Mapping[str, Any]) -> BodyRule:
    needs = {o: tuple(fields) for o, fields in row.get("required_for", {}).items()}
    return BodyRule(tuple(row["required"]), tuple(row.get("optional", ())), needs)


def _stage(row: Mapping[str, Any]) -> Stage:
    examples = [row["example"], *row.get("more_examples", ())] if "example" in row else []
    return Stage(
        code=row["code"],
        model=row["model"],
        label=_label(row, prefix="title_"),
        owner=row["owner"],
        recorder=row.get("recorder"),
        members=tuple(row.get("with", ())),
        may_open=tuple(row.get("may_open", ())),
        only_if=row.get("only_if"),
        status=row["status"],
        opened_by=frozenset(row["opens_when"].get("outcomes", ())),
        opened_by_clock_of=frozenset(row["opens_when"].get("overdue", ())),
        opened_by_case=row["opens_when"].get("case_opened", False),
        clocks=tuple(_clock(c) for c in row["deadline"]),
        outcomes={code: _outcome(code, o) for code, o in row["outcomes"].items()},
        body=_body(row["body"]),
        full=frozenset(row["views"]["full"]),
        summary=frozenset(row["views"]["summary"]),
        certainty=row["certainty"],
        source=tuple(row.get("source", ())),
        examples=tuple(examples),
    )


def read_procedure(path: Path) -> Procedure:
    """Read one procedure file.
    Its SHA-256 is of the bytes as reviewed, and is recorded in the log.
    `stages_of` in the file: the stages are those of another file.
    """
    row = _yaml(path)
    if "stages_of" in row:
        base = _yaml(path.with_name(f"{row['stages_of']}.yaml"))
        row |= {name: base[name] for name in ("first_stages", "stages", "example_case")}
    return Procedure(
        code=row["code"],
        label=_label(row, prefix="title_"),
        valid_from=date.fromisoformat(row["valid_from"]),
        valid_to=date.fromisoformat(row["valid_to"]) if row["valid_to"] else None,
        first_stages=tuple(row["first_stages"]),
        stages={s["code"]: _stage(s) for s in row["stages"]},
        example_case=row.get("example_case", {}),
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        import_only=row.get("import_only", False),
    )


def _field(row: Mapping[str, Any]) -> Field:
    values = {code: (pair[0], pair[1]) for code, pair in row.get("values", {}).items()}
    return Field(
        type=row["type"],
        label=_label(row),
        personal=row["personal"],
        summary=row["summary"],
        future=row.get("future", False),
        identity=row.get("identity", False),
        values=values,
    )


def _measure(code: str, row: Mapping[str, Any]) -> StatisticDefinition:
    outcomes = tuple(row.get("outcomes", ()))
    return StatisticDefinition(
        code, _label(row), outcomes, row.get("status"), row.get("condition"), row.get("of", code)
    )


def _pause(row: Mapping[str, Any]) -> Pause:
    return Pause(frozenset(row["stages"]), row["max"], row["unit"], row["times"])


def _withdrawal(row: Mapping[str, Any]) -> Withdrawal:
    return Withdrawal(row["closes"], frozenset(row["by"]), frozenset(row["until"]))


def _statuses(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Status]:
    return {
        code: Status(code, _label(row), kind == "closed", row.get("published"))
        for kind, group in rows.items()
        for code, row in group.items()
    }


def read_vocabulary(path: Path) -> Vocabulary:
    row = _yaml(path)
    return Vocabulary(
        fields={name: _field(f) for name, f in row["fields"].items()},
        every_stage=_body(row["every_stage"]),
        conditions={
            code: Condition(
                code,
                frozenset(c.get("set_by", ())),
                frozenset(c.get("cleared_by", ())),
                _label(c),
                c.get("by"),
                frozenset(c.get("touched", ())),
                "test" in c,
            )
            for code, c in row["conditions"].items()
        },
        statuses=_statuses(row["statuses"]),
        succession=tuple(
            Succession(s["role"], date.fromisoformat(s["from"]), s["to"], s.get("if"), s.get("unless"))
            for s in row["succession"]
        ),
        no_receipt_days=row["no_receipt"]["plus"],
        pause=_pause(row["pause"]),
        extension_times=row["extension_times"],
        due_soon=(row["due_soon"]["value"], row["due_soon"]["unit"]),
        ageing=tuple(row["ageing"]["upper"]),
        withdrawal=_withdrawal(row["withdrawal"]),
        sources=row["sources"],
        measures={code: _measure(code, m) for code, m in row["statistics"].items()},
    )


def read_catalogue(folder: Path) -> Catalogue:
    files = {path.stem: _yaml(path) for path in folder.glob("*.yaml")}
    lists = {name: {row["code"]: row for row in files[file][key]} for name, (file, key) in LISTS.items()}
    lists["sanctions"] |= {row["code"]: row for row in files["sanctions"]["historic"]}
    provinces = files["provinces"]["provinces"]
    lists["provinces"] = {code: {"code": code, **row} for row in provinces if (code := row["kemendagri"])}
    lists |= {name: _csv(folder / f"{name}.csv") for name in EXTENSIBLE}
    prefixes = {row.get("bkn_prefix") or row["bkn_kode_cepat"][:2] for row in provinces}
    return Catalogue(lists, frozenset(prefixes), tuple(files["parties"]["mandates"]))


def read_rulebook(folder: Path = HERE) -> Rulebook:
    """Read the whole rulebook and cross-check it.
    A flaw in the data stops the start, with a message that names it.
    """
    procedures = [read_procedure(p) for p in sorted((folder / "versions").glob("*.yaml"))]
    rulebook = Rulebook(
        read_vocabulary(folder / "vocabulary.yaml"),
        {p.code: p for p in sorted(procedures, key=lambda p: p.valid_from)},
        read_catalogue(folder / "catalogues"),
    )
    check_rulebook(rulebook)
    return rulebook


@cache
def stage_codes() -> frozenset[str]:
    """Every stage code of every procedure."""
    return frozenset(code for p in rulebook().procedures.values() for code in p.stages)


@cache
def rulebook() -> Rulebook:
    """The rulebook of this installation, read once a process."""
    return read_rulebook()
