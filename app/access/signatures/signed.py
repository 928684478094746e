"""A request whose signature was found good: what an entry keeps of it."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from app import clock
from app.access.signatures import signed_base
from app.access.signatures.signed_base import UnacceptableError
from app.errors import Flaw, SignatureInvalid
from app.ledger.parts import b64u, sha256


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature that was found good: by which key, over which base. `body`: what its digest is of."""

    kid: str
    nonce: str
    signature: bytes
    base: str
    body: bytes
    created: datetime
    expires_at: datetime
    longest: timedelta = signed_base.DELAY  # from the signature to the entry
    spent: bool = False  # whether its nonce is used up: of several entries of one request the first does it

    @property
    def hash(self) -> str:
        """What the leaf says of it. Base and signature lie sealed: the base holds a digest of the body, which could be guessed."""
        return sha256(self.signature + self.base.encode())

    def public(self) -> dict[str, str]:
        """What an entry of a register shows of it in clear: no person is in what operators sign."""
        return {"base": self.base, "signature": b64u(self.signature), "body": self.body.decode()}

    def require_in_time(self) -> None:
        """When its entry is made: what the verifier would call too late is refused."""
        try:
            signed_base.require_in_time(self.created, clock.real(), self.longest)
        except UnacceptableError as error:
            raise invalid(error) from None

    def for_batch_item(self) -> "Signed":
        """For each entry of a request that makes several: the body names others, and is kept with none."""
        return replace(self, spent=True, body=b"")


def invalid(error: UnacceptableError) -> SignatureInvalid:
    """401 that says why."""
    return SignatureInvalid(Flaw(error.pointer, error.code, error.text_id, error.text_en))
