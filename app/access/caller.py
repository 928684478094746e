"""The caller of a request: an authenticated client, its party, and the registers by which it acts."""

from dataclasses import dataclass

from app.access.registers.register_cache import RegisterSnapshot
from app.database.sessions import Identity


@dataclass(frozen=True, slots=True)
class Caller:
    """The authenticated client and its party.
    The party comes from the token and from nowhere else.
    `employer`: the agency code of a PPK, otherwise None.
    `actor`: the HMAC of X-Actor.
    """

    party: str
    kind: str
    client_id: str
    scopes: frozenset[str]
    employer: str | None
    snapshot: RegisterSnapshot
    actor: bytes | None
    purpose: str | None

    @property
    def identity(self) -> Identity:
        """The identity that PostgreSQL's row-level security checks."""
        return Identity(self.party, self.purpose or "")
