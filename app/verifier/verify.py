"""The verifier: what anyone can check of a log without trusting who keeps it. Steps as report.STEPS numbers them. Pure.

It reads bytes as they were stored or sent and never writes them anew to compare (rule R1), and looks at sizes, indexes and
lengths before it hashes (rule R9).
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

SKEW = 60  # seconds between the clocks of a witness and of the service
EARLIEST = 300 + SKEW  # an entry is in the log five minutes after its receipt: later it would be a broken promise


@dataclass(frozen=True, slots=True)
class Witnessed:
    """A checkpoint that was read and found signed: what it says, and who cosigned it when."""

    note: Note
    checkpoint: Checkpoint
    cosigned: Mapping[str, int]


def check_note(
    report: VerificationReport, raw: bytes, key: VerifierKey, origin: str, witnesses: Sequence[VerifierKey], place: str
) -> Witnessed | None:
    """Steps 1 and 2 for one checkpoint. None where nothing it says can be believed."""
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
    """Step 7: a leaf that the witnesses had not seen was received after, one they had seen before; the promise's delay allowed for.
    Only what a quorum saw counts; of their times the earliest says "not yet there", the latest "there", so that no single one can accuse.
    """
    report.begin("times")
    known = [w for w in seen if len(w.cosigned) >= max(quorum, 1)]
    bounds = sorted((w.checkpoint.size, min(w.cosigned.values()), max(w.cosigned.values())) for w in known)
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
        place = bisect_right(sizes, index)  # the checkpoints before this place are without the leaf
        without = latest[place - 1] if place else None
        among = soonest[place] if place < len(sizes) else None
        if without is not None and real < without - EARLIEST:
            says = "received, it says, before witnesses saw the log without it"
            report.find("times", "BACKDATED", "received_at", says, log=leaves.log, index=index)
        if among is not None and real > among + SKEW:
            says = "received, it says, after witnesses saw it in the log"
            report.find("times", "FUTURE_DATED", "received_at", says, log=leaves.log, index=index)


def check_order(report: VerificationReport, leaves: LeafCheck, now: datetime) -> None:
    """Step 7 without a witness, in production: times follow the order of the log, as far as the promise lets them lag; none is yet to come."""
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
    """How far a sandbox's clock was ahead when the leaf at `index` was written."""
    return next((ahead for start, ahead in reversed(clock) if start <= index), timedelta(0))
