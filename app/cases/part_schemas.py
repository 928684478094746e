"""The models of sealed parts: which fields an entry commits to.
Each has a name and a version; a change without a new version fails the test suite.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, StringConstraints
from sqlalchemy import bindparam, insert

from app import clock
from app.cases.bodies import MODELS, Documents, StageBody
from app.cases.models import PartSchema
from app.cases.schemas import ProvinceCode, Reporter
from app.database.batches import StatementBatch
from app.database.sessions import Session
from app.database.statements import Statement
from app.http.wire import AgencyCode, Body, Code, Codes, Day, Nik, Nip, String, Text
from app.ledger.append import append
from app.ledger.canonical import canonical
from app.ledger.parts import Schema, b64u
from app.procedure.loading import rulebook
from app.procedure.views import TEXT

VERSIONS = Path(__file__).with_name("part_schemas.json")
# as sealed: entries of before 0.5.0 hold a regency without its dot too
RegencyCode = Annotated[str, StringConstraints(pattern=r"^[0-9]{2}\.?[0-9]{2}$")]
SAID_OTHERWISE = ("title", "description", "examples", "default")
KNOWN = Statement("SELECT name, version, sha256 FROM part_schema")
OLDER = Statement(
    "SELECT e.leaf FROM part_schema s JOIN entry e ON e.id = s.entry_id WHERE s.name = :name AND s.version = :version"
)
INSERT = Statement(insert(PartSchema).values({c.name: bindparam(c.name) for c in PartSchema.__table__.columns}))


class PersonPart(Body):
    """Who it is about."""

    nip: Nip | None
    nik: Nik | None
    name: String | None


class Outline(Body):
    """What every party that sees a case sees of its opening."""

    contest: Code | None
    report_kind: Code
    report_number: String
    job_level: Code
    subject_kind: Code
    occurred_on: Day
    province: ProvinceCode
    regency: RegencyCode | None
    channel: Code
    violations: Codes
    laws: Codes


class EmployerFacts(Body):
    """Where the case stands after the entry, as far as contents decide it."""

    agency_code: AgencyCode
    identified: bool


class Grounds(Body):
    """Why a term was extended, a stage paused, a case taken back, opened again or handed over."""

    reason: Text
    documents: Documents | None


class Moved(Body):
    """The employer before the posts of an imported case."""

    first_agency_code: AgencyCode


class CorrectionReason(Body):
    """Why a post was corrected."""

    correction_reason: Text


class ImportedPost(Body):
    """A post of an older case, made before there was this ledger."""

    stage: Code
    round: int
    outcome: Code
    names: bool
    body: dict[str, Any]


class WordsOfPost(Body):
    """The free text of the summary of a post of an older case."""

    stage: Code
    round: int
    body: dict[str, Any]


class WordsOfPosts(Body):
    """The same of all its posts."""

    posts: list[WordsOfPost]


class SignaturePart(Body):
    """What the party signed: the base of RFC 9421 and the signature over it. Neither names anybody."""

    base: str
    signature: str


class RequestPart(Body):
    """The body that was signed; where it names a reporter too, masked, and nothing without the mask."""

    body: str
    masked: bool


class MaskPart(Body):
    """What a masked body is read with: sealed with the reporter's key,
    so that an erasure of either person takes the body.
    """

    mask: str


class Posts(Body):
    """The posts of an older case, in their order."""

    posts: list[ImportedPost]


class Account(Body):
    """What happened, in words; and why what the service would have refused was opened all the same."""

    account: Text
    phase_override: Text | None
    duplicate_override: Text | None


def texts() -> dict[str, dict[str, Any]]:
    """Maps each model's name to its JSON Schema, without members that only people read."""
    schema_texts = {"subject": _schema(PersonPart), "reporter": _schema(Reporter), "content.Grounds": _schema(Grounds)}
    schema_texts |= {"signature": _schema(SignaturePart), "request": _schema(RequestPart), "mask": _schema(MaskPart)}
    schema_texts |= {
        "text": _only(_any_model(), _of_summary(_any_model(), words=True)),
        "import_text.Import": _schema(WordsOfPosts),
    }
    schema_texts["import_content.Import"] = _joined(_schema(Account), _schema(Posts))
    schema_texts["import_summary.Import"] = _joined(
        _schema(EmployerFacts), _schema(Outline), _schema(Moved), _schema(Posts)
    )
    for name, model in MODELS.items():
        summary = _only(model, _of_summary(model, words=False))
        schema_texts[f"content.{name}"] = _schema(model)
        schema_texts[f"correction_content.{name}"] = _joined(_schema(model), _schema(CorrectionReason))
        schema_texts[f"summary.{name}"] = _joined(summary, _schema(EmployerFacts))
        if name in _first_models():
            schema_texts[f"opening_content.{name}"] = _joined(_schema(model), _schema(Account))
            schema_texts[f"opening_summary.{name}"] = _joined(summary, _schema(EmployerFacts), _schema(Outline))
    return schema_texts


