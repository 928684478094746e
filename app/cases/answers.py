"""Build the answer to a write from the entry alone: a replay years later gives the same answer."""

import base64
from datetime import date, datetime
from typing import Any
from uuid import UUID

from app.cases.schemas import Entered, StageStatus, Written, WrittenStage
from app.ledger.append import Appended
from app.ledger.canonical import read_leaf
from app.ledger.merkle import leaf_hash
from app.ledger.promise import PromiseSigner
from app.procedure.loading import rulebook
from app.procedure.model import Stage


def render_answer(leaf: bytes, receipts: PromiseSigner) -> Written:
    facts = read_leaf(leaf)
    stages = rulebook().procedures[facts["procedure"]].stages
    at = datetime.fromisoformat(facts["received_at"])
    lines = [_line(stages[o["stage"]], o, "open", _instant(o["since"]) or at) for o in facts["opens"]]
    lines += [_line(stages[s["stage"]], s, "skipped", None) for s in facts["skips"]]
    lines += [_past(stages[p["stage"]], p, at) for p in facts.get("posts", ())]
    if facts.get("outcome"):
        lines.insert(0, _posted(stages[facts["stage"]], facts, at))
    return Written(
        id=UUID(facts["case"]),
        number=facts["number"],
        procedure=facts["procedure"],
        election=facts["election"],
        status=facts["status"],
        open_stages=facts["open"],
        stages=lines,
        version=facts["seq"],
        entry=_entered(Appended(UUID(facts["id"]), leaf, leaf_hash(leaf), at), receipts),
    )


def _entered(entry: Appended, receipts: PromiseSigner) -> Entered:
    hashed = base64.b64encode(entry.leaf_hash).decode()
    return Entered(id=entry.id, leaf_hash=hashed, promise=receipts.promise(entry))


def _line(stage: Stage, row: dict[str, Any], status: StageStatus, at: datetime | None) -> WrittenStage:
    return WrittenStage(
        stage=stage.code,
        round=row["round"],
        status=status,
        owner=row.get("owner") or stage.owner,
        opened_at=at,
        due_on=date.fromisoformat(row["due_on"]) if row.get("due_on") else None,
        outcome=None,
        posted_at=None,
        posted_by=None,
    )


def _past(stage: Stage, post: dict[str, Any], at: datetime) -> WrittenStage:
    """A round of an imported case; it is on record since the import."""
    line = _line(stage, {**post, "owner": None}, "posted", at)
    return line.model_copy(update={"outcome": post["outcome"], "posted_at": at, "posted_by": post["party"]})


def _posted(stage: Stage, facts: dict[str, Any], at: datetime) -> WrittenStage:
    opened = _instant(facts.get("opened_at")) or at  # a first stage opens and is posted at once
    line = _line(stage, facts, "posted", opened)
    return line.model_copy(update={"outcome": facts["outcome"], "posted_at": at, "posted_by": facts["party"]})


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
