"""Verifies checkpoints and receipt times without trusting the operator of the log. Pure: no I/O.

Steps have the numbers of report.STEPS.
The verifier reads bytes as they were stored or sent, and never serialises them again to compare (rule R1).
It checks sizes, indexes and lengths before it hashes (rule R9).
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate

from app.ledger.note import (
    Checkpoint,
    Note,
    NoteError,
    VerifierKey,
    cosigners,
    read_checkpoint,
    read_note,
    require_signed,
)
from app.verifier.leaves import LeafCheck
from app.verifier.report import VerificationReport

SKEW = 60  # seconds by which the clocks of a witness and of the service may differ
EARLIEST = 300 + SKEW  # seconds from receipt to the log: five minutes, later the promise is broken


@dataclass(frozen=True, slots=True)
class Witnessed:
    """A checkpoint whose signature is good, and who cosigned it at what time."""

    note: Note
    checkpoint: Checkpoint
    cosigned: Mapping[str, int]


def check_note(
    report: VerificationReport, raw: bytes, key: VerifierKey, origin: str, witnesses: Sequence[VerifierKey], place: str
) -> Witnessed | None:
    """Steps 1 and 2 for one checkpoint. None where the checkpoint cannot be believed."""
    report.count("notes")
    try:
        note = read_note(raw)
        require_signed(note, key)
        checkpoint = read_checkpoint(note.text)
    except NoteError as error:
        report.find("notes", "NOTE_NOT_SIGNED", place, str(error))
        return None
    if checkpoint.origin != origin:
        report.find("notes", "NOTE_OF_ANOTHER_LOG", place, f"its origin is {checkpoint.origin}")
        return None
    report.begin("witnesses")
    try:
        cosigned = cosigners(note, witnesses)
    except NoteError as error:
        report.find("witnesses", "COSIGNATURE_WRONG", place, str(error))
        cosigned = {}
    report.count("witnesses", len(cosigned))
    return Witnessed(note, checkpoint, cosigned)


def check_times(report: VerificationReport, leaves: LeafCheck, seen: Iterable[Witnessed], quorum: int = 1) -> None:
    """Step 7: compares receipt times with the times at which witnesses saw the log.
    A leaf that is not in the log that witnesses saw was received later; a leaf that is in it was received before.
    The delay that a promise allows is taken into account.
    Only checkpoints with a quorum of cosignatures count.
    Of their times the earliest shows that a leaf is absent, the latest that it is there: no single witness can accuse.
    """
    report.begin("times")
    witnessed = [w for w in seen if len(w.cosigned) >= max(quorum, 1)]
    bounds = sorted((w.checkpoint.size, min(w.cosigned.values()), max(w.cosigned.values())) for w in witnessed)
    if not bounds:
        report.skip("times", "not_yet", "no checkpoint has a quorum of cosignatures")
        return
    sizes = [size for size, _, _ in bounds]
    latest = list(accumulate((first for _, first, _ in bounds), max))
    soonest = list(accumulate((last for _, _, last in reversed(bounds)), min))[::-1]
    for index, received in leaves.instants:
        report.count("times")
        try:
            real = (received - _ahead(leaves.clock, index)).timestamp()
        except OverflowError:
            report.find("times", "OUT_OF_TIME", "received_at", "no calendar has this day", log=leaves.log, index=index)
            continue
        place = bisect_right(sizes, index)  # the checkpoints before this position do not contain the leaf
        without = latest[place - 1] if place else None
        among = soonest[place] if place < len(sizes) else None
        if without is not None and real < without - EARLIEST:
            says = "received, it says, before witnesses saw the log without it"
            report.find("times", "BACKDATED", "received_at", says, log=leaves.log, index=index)
        if among is not None and real > among + SKEW:
            says = "received, it says, after witnesses saw it in the log"
            report.find("times", "FUTURE_DATED", "received_at", says, log=leaves.log, index=index)


def check_order(report: VerificationReport, leaves: LeafCheck, now: datetime) -> None:
    """Step 7 in production, without a witness: receipt times follow the order of the log.
    They may lag as far as a promise allows, and none is in the future.
    """
    report.begin("times")
    newest, lag = datetime.min.replace(tzinfo=UTC), timedelta(seconds=EARLIEST)
    for index, received in leaves.instants:
        if newest > received and newest - received > lag:
            says = "received, it says, long before an entry that stands before it"
            report.find("times", "BACKDATED", "received_at", says, log=leaves.log, index=index)
        elif received - now > timedelta(seconds=SKEW):
            says = "received, it says, at a time that is yet to come"
            report.find("times", "FUTURE_DATED", "received_at", says, log=leaves.log, index=index)
        else:
            newest = max(newest, received)


def _ahead(clock: Sequence[tuple[int, timedelta]], index: int) -> timedelta:
    """How far the sandbox clock was ahead when the leaf at `index` was written."""
    return next((ahead for start, ahead in reversed(clock) if start <= index), timedelta(0))
