"""A day as this service reads it: YYYY-MM-DD, no number and no instant."""

import re

from pydantic_core import PydanticCustomError

ISO_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def day_text(value: object) -> object:
    if not isinstance(value, str) or not ISO_DAY.fullmatch(value):
        raise PydanticCustomError("date_parsing", "not a day")
    return value
