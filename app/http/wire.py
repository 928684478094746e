"""Types of request members that every room shares: texts, days, instants, codes, numbers of persons.

`Body` is the base of all request bodies: it refuses unknown members.
"""

import re
import unicodedata
from datetime import date
from typing import Annotated
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    StringConstraints,
)
from pydantic_core import PydanticCustomError

from app.http.days import day_text

ISO_INSTANT = re.compile(
    r"(19|20)[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})"
)


def _instant_text(value: object) -> object:
    if not isinstance(value, str) or not ISO_INSTANT.fullmatch(value):
        raise PydanticCustomError("datetime_parsing", "not an instant")
    return value


# Letters that show nothing: Hangul fillers, the empty Braille pattern
EMPTY = set("\u115f\u1160\u3164\uffa0\u2800")
UNSEEN = {"Cc", "Cf", "Cn", "Co", "Cs", "Mn", "Me", "Zl", "Zp", "Zs"}
# They turn the direction of writing: what a reader sees is not what is stored (Unicode Technical Report 36, section 2.4)
TURNING = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def _visible(text: str) -> str:
    """Refuses a text in which nothing can be seen."""
    if not any(c not in EMPTY and unicodedata.category(c) not in UNSEEN for c in text):
        raise PydanticCustomError("blank", "nothing visible")
    return text


def _one_line(text: str) -> str:
    if any(c in TURNING or unicodedata.category(c) == "Cc" for c in text):
        raise PydanticCustomError("control", "a control character")
    return text


def _each_once(codes: list[str]) -> list[str]:
    if len(set(codes)) != len(codes):
        raise PydanticCustomError("twice", "a code twice")
    return codes


String = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200),
    AfterValidator(_visible),
    AfterValidator(_one_line),
]
Text = Annotated[str, StringConstraints(min_length=1, max_length=4000), AfterValidator(_visible)]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=4000, pattern=r"\S"), AfterValidator(_visible)]
Day = Annotated[date, BeforeValidator(day_text)]
Instant = Annotated[AwareDatetime, BeforeValidator(_instant_text)]
Count = Annotated[StrictInt, Field(ge=0, le=100_000)]
Code = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
RegencyCode = Annotated[str, StringConstraints(pattern=r"^[0-9]{2}\.[0-9]{2}$")]
AgencyCode = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}$")]
Nip = Annotated[str, StringConstraints(pattern=r"^[0-9]{18}$")]
Nik = Annotated[str, StringConstraints(pattern=r"^[0-9]{16}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Codes = Annotated[list[Code], Field(min_length=1, max_length=20), AfterValidator(_each_once)]
Strings = Annotated[list[String], Field(min_length=1, max_length=50)]


def unquoted(sent: object) -> object:
    """The key within its quotes: the IETF draft writes it as a quoted string (RFC 8941)."""
    if isinstance(sent, str) and len(sent) > 1 and sent[0] == sent[-1] == '"':
        return sent[1:-1]
    return sent


def idempotency_key(sent: str) -> UUID:
    """Reads an Idempotency-Key; ValueError if it is no UUID."""
    return UUID(str(unquoted(sent)))


class Body(BaseModel):
    """What a caller sends: nothing unnamed gets in."""

    model_config = ConfigDict(extra="forbid")
