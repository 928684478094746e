"""Step 10: what stands in a party's name was signed by its own key, which was good then; and is what was signed."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from app.access import jwks
from app.audit.registers import Registers
from app.audit.signed_words import require_said
from app.cases.many import MOST, item_key
from app.ledger.parts import sha256, unb64u
from app.ledger.report import Report

LINE = re.compile(r'"([a-z@\-]+)": (.*)')
PARAMETER = re.compile(r';([a-z]+)=(?:"([^"]*)"|(\d+))')
DELAY = timedelta(seconds=90)  # a minute of age, and the clocks
HEARD_WITHIN = timedelta(seconds=10)
POINT = 32
Members = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Base:
    """What a signature base says."""

    lines: Mapping[str, str]
    kid: str
    nonce: str
    created: datetime

    @classmethod
    def read(cls, text: str) -> "Base":
        """ValueError or KeyError for a text that is none."""
        found = {match[1]: match[2] for line in text.split("\n") if (match := LINE.fullmatch(line))}
        said = {name: words or number for name, words, number in PARAMETER.findall(found["@signature-params"])}
        return cls(found, said["keyid"], said["nonce"], datetime.fromtimestamp(int(said["created"]), UTC))


@dataclass
class Signatures:
    """Looks at every entry of a case whose `signature` part opens."""

    report: Report
    registers: Registers
    used: dict[tuple[str, str], Base] = field(default_factory=dict)

    def entry(self, index: int, members: Members, parts: Mapping[str, Mapping[str, Any]]) -> None:
        sealed = {part["name"] for part in members["parts"]}
        if members["sig"] is None or "signature" not in sealed:
            if (members["sig"] is None) != ("signature" not in sealed):
                self._find("SIGNATURE_DIFFERS", index, members, "leaf and parts disagree whether it was signed")
            return
        part = parts.get("signature")
        if part is None:
            return  # erased, or told by step 12
        try:
            base, signature = Base.read(part["base"]), unb64u(part["signature"])
            self._committed(members, part["base"], signature)
            self._good(members, base, part["base"], signature)
            self._fits(members, base, part["body"])
            if part["body"] is not None and members["type"] in ADDRESS:
                require_said(members, part["body"], parts)
        except (ValueError, KeyError, TypeError) as error:
            self._find("SIGNATURE_WRONG", index, members, str(error))

    @staticmethod
    def _committed(members: Members, text: str, signature: bytes) -> None:
        if sha256(signature + text.encode()) != members["sig"]:
            raise ValueError("the leaf commits to another signature")

    def _good(self, members: Members, base: Base, text: str, signature: bytes) -> None:
        """By a key of the party that might sign at that moment."""
        key = self.registers.rows["client_key"].get((base.kid,))
        owner = self.registers.rows["client"].get((key["client_id"],)) if key else None
        if key is None or owner is None or owner["party"] != members["party"] or key["purpose"] != "sign":
            raise ValueError("its key is none of the party's keys for signing")
        if base.created >= key["expires_at"] or self._was_suspended(members, base.kid, key):
            raise ValueError("its key had ended, or was suspended")
        if len(signature) != 2 * POINT:
            raise ValueError("it is no signature")
        halves = (int.from_bytes(signature[:POINT]), int.from_bytes(signature[POINT:]))
        try:
            point = jwks.point(key["x"], key["y"])
            point.verify(encode_dss_signature(*halves), text.encode(), ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            raise ValueError("it is not by the key that it names") from None

    def _was_suspended(self, members: Members, kid: str, key: Mapping[str, Any]) -> bool:
        """Every process hears of a suspension within five seconds, and not at once."""
        turned = self.registers.turned.get(("client_key", kid))
        received = datetime.fromisoformat(members["received_at"])
        return bool(key["suspended"]) and (turned is None or received - turned > HEARD_WITHIN)

    def _fits(self, members: Members, base: Base, body: str | None) -> None:
        """Of this entry and no other: its address, its key, its version, its body, its moment."""
        if base.lines["@method"] != "POST" or "authorization" in base.lines:
            raise ValueError("it covers what it must not, or another method")
        path, type_ = base.lines["@target-uri"].partition("?")[0], members["type"]
        of_many = type_ in OF_MANY and path.endswith(OF_MANY[type_])
        if not of_many and not (type_ in ADDRESS and path.endswith(ADDRESS[type_].format_map(members))):
            raise ValueError("it is of another address than such an entry comes from")
        self._once(base, of_many=of_many)
        _of_its_key(members, UUID(base.lines["idempotency-key"]), of_many=of_many)
        if "if-match" in base.lines and base.lines["if-match"] != f'"{members["seq"] - 1}"':
            raise ValueError("it is of another version of the case")
        if body is None and not of_many and "reporter" not in {part["name"] for part in members["parts"]}:
            raise ValueError("the body that was signed is not there")  # kept, but where a reporter may be erased alone
        if body is not None and _digest(base.lines["content-digest"]) != hashlib.sha256(body.encode()).digest():
            raise ValueError("the body is not the one that was signed")
        ahead = self.registers.ahead()
        if ahead is not None and abs(datetime.fromisoformat(members["received_at"]) - ahead - base.created) > DELAY:
            raise ValueError("it was signed at another time than it was received")

    def _once(self, base: Base, *, of_many: bool) -> None:
        """One request, one entry; of several of one request the same is shown each time."""
        known = self.used.setdefault((base.kid, base.nonce), base)
        if known is not base and not (of_many and known == base):
            raise ValueError("it was used for another entry before")

    def _find(self, code: str, index: int, members: Members, says: str) -> None:
        place = f"case {members['case']} by {members['party']}"
        self.report.find("signatures", code, place, says, log="cases", index=index)


STAGE = "/v1/cases/{case}/stages/{stage}"
ADDRESS = {  # where an entry of its own is asked for
    "case.opened": "/v1/cases",
    "stage.posted": STAGE,
    "stage.corrected": f"{STAGE}/corrections",
    "stage.received": f"{STAGE}/receipts",
    "stage.extended": f"{STAGE}/extensions",
    "stage.paused": f"{STAGE}/pauses",
    "case.withdrawn": "/v1/cases/{case}/withdrawals",
    "case.reopened": "/v1/cases/{case}/reopenings",
    "case.transferred": "/v1/cases/{case}/transfers",
}
OF_MANY = {"case.opened": "/v1/reports", "stage.posted": "/v1/stage-posts", "case.imported": "/v1/imports"}


def _of_its_key(members: Members, key: UUID, *, of_many: bool) -> None:
    if members["type"] == "case.imported":
        return  # each line has a key of its own; the file was signed
    own = UUID(members["idempotency"]["key"]) if "idempotency" in members else None
    if own not in ({item_key(key, n) for n in range(MOST)} if of_many else {key}):
        raise ValueError("it is of another request")


def _digest(field: str) -> bytes | None:
    """Of SHA-256; a client that sends SHA-512 alone is taken at its word by the service, and by nobody here."""
    found = re.search(r"sha-256=:([A-Za-z0-9+/=]+):", field)
    return None if found is None else unb64u(found[1].rstrip("=").replace("+", "-").replace("/", "_"))
