"""A request with a valid signature, and what an entry keeps of it."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from app import clock
from app.access.signatures import signed_base
from app.access.signatures.signed_base import UnacceptableError
from app.errors import Flaw, SignatureInvalid
from app.ledger.parts import b64u, sha256


@dataclass(frozen=True, slots=True)
class VerifiedSignature:
    """A valid signature: its key, and its signature base.
    `body`: the bytes that its Content-Digest covers.
    """

    kid: str
    nonce: str
    signature: bytes
    base: str
    body: bytes
    created: datetime
    expires_at: datetime
    longest: timedelta = signed_base.DELAY  # longest time from the signature to the entry
    spent: bool = False  # whether its nonce is consumed: the first entry of a request does that

    @property
    def hash(self) -> str:
        """The hash that the leaf contains.
        Base and signature are sealed: the base holds a digest of the body, and the body could be guessed from it.
        """
        return sha256(self.signature + self.base.encode())

    def public(self) -> dict[str, str]:
        """What a register entry shows in clear: operators sign no personal data."""
        return {"base": self.base, "signature": b64u(self.signature), "body": self.body.decode()}

    def require_in_time(self) -> None:
        """Raises 401 if the entry is made later than the verifier accepts."""
        try:
            signed_base.require_in_time(self.created, clock.real(), self.longest)
        except UnacceptableError as error:
            raise invalid(error) from None

    def for_batch_item(self) -> "VerifiedSignature":
        """Returns the signature for each entry of a request that makes several entries.
        The body names other persons too, so none of the entries keeps it.
        """
        return replace(self, spent=True, body=b"")


def invalid(error: UnacceptableError) -> SignatureInvalid:
    """Returns a 401 that says why."""
    return SignatureInvalid(Flaw(error.pointer, error.code, error.text_id, error.text_en))
