"""What the verifier says of a checkpoint and of times: each finding at its boundary, without a database."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.ledger import note
from app.ledger.note import Checkpoint, Note
from app.verifier.leaves import LeafCheck
from app.verifier.report import VerificationReport
from app.verifier.verify import Witnessed, check_note, check_order, check_times

ORIGIN = "sbt.example/log/cases"
LOG_KEY = Ed25519PrivateKey.generate()
LOG = note.key_of(LOG_KEY, ORIGIN)
WITNESS_KEYS = {name: Ed25519PrivateKey.generate() for name in ("w1.example", "w2.example")}
WITNESSES = [note.key_of(key, name, note.COSIGNATURE) for name, key in WITNESS_KEYS.items()]
NOON = datetime(2024, 10, 18, 12, tzinfo=UTC)
LATEST_PROMISE = timedelta(minutes=6)  # five of the promise, one between clocks
BETWEEN_CLOCKS = timedelta(minutes=1)
MOMENT = timedelta(milliseconds=1)


def raw(origin: str = ORIGIN, *, forged: bool = False, wrong: bool = False, by: int = 2) -> bytes:
    text = str(Checkpoint(origin, 3, bytes(32)))
    lines = [note.sign_note(text if not forged else text + "x", LOG_KEY, LOG)]
    for n, witness in enumerate(WITNESSES[:by]):
        key = WITNESS_KEYS[witness.name]
        lines.append(note.cosign(text if not wrong else text + "x", key, witness, 1_700_000_000 + n))
    return str(Note(text, tuple(lines))).encode()


def read(given: bytes) -> tuple[VerificationReport, Witnessed | None]:
    report = VerificationReport()
    return report, check_note(report, given, LOG, ORIGIN, WITNESSES, "the checkpoint")


def told(report: VerificationReport) -> list[tuple[str, str, str]]:
    return [(finding.step, finding.code, finding.place) for finding in report.findings]


def test_a_good_checkpoint_is_read_with_the_times_of_its_witnesses() -> None:
    report, seen = read(raw())
    assert seen is not None and not report.findings
    assert seen.checkpoint == Checkpoint(ORIGIN, 3, bytes(32)) and seen.note == note.read_note(raw())
    assert seen.cosigned == {"w1.example": 1_700_000_000, "w2.example": 1_700_000_001}
    assert report.counts == {"notes": 1, "witnesses": 2}
    assert set(report.statuses.values()) == {"passed"}


def test_a_checkpoint_nobody_cosigned_is_one_and_its_witnesses_are_none() -> None:
    report, seen = read(raw(by=0))
    assert seen is not None and seen.cosigned == {} and report.counts == {"notes": 1, "witnesses": 0}


@pytest.mark.parametrize("given", [raw(forged=True), b"no note", raw()[:-1]])
def test_nothing_a_note_without_the_logs_signature_says_is_believed(given: bytes) -> None:
    report, seen = read(given)
    assert seen is None and told(report) == [("notes", "NOTE_NOT_SIGNED", "the checkpoint")]
    assert report.findings[0].says and report.counts["notes"] == 1


def test_a_checkpoint_of_another_log_is_named_with_its_origin() -> None:
    report, seen = read(raw("other.example/log"))
    assert seen is None and told(report) == [("notes", "NOTE_OF_ANOTHER_LOG", "the checkpoint")]
    assert "other.example/log" in report.findings[0].says and "witnesses" not in report.statuses


def test_a_wrong_cosignature_is_a_finding_and_counts_for_nothing() -> None:
    report, seen = read(raw(wrong=True))
    assert seen is not None and seen.cosigned == {}
    assert told(report) == [("witnesses", "COSIGNATURE_WRONG", "the checkpoint")]
    assert report.counts["witnesses"] == 0 and report.findings[0].says


def seen_at(size: int, *times: datetime) -> Witnessed:
    checkpoint = Checkpoint(ORIGIN, size, bytes(32))
    cosigned = {f"w{n}": int(time.timestamp()) for n, time in enumerate(times)}
    return Witnessed(Note(str(checkpoint), ()), checkpoint, cosigned)


def times(
    *seen: Witnessed, received: dict[int, datetime], quorum: int = 1, clock: list[tuple[int, timedelta]] | None = None
) -> VerificationReport:
    report = VerificationReport()
    leaves = LeafCheck(report, ORIGIN, "cases")
    leaves.instants += sorted(received.items())
    leaves.clock += clock or []
    check_times(report, leaves, seen, quorum)
    return report


def found(report: VerificationReport) -> list[tuple[str, str, str, str | None, int | None]]:
    return [(f.step, f.code, f.place, f.log, f.index) for f in report.findings]


BACKDATED = [("times", "BACKDATED", "received_at", "cases", 2)]
FUTURE = [("times", "FUTURE_DATED", "received_at", "cases", 1)]


def test_a_leaf_the_witnesses_had_not_seen_was_received_at_most_a_promise_before() -> None:
    earliest = NOON - LATEST_PROMISE
    assert found(times(seen_at(2, NOON), received={2: earliest})) == []
    report = times(seen_at(2, NOON), received={1: earliest, 2: earliest - MOMENT})
    assert found(report) == BACKDATED and report.counts["times"] == 2 and "before" in report.findings[0].says


def test_a_leaf_the_witnesses_had_seen_was_received_at_most_a_minute_after() -> None:
    latest = NOON + BETWEEN_CLOCKS
    assert found(times(seen_at(2, NOON), received={1: latest})) == []
    report = times(seen_at(2, NOON), received={1: latest + MOMENT, 2: latest + MOMENT})
    assert found(report) == FUTURE and "after" in report.findings[0].says


@pytest.mark.parametrize("quorum", [1, 2])
def test_one_witness_alone_cannot_accuse(quorum: int) -> None:
    """Of a quorum's times, or of more, the earliest says "not yet there", the latest "there"."""
    early, late = NOON - timedelta(hours=1), NOON + timedelta(hours=1)
    without = seen_at(2, early, late)
    assert found(times(without, received={2: early - LATEST_PROMISE}, quorum=quorum)) == []
    assert found(times(without, received={2: early - LATEST_PROMISE - MOMENT}, quorum=quorum)) == BACKDATED
    assert found(times(without, received={1: late + BETWEEN_CLOCKS}, quorum=quorum)) == []
    assert found(times(without, received={1: late + BETWEEN_CLOCKS + MOMENT}, quorum=quorum)) == FUTURE


