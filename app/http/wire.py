"""Types of request members that every room shares: texts, days, instants, codes, numbers of persons.

`Body` is the base of all request bodies: it refuses unknown members.
"""

import re
from datetime import date
from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StrictInt, StringConstraints
from pydantic_core import PydanticCustomError

from app.http.days import day_text

ISO_INSTANT = re.compile(
    r"(19|20)[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})"
)


def _instant_text(value: object) -> object:
    if not isinstance(value, str) or not ISO_INSTANT.fullmatch(value):
        raise PydanticCustomError("datetime_parsing", "not an instant")
    return value


String = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=4000)]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=4000, pattern=r"\S")]
Day = Annotated[date, BeforeValidator(day_text)]
Instant = Annotated[AwareDatetime, BeforeValidator(_instant_text)]
Count = Annotated[StrictInt, Field(ge=0, le=100_000)]
Code = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
AgencyCode = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}$")]
Nip = Annotated[str, StringConstraints(pattern=r"^[0-9]{18}$")]
Nik = Annotated[str, StringConstraints(pattern=r"^[0-9]{16}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Codes = Annotated[list[Code], Field(min_length=1, max_length=20)]
Strings = Annotated[list[String], Field(min_length=1, max_length=50)]


def unquoted(sent: object) -> object:
    """The key within its quotes: the IETF draft writes Idempotency-Key as a quoted string (RFC 8941)."""
    if isinstance(sent, str) and len(sent) > 1 and sent[0] == sent[-1] == '"':
        return sent[1:-1]
    return sent


def idempotency_key(sent: str) -> UUID:
    """Reads an Idempotency-Key; ValueError if it is no UUID."""
    return UUID(str(unquoted(sent)))


class Body(BaseModel):
    """What a caller sends: nothing unnamed gets in."""

    model_config = ConfigDict(extra="forbid")
