"""The parts of an entry as they are sealed: which schema, and whose key."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from app.cases.act import Act
from app.cases.part_schemas import schemas
from app.database import Together
from app.ledger import origin
from app.ledger.origin import CASES
from app.ledger.parts import b64u
from app.vault.seal import KEY_OF, OpenKey, index_person, seal


@dataclass(slots=True)
class EntryParts:
    """Collects what the leaf says of each part; the ciphertexts go into the batch."""

    batch: Together
    act: Act
    case_id: UUID
    entry_id: UUID
    keys: Mapping[str, OpenKey]
    epoch: int
    done: list[dict[str, Any]] = field(default_factory=list)

    def seal(self, part: str, model: str | None, content: Mapping[str, Any], *, of: str = "") -> None:
        """`model`: the body model of the stage; None: the part has a schema of its own name. `of`: the sort of entry whose parts
        hold more than a post's (opening_, correction_, import_).
        """
        name = f"{of}{part}.{model}" if model else part
        place = {
            "log": origin.of(CASES),
            "id": str(self.entry_id),
            "case": str(self.case_id),
            "party": self.act.caller.party,
        }
        self.done.append(seal(self.batch, place, part, schemas()[name], self.keys[KEY_OF[part]], content))

    def sign(self, *, keep_body: bool = True) -> str | None:
        """The party's own signature, sealed; what the leaf says of it. None where the request was not signed."""
        signed = self.act.signed
        if signed is None:
            return None
        body = signed.body.decode() if signed.body and keep_body else None
        self.seal("signature", None, {"base": signed.base, "signature": b64u(signed.signature), "body": body})
        return signed.hash

    def name(self, person: Mapping[str, str | None]) -> None:
        """Who it is: sealed, and findable."""
        self.seal("subject", None, person)
        index_person(self.batch, self.act.vault, self.epoch, self.case_id, self.entry_id, person)