def test_every_checkpoint_bounds_and_the_nearest_in_time_most() -> None:
    """Witnesses see an older checkpoint late, or a newer one early: the strictest bound holds, in whatever order they come."""
    seen = (seen_at(2, NOON - timedelta(hours=1)), seen_at(1, NOON), seen_at(5, NOON), seen_at(4, NOON))
    assert found(times(*seen, received={2: NOON - LATEST_PROMISE - MOMENT})) == BACKDATED
    assert found(times(*seen, received={2: NOON - LATEST_PROMISE})) == []
    later = (seen_at(2, NOON + timedelta(hours=1)), seen_at(3, NOON))
    assert found(times(*later, received={1: NOON + BETWEEN_CLOCKS + MOMENT})) == FUTURE
    assert found(times(*later, received={0: NOON + BETWEEN_CLOCKS})) == []


def test_a_leaf_beyond_every_checkpoint_may_be_as_late_as_it_likes_and_one_within_the_first_as_early() -> None:
    day = timedelta(days=1)
    assert found(times(seen_at(2, NOON), received={0: NOON - day, 1: NOON - day, 2: NOON + day})) == []


def test_what_fewer_than_a_quorum_saw_bounds_nothing() -> None:
    day = timedelta(days=1)
    report = times(seen_at(2, NOON), seen_at(4, NOON, NOON), received={2: NOON - day, 1: NOON + day}, quorum=2)
    assert [f.code for f in report.findings] == ["FUTURE_DATED"]
    alone = times(seen_at(2, NOON), received={2: NOON - day}, quorum=2)
    assert alone.findings == [] and alone.statuses == {"times": "not_yet"} and alone.reasons["times"]
    assert "times" not in alone.counts


