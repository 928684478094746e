"""The result of a verification: numbered steps with findings, and an exit code. Pure: no I/O."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from app.ledger.terminal import printable

PASSED, FAILED, NOT_YET, NOT_CHECKED = "passed", "failed", "not_yet", "not_checked"
NOT_VISIBLE = "not_visible"  # this reader has no token for it: the step could not run, and the report says so
SOUND, FOUND, COULD_NOT = 0, 1, 2
MARKS = {PASSED: "ok", FAILED: "FAILED", NOT_YET: "not yet", NOT_CHECKED: "NOT CHECKED", NOT_VISIBLE: "NOT VISIBLE"}
RESULTS = {
    "sound": "sound",
    "sound_as_far_as_visible": "sound as far as a stranger can see",
    "findings": "findings",
    "could_not_check": "could not check",
}
MOST = 1000  # findings that are listed one by one; the rest are only counted

STEPS: dict[str, tuple[int, str]] = {
    "notes": (1, "Checkpoints are signed by the log's key and name this log"),
    "witnesses": (2, "Cosignatures are good; a quorum of witnesses knows the checkpoint"),
    "history": (3, "The checkpoint follows from every earlier one that is known"),
    "tree": (4, "Every leaf is in its tile, every tile recomputes, every root is the root; no gap, nothing beyond"),
    "bytes": (5, "Leaves are canonical, of this log, and of a known form"),
    "chains": (6, "In each case the entries follow one another, none twice, none back in time"),
    "times": (7, "Receipt times fit the times at which witnesses saw the log"),
    "schemas": (8, "Parts are of schemas that were registered before"),
    "standing": (9, "Parties, clients and mandates were on record before they acted"),
    "signatures": (10, "Parties signed what is in their name"),
    "rows": (11, "The rows of the log say what its leaves say"),
    "payloads": (12, "Every part opens to its commitments, or was erased under an entry that orders it"),
    "projections": (13, "Every other row follows from the log"),
    "fields": (14, "The fields that are shown open the commitments in their leaves"),
}

Tick = Callable[[int], None]  # is told how many leaves were worked on since it was last told


@dataclass(frozen=True, slots=True)
class Finding:
    """One deviation: the step that found it, its code, and its place."""

    step: str
    code: str
    place: str
    says: str
    log: str | None = None
    index: int | None = None

    def told(self) -> dict[str, Any]:
        return {
            "step": STEPS[self.step][0],
            "code": self.code,
            "log": self.log,
            "index": self.index,
            "place": self.place,
            "says": self.says,
        }


@dataclass
class VerificationReport:
    """Collects steps and findings. A step that never began does not appear."""

    statuses: dict[str, str] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    more: int = 0
    says: dict[str, Any] = field(default_factory=dict)
    strict: bool = False  # a step that is not visible to this reader counts as not checked

    def begin(self, step: str) -> None:
        self.statuses.setdefault(step, PASSED)

    def count(self, step: str, number: int = 1) -> None:
        self.begin(step)
        self.counts[step] = self.counts.get(step, 0) + number

    def skip(self, step: str, status: str, why: str) -> None:
        """Marks a step as not run, with the reason.
        not_yet: nothing to check so far. not_checked: something is missing. not_visible: it needs a token.
        """
        if self.statuses.get(step) == FAILED or (status == NOT_YET and (self.counts.get(step) or step in self.reasons)):
            return  # a finding, or a check made elsewhere, is kept
        if self.statuses.get(step) != NOT_CHECKED:
            self.statuses[step], self.reasons[step] = status, why

    def find(
        self, step: str, code: str, place: str, says: str, *, log: str | None = None, index: int | None = None
    ) -> None:
        self.statuses[step] = FAILED
        if len(self.findings) < MOST:
            self.findings.append(Finding(step, code, place, says, log, index))
        else:
            self.more += 1

    @property
    def exit_code(self) -> int:
        if self.findings:
            return FOUND
        unchecked = {NOT_CHECKED, NOT_VISIBLE} if self.strict else {NOT_CHECKED}
        return COULD_NOT if unchecked & set(self.statuses.values()) else SOUND

    @property
    def may_be_remembered(self) -> bool:
        """Whether the checkpoints of this run are a sound beginning for the next.
        Signatures that could not be checked do not freeze the memory: some never can, and a rollback would go unseen.
        """
        unchecked = {step for step, status in self.statuses.items() if status == NOT_CHECKED}
        return not self.findings and unchecked <= {"signatures"}

    @property
    def result(self) -> str:
        """The result: one of RESULTS."""
        if self.exit_code == SOUND:
            return "sound_as_far_as_visible" if NOT_VISIBLE in self.statuses.values() else "sound"
        return "findings" if self.exit_code == FOUND else "could_not_check"

    def codes(self) -> set[str]:
        return {finding.code for finding in self.findings}

    def told(self) -> dict[str, Any]:
        return {
            "result": self.result,
            **self.says,
            "steps": list(self._steps()),
            "findings": [finding.told() for finding in self.findings],
            "more_findings": self.more,
        }

    def _steps(self) -> Iterator[dict[str, Any]]:
        for step, status in sorted(self.statuses.items(), key=lambda item: STEPS[item[0]][0]):
            number, title = STEPS[step]
            yield {
                "number": number,
                "step": step,
                "title": title,
                "status": status,
                "checked": self.counts.get(step, 0),
                "why": self.reasons.get(step),
            }


def lines(report: VerificationReport) -> Iterator[str]:
    """The report for people: one line for each step, then one line for each finding.
    Names and places may be an attacker's text: unprintable characters reach the terminal only escaped.
    """
    return map(printable, _lines(report))


def _lines(report: VerificationReport) -> Iterator[str]:
    document = report.told()
    for step in document["steps"]:
        why = f" ({step['why']})" if step["why"] else f" ({step['checked']:,})" if step["checked"] else ""
        yield f"{step['number']:>3}. {step['title']}: {MARKS[step['status']]}{why}"
    for finding in document["findings"]:
        where = f"{finding['log']}/{finding['index']} " if finding["index"] is not None else ""
        yield f"  ! step {finding['step']} {finding['code']} at {where}{finding['place']}: {finding['says']}"
    if document["more_findings"]:
        yield f"  ! and {document['more_findings']:,} more"
    for row in document.get("shredded", ()):
        under = f"entry {row['under']['entry']} ({row['under']['authority']})"
        yield f"  - SHREDDED {row['part']} of entry {row['entry']}, under {under}"
    for name, value in report.says.items():
        if isinstance(value, (str, int)) and value is not False:
            yield f"{name.replace('_', ' ')}: {value}"
    yield f"result: {RESULTS[document['result']]}"
