"""Checks the signature that an entry keeps.

The leaf commits to it, a key of its client or party that was in force made it, and it is used once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from app.access.registers.consent import is_signed
from app.access.registers.registration import SIGN
from app.access.signatures import signed_base
from app.access.signatures.signed_base import SignedBase
from app.audit.compare import Expected
from app.ledger.canonical import Members
from app.ledger.parts import sha256
from app.verifier.leaves import HEARD_WITHIN


class KnownRegisters(Protocol):
    """The registers after the entries so far."""

    rows: dict[str, Expected]
    turned: dict[tuple[str, str], datetime]

    def ahead(self) -> timedelta | None: ...


@dataclass
class SignedEntries:
    """One signature is for one entry; the entries of one request that makes several share it."""

    registers: KnownRegisters
    used: set[str] = field(default_factory=set)

    def read(
        self,
        members: Members,
        text: str,
        signature: bytes,
        *,
        of_many: bool = False,
        longest: timedelta = signed_base.DELAY,
        by_client: bool = True,
    ) -> SignedBase:
        """The base that was signed; ValueError where the signature is not valid for this entry.
        `of_many`: its request made several entries.
        `by_client`: the key is of the client that asked.
        Before version 2 of the signature part another client of the party might sign.
        """
        if sha256(signature + text.encode()) != members["sig"]:
            raise ValueError("the leaf commits to another signature")
        base = signed_base.read_base(text)
        self._require_key(members, base, signature, by_client=by_client)
        if base.lines["@method"] != "POST" or "authorization" in base.lines:
            raise ValueError("it covers what it must not, or another method")
        if text in self.used and not of_many:
            raise ValueError("it was used for another entry before")
        self.used.add(text)
        ahead = self.registers.ahead()
        if ahead is not None:
            received = datetime.fromisoformat(members["received_at"]) - ahead
            signed_base.require_in_time(base.created, received, longest)
        return base

    def _require_key(self, members: Members, base: SignedBase, signature: bytes, *, by_client: bool) -> None:
        """The signature is by a signing key of the party that was in force at that moment."""
        rows = self.registers.rows
        key = rows["client_key"].get((base.kid,))
        owner = rows["client"].get((key["client_id"],)) if key else None
        if key is None or owner is None or owner["party"] != members["party"] or key["purpose"] != SIGN:
            raise ValueError("its key is none of the party's keys for signing")
        if by_client and key["client_id"] != members["client"]:
            raise ValueError("its key is another client's")
        signed_base.require_in_force(base.created, key["expires_at"])
        self._require_standing(members, key, owner)
        if not is_signed(key["x"], key["y"], signature, base.text.encode()):
            raise ValueError("it is not by the key that it names")

    def _require_standing(self, members: Members, key: Mapping[str, Any], owner: Mapping[str, Any]) -> None:
        """Neither the key, nor its client, nor its party was suspended."""
        party = self.registers.rows["party"].get((owner["party"],), {})
        standing = [("client_key", key["kid"], key), ("client", owner["id"], owner), ("party", owner["party"], party)]
        for name, id_, row in standing:
            if row.get("suspended") and self.was_known(members, name, id_):
                raise ValueError(f"its {name.removeprefix('client_')} was suspended")

    def was_known(self, members: Members, name: str, id_: str) -> bool:
        """Whether every process knew of the register change: each learns of it within five seconds.
        An entry after the change in the log that is dated long before it is not excused.
        """
        turned = self.registers.turned.get((name, id_))
        return turned is None or abs(datetime.fromisoformat(members["received_at"]) - turned) > HEARD_WITHIN