@pytest.mark.parametrize("quorum", [0, 1])
def test_a_checkpoint_nobody_saw_bounds_nothing_under_any_quorum(quorum: int) -> None:
    assert times(seen_at(2), received={2: NOON}, quorum=quorum).statuses == {"times": "not_yet"}


def test_one_witness_is_a_quorum_where_none_is_said() -> None:
    leaves = LeafCheck(VerificationReport(), ORIGIN, "cases", instants=[(2, NOON - timedelta(days=1))])
    check_times(leaves.report, leaves, [seen_at(2, NOON)])
    assert leaves.report.codes() == {"BACKDATED"}


def test_a_sandbox_clock_counts_from_the_leaf_that_moved_it() -> None:
    day = timedelta(days=1)
    clock = [(1, day), (3, 2 * day)]
    received = {0: NOON, 1: NOON + day, 2: NOON + day, 3: NOON + 2 * day}
    assert found(times(seen_at(4, NOON), received=received, clock=clock)) == []
    late = {0: NOON + day, 1: NOON + 2 * day, 2: NOON + 2 * day, 3: NOON + 3 * day}
    report = times(seen_at(4, NOON), received=late, clock=clock)
    assert [(f.code, f.index) for f in report.findings] == [("FUTURE_DATED", n) for n in range(4)]


@pytest.mark.parametrize("index", range(6))
def test_each_leaf_is_bound_by_the_checkpoint_before_it_and_the_one_after(index: int) -> None:
    hours = [NOON + timedelta(hours=n) for n in range(6)]  # a checkpoint an hour, a leaf each
    seen = [seen_at(n, hour) for n, hour in enumerate(hours, 1)]
    after = hours[index] + BETWEEN_CLOCKS
    assert found(times(*seen, received={index: after})) == []
    assert [f.code for f in times(*seen, received={index: after + MOMENT}).findings] == ["FUTURE_DATED"]
    if index:
        before = hours[index - 1] - LATEST_PROMISE
        assert found(times(*seen, received={index: before})) == []
        assert [f.code for f in times(*seen, received={index: before - MOMENT}).findings] == ["BACKDATED"]


def ordered(*received: datetime, now: datetime = NOON) -> list[tuple[str, int | None]]:
    report, leaves = VerificationReport(), LeafCheck(VerificationReport(), ORIGIN, "cases")
    leaves.instants = list(enumerate(received))
    check_order(report, leaves, now)
    assert report.statuses["times"] == ("failed" if report.findings else "passed")
    return [(finding.code, finding.index) for finding in report.findings]


def test_without_a_witness_an_entry_may_lag_as_far_as_a_promise_allows() -> None:
    earliest = NOON - LATEST_PROMISE
    assert ordered(NOON, earliest, NOON) == []
    assert ordered(NOON, earliest - MOMENT, NOON) == [("BACKDATED", 1)]
    assert ordered(NOON, NOON, earliest - MOMENT, earliest - MOMENT) == [("BACKDATED", 2), ("BACKDATED", 3)]
    assert ordered(earliest - MOMENT, NOON) == [], "what was there before may be as old as it likes"


def test_without_a_witness_no_entry_is_of_the_future_and_none_makes_others_late() -> None:
    soon = NOON + BETWEEN_CLOCKS
    assert ordered(soon, now=NOON) == []
    assert ordered(soon + MOMENT, now=NOON) == [("FUTURE_DATED", 0)]
    assert ordered(NOON + timedelta(days=1), NOON, now=NOON) == [("FUTURE_DATED", 0)]


def test_a_time_that_no_calendar_has_is_told_and_the_next_is_looked_at() -> None:
    received = {0: datetime.min.replace(tzinfo=UTC), 1: NOON}
    report = times(seen_at(2, NOON), received=received, clock=[(0, timedelta(days=1))])
    assert report.counts["times"] == 2
    assert ("times", "OUT_OF_TIME", "received_at", "cases", 0) in found(report)
