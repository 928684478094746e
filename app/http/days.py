"""The form of a day in this service: YYYY-MM-DD, not a number and not an instant."""

import re

from pydantic_core import PydanticCustomError

ISO_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def day_text(value: object) -> object:
    if not isinstance(value, str) or not ISO_DAY.fullmatch(value):
        raise PydanticCustomError("date_parsing", "not a day")
    return value
