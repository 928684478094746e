"""A client's key: one text for one point of P-256, whatever is sent."""

import base64

import pytest

from app.access.tokens import jwks
from app.access.tokens.jwks import BadKeyError
from tests.access.credentials import b64, new_key

GOOD = jwks.public(new_key())
SHORT = base64.urlsafe_b64decode(GOOD["x"] + "=")


def test_a_key_is_read_as_it_was_written() -> None:
    numbers = jwks.point(GOOD["x"], GOOD["y"]).public_numbers()
    assert [b64(n.to_bytes(32)) for n in (numbers.x, numbers.y)] == [GOOD["x"], GOOD["y"]]


OTHERS = {
    "a byte less": b64(SHORT[:31]),
    "a zero before": b64(b"\0" + SHORT),
    "a byte more": b64(b"\xff" + SHORT),
    "padded": GOOD["x"] + "=",
    "bits that nobody reads": GOOD["x"][:-1] + chr(ord(GOOD["x"][-1]) + 1),
    "zero": b64(bytes(32)),
    "no base64url": GOOD["x"][:-1] + "!",
    "nothing": "",
}


@pytest.mark.parametrize("how", OTHERS)
def test_another_text_for_a_coordinate_is_no_key(how: str) -> None:
    with pytest.raises(BadKeyError):
        jwks.point(OTHERS[how], GOOD["y"])
    with pytest.raises(BadKeyError):
        jwks.point(GOOD["y"], OTHERS[how])
