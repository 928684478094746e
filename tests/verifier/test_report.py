"""A report for people: nothing an attacker wrote reaches the terminal but as visible text."""

import json

import pytest

from app.ledger.terminal import printable, printable_lines
from app.verifier.report import NOT_CHECKED, NOT_VISIBLE, VerificationReport, lines

HOSTILE = [
    "x\x1b[2K\rresult: sound",
    "x\nresult: sound",
    "x\x9b1A",
    "\u202etxet desrever",
    "\u2028result: sound",
    "nul\x00",
    "bell\x07",
    "\U000e0041",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_finding_cannot_draw_on_the_terminal_or_fake_the_result(text: str) -> None:
    report = VerificationReport()
    report.find("fields", "FIELD_WRONG", text, text)
    report.says["standing"] = text
    shown = list(lines(report))
    assert all(line.isprintable() for line in shown)
    assert [line for line in shown if line.startswith("result:")] == ["result: findings"]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_escaped_is_the_same_text_to_a_reader_of_json(text: str) -> None:
    assert printable(text).isprintable()
    assert json.loads(f'"{printable(text)}"') == text


def test_plain_text_in_any_language_stays_as_it_is() -> None:
    assert printable("Kasus Nur\u2019aini \u2014 \u0627\u0644") == "Kasus Nur\u2019aini \u2014 \u0627\u0644"
    assert printable_lines("a\nb\x1bc") == "a\nb\\u001bc"


def test_signatures_that_nothing_keeps_do_not_end_the_memory_of_the_log() -> None:
    """A report of several persons keeps no body: if nothing were remembered from then on, a rollback would go unseen."""
    report = VerificationReport()
    report.skip("signatures", NOT_CHECKED, "several came with one request")
    assert report.may_be_remembered and report.exit_code == 2
    report.skip("witnesses", NOT_CHECKED, "a quorum was asked for")
    assert not report.may_be_remembered, "what was asked for and is not met is not remembered"


def test_a_run_with_a_finding_is_never_remembered() -> None:
    report = VerificationReport()
    report.find("tree", "ROOT_WRONG", "checkpoint", "another root")
    assert not report.may_be_remembered


def test_what_a_stranger_cannot_see_is_said_and_is_an_error_only_where_it_was_asked_for() -> None:
    for strict, code, result in ((False, 0, "sound_as_far_as_visible"), (True, 2, "could_not_check")):
        report = VerificationReport(strict=strict)
        report.begin("tree")
        report.skip("bytes", NOT_VISIBLE, "no token")
        assert (report.exit_code, report.told()["result"]) == (code, result)
    assert list(lines(VerificationReport())) == ["result: sound"]
    report = VerificationReport()
    report.skip("bytes", NOT_VISIBLE, "no token")
    assert list(lines(report))[-1] == "result: sound as far as a stranger can see"
    report.skip("tree", NOT_CHECKED, "no key")
    assert report.exit_code == 2
