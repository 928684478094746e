"""The one rule of acceptance, at its edges: what two readers could read in two ways is no signature base."""

from datetime import UTC, datetime, timedelta

import pytest

from app import clock
from app.access.signatures import signed_base
from app.access.signatures.signed import VerifiedSignature
from app.access.signatures.signed_base import (
    UnacceptableError,
    read_base,
    require_canonical_path,
    require_digest,
    require_in_time,
)
from app.errors import SignatureInvalid

NONCE = "0123456789abcdef"
GOOD = f'"@method": POST\n"@target-uri": https://sbt.example/v1/cases\n"@signature-params": ("@method" "@target-uri");created=1728525600;keyid="k";nonce="{NONCE}"'
NOON = datetime(2024, 10, 10, 12, tzinfo=UTC)


def test_a_base_is_read_as_it_was_signed() -> None:
    base = read_base(GOOD + ';alg="ecdsa-p256-sha256";expires=1728525660;tag="x"')
    assert (base.kid, base.nonce, base.created) == ("k", NONCE, datetime(2024, 10, 10, 2, tzinfo=UTC))
    assert base.address == "https://sbt.example/v1/cases" and base.text.startswith(GOOD)


@pytest.mark.parametrize(
    ("what", "to"),
    [
        ('"@method": POST', '"@method": POST\n"@method": POST'), ('"@method": POST\n', ""), ("POST", "POST\nx"),
        ('("@method" ', "("), (";created=1728525600", ""), (";created=1728525600", ";created=1;created=2"),
        (';keyid="k"', ""), (';keyid="k"', ';keyid="k";keyid="j"'), (f';nonce="{NONCE}"', ""), (NONCE, NONCE[:15]),
        (NONCE, NONCE * 5), (NONCE, NONCE + '\\"x'), (f';nonce="{NONCE}"', f';nonce="{NONCE}";other="x"'),
        (f'nonce="{NONCE}"', f'nonce="{NONCE}" '), ("1728525600", "-1"), ("1728525600", "1.5"), ("1728525600", "9" * 15),
        ('"@signature-params"', '"@signature"'), (GOOD, ""),
    ],
)  # fmt: skip
def test_another_base_is_refused(what: str, to: str) -> None:
    changed = GOOD.replace(what, to)
    assert changed != GOOD
    with pytest.raises(UnacceptableError) as caught:
        read_base(changed)
    assert caught.value.text_id and caught.value.text_en and caught.value.pointer.startswith("/header")


@pytest.mark.parametrize(
    "path", ["/v1/cases", "/v1/cases/01a21d0c-ddd6-77b7-ad64-56a16e153b20/stages/x", "/v1/reports"]
)
def test_a_plain_path_is_taken(path: str) -> None:
    require_canonical_path(path)


@pytest.mark.parametrize(
    "part", ["01A21D0C-ddd6-77b7-ad64-56a16e153b20", "01a21d0cddd677b7ad6456a16e153b20", "%31", "a%2Fb"]
)
def test_another_spelling_of_a_path_is_refused(part: str) -> None:
    with pytest.raises(UnacceptableError):
        require_canonical_path(f"/v1/cases/{part}")


@pytest.mark.parametrize(
    "field", ["", "sha-512=:AAAA:", "sha-256=AAAA", "sha-256=:AAAA:", "xsha-256=:" + "A" * 43 + "=:"]
)
def test_a_field_without_the_sha_256_of_the_body_is_refused(field: str) -> None:
    with pytest.raises(UnacceptableError):
        require_digest(field, bytes(32))


def test_the_digest_may_stand_among_others() -> None:
    zero = "sha-256=:" + "A" * 43 + "=:"
    for field in (zero, f"sha-512=:AAAA:, {zero}", f"{zero},sha-512=:AAAA:"):
        require_digest(field, bytes(32))
        with pytest.raises(UnacceptableError):
            require_digest(field, bytes(31) + b"x")


def test_an_entry_comes_in_time_after_its_signature_and_a_file_takes_longer() -> None:
    for longest in (signed_base.DELAY, signed_base.IMPORT_DELAY):
        require_in_time(NOON, NOON + longest, longest)
        with pytest.raises(UnacceptableError):
            require_in_time(NOON, NOON + longest + timedelta(milliseconds=1), longest)
    assert signed_base.MAX_AGE + timedelta(seconds=60) < signed_base.DELAY, "a request may take a minute"


def test_a_signature_is_of_one_address_of_one_service() -> None:
    base = read_base(GOOD)
    assert base.is_of("/v1/cases", "https://sbt.example")
    assert not base.is_of("/v1/cases", "https://other.example") and not base.is_of("/cases", "https://sbt.example")
    assert base.is_of("/v1/cases", None) and not base.is_of("/v1/reports", None), "a ledger that names no address"


def test_what_comes_too_late_is_told_after_how_long() -> None:
    with pytest.raises(UnacceptableError) as refused:
        require_in_time(NOON, NOON + timedelta(hours=1), timedelta(minutes=30))
    assert "30 minutes" in refused.value.text_en and "30 menit" in refused.value.text_id


def test_an_entry_that_is_made_too_late_is_refused_and_says_why() -> None:
    long_ago = clock.real() - timedelta(days=1)
    signed = VerifiedSignature("k", NONCE, b"", "", b"", long_ago, long_ago + timedelta(days=30))
    with pytest.raises(SignatureInvalid) as refused:
        signed.require_in_time()
    assert [flaw.code for flaw in refused.value.flaws] == ["TOO_LATE"]
