"""The Idempotency-Key of acts that work at once: the same request again changes nothing more."""

from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from app.admin.requests import act_fingerprint, change_id
from app.cases.projection import KEEP_KEY
from app.database.batches import StatementBatch
from app.database.sessions import Session
from app.database.statements import Statement
from app.errors import IdempotencyKeyReused
from app.ledger.parts import b64u, unb64u


class KeptKeyRow(Protocol):
    """A key that a client has used. `change`: whether it proposed a change with it."""

    fingerprint: bytes | None
    change: bool


KEPT = Statement[KeptKeyRow](
    "SELECT (SELECT fingerprint FROM idempotency WHERE client_id = :client AND key = :key) AS fingerprint,"
    " EXISTS (SELECT 1 FROM change WHERE id = :change) AS change"
)


@dataclass(frozen=True, slots=True)
class AdminKey:
    """The key of an operator's request, and the hash of what it asked for."""

    client: str
    key: UUID
    fingerprint: bytes

    @classmethod
    def of(cls, client: str, key: UUID, kind: str, facts: Any) -> "AdminKey":
        return cls(client, key, unb64u(act_fingerprint(kind, facts)))

    def members(self) -> dict[str, Any]:
        """What the leaf keeps of the request."""
        return {"idempotency": {"key": str(self.key), "fingerprint": b64u(self.fingerprint)}}

    async def is_repeat(self, session: Session) -> bool:
        """Whether this request was answered before; 422 if the key was used for another one."""
        (row,) = await session.run(KEPT, client=self.client, key=self.key, change=change_id(self.client, self.key))
        if row.change or (row.fingerprint is not None and row.fingerprint != self.fingerprint):
            raise IdempotencyKeyReused
        return row.fingerprint is not None

    async def require_unused(self, session: Session) -> None:
        """422 if the key was used for an act that works at once: for a proposal it is another request."""
        if await self.is_repeat(session):
            raise IdempotencyKeyReused

    async def keep(self, session: Session, entry: UUID) -> None:
        batch = StatementBatch()
        batch.add(KEEP_KEY, client_id=self.client, key=self.key, fingerprint=self.fingerprint, entry_id=entry)
        await batch.send(session)