def _any_model() -> type[StageBody]:
    """Any body model: every stage has the same free text."""
    return next(iter(MODELS.values()))


def _of_summary(model: type[StageBody], *, words: bool) -> list[str]:
    """The members of the model's summary: the free text if `words`, else the others.
    The free text is a part of its own.
    """
    fields = rulebook().vocabulary.fields
    return [n for n in model.model_fields if fields[n].summary and (fields[n].type == TEXT) == words]


def _first_models() -> set[str]:
    procedures = rulebook().procedures.values()
    return {p.stages[code].model for p in procedures for code in p.first_stages}


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    made: dict[str, Any] = _plain(model.model_json_schema())
    return {n: made[n] for n in ("type", "properties", "$defs", "additionalProperties") if n in made}


def _plain(node: Any, *, names: bool = False) -> Any:
    """The schema without the members in SAID_OTHERWISE.
    `names`: the keys of this node are names of members, not keywords of JSON Schema.
    """
    if isinstance(node, list):
        return [_plain(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        k: _plain(v, names=k in ("properties", "$defs") and not names)
        for k, v in node.items()
        if names or k not in SAID_OTHERWISE
    }


def _only(model: type[StageBody], names: Iterable[str]) -> dict[str, Any]:
    whole = _schema(model)
    return {**whole, "properties": {n: whole["properties"][n] for n in names}} | {"$defs": {}}


def _joined(*schemas: Mapping[str, Any]) -> dict[str, Any]:
    first = dict(schemas[0])
    for name in ("properties", "$defs"):
        first[name] = {k: v for s in schemas for k, v in s.get(name, {}).items()}
    return first


def text_hash(schema: Mapping[str, Any]) -> str:
    return b64u(hashlib.sha256(canonical(dict(schema))).digest())


@cache
def schemas() -> dict[str, Schema]:
    """The schema of every part, with the version that the reviewed file (part_schemas.json) gives it."""
    versions = json.loads(VERSIONS.read_text())
    return {
        name: Schema(name, versions[name]["version"], text_hash(text), tuple(sorted(text["properties"])))
        for name, text in texts().items()
    }


SchemaFields = dict[tuple[str, int], tuple[str, ...]]


async def fields_of(session: Session, refs: Iterable[Mapping[str, Any]]) -> SchemaFields:
    """The fields of every schema that `refs` name, in the named version.
    An older version is read from the log.
    """
    fields: SchemaFields = {(s.name, s.version): s.fields for s in schemas().values()}
    for name, version in {(ref["name"], ref["version"]) for ref in refs} - set(fields):
        leaf = await session.value(OLDER, name=name, version=version)
        text = json.loads(leaf)["facts"]["text"]
        fields[name, version] = tuple(sorted(text["properties"]))
    return fields


async def ensure_part_schemas(session: Session, *, by: str) -> None:
    """Registers the text of every schema version once in the log, where a verifier reads it."""
    registered = {(r.name, r.version) for r in await session.run(KNOWN)}
    for name, text in texts().items():
        schema = schemas()[name]
        if (name, schema.version) in registered:
            continue
        batch = StatementBatch()
        facts = {**schema.ref(), "text": text}
        entry = append(batch, type_="schema.registered", party=by, received_at=clock.now(), facts=facts)
        batch.add(INSERT, name=name, version=schema.version, sha256=schema.sha256, entry_id=entry.id)
        await batch.send(session)


async def require_registered(session: Session) -> None:
    """Stops the start if a schema is not registered in the log in its current form."""
    registered = {(r.name, r.version, r.sha256) for r in await session.run(KNOWN)}
    missing = [s.name for s in schemas().values() if (s.name, s.version, s.sha256) not in registered]
    if missing:
        raise RuntimeError(f"not on record as they are now: {', '.join(missing)}; run `sbt db migrate`")
