"""What a procedure is: frozen values, read from versions/*.yaml.
Nothing here knows a database or the time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date


@dataclass(frozen=True, slots=True)
class When:
    """A stage with a condition: `{stage, if: c}` / `{stage, unless: c}`.
    The condition in `holds` must hold; the one in `fails` must not.
    """

    stage: str
    holds: str | None = None
    fails: str | None = None


@dataclass(frozen=True, slots=True)
class Closing:
    """A closing status, and the condition under which it applies."""

    status: str
    holds: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What may be decided at a stage, and what follows from it.
    `identified`: only for a person whose NIP or NIK is known.
    `sanction`: only with a sanction within, or outside, the allowed set of the charged forms.
    """

    code: str
    label: Mapping[str, str]
    next: tuple[When, ...] = ()
    drops: tuple[str, ...] = ()
    closes: tuple[Closing, ...] = ()
    as_overdue: bool = False
    holds: str | None = None
    fails: str | None = None
    identified: bool = False
    sanction: str | None = None


@dataclass(frozen=True, slots=True)
class Extension:
    """A longer term, by a post that gives a reason.
    `total` counts from the same start, `adds` from the due date.
    """

    total: int | None
    adds: int | None
    unit: str
    when: str
    certainty: str


@dataclass(frozen=True, slots=True)
class DeadlineRule:
    """One deadline rule; `value` None: no term.
    The first clock whose selectors fit is used.
    """

    value: int | None
    unit: str | None
    starts: tuple[str, ...]
    regime: str | None
    kinds: tuple[str, ...]
    after: tuple[str, ...]
    overdue_opens: tuple[When, ...]
    extension: Extension | None
    certainty: str
    unit_certainty: str | None
    start_certainty: str | None
    reason: str | None
    source: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BodyRule:
    """The fields that a post must and may hold; `required_for` adds fields for an outcome."""

    required: tuple[str, ...]
    optional: tuple[str, ...]
    required_for: Mapping[str, tuple[str, ...]]

    @property
    def members(self) -> frozenset[str]:
        extra = {f for fields in self.required_for.values() for f in fields}
        return frozenset({*self.required, *self.optional, *extra})


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of a procedure."""

    code: str
    model: str
    label: Mapping[str, str]
    owner: str
    recorder: str | None
    members: tuple[str, ...]
    may_open: tuple[str, ...]
    only_if: str | None
    status: str
    opened_by: frozenset[str]
    opened_by_clock_of: frozenset[str]
    opened_by_case: bool
    clocks: tuple[DeadlineRule, ...]
    outcomes: Mapping[str, Outcome]
    body: BodyRule
    full: frozenset[str]
    summary: frozenset[str]
    certainty: str
    source: tuple[str, ...]
    examples: tuple[Mapping[str, object], ...]


@dataclass(frozen=True, slots=True)
class Field:
    """One member of a stage's body: its type, and who may see it."""

    type: str
    label: Mapping[str, str]
    personal: bool
    summary: bool
    future: bool
    identity: bool
    values: Mapping[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition, which holds or does not hold.
    The newest post that fits either list decides; or a test of the employer does.
    `by`: only posts of that party set it; `touched`: an extended or paused round of the stage sets it as well.
    """

    code: str
    set_by: frozenset[str]
    cleared_by: frozenset[str]
    label: Mapping[str, str]
    by: str | None = None
    touched: frozenset[str] = frozenset()
    of_employer: bool = False


@dataclass(frozen=True, slots=True)
class Succession:
    """From a day on, another party fills a role, in the cases that fit."""

    role: str
    since: date
    to: str
    holds: str | None
    fails: str | None


@dataclass(frozen=True, slots=True)
class Pause:
    """How long, in which unit and how often a round of these stages may be paused."""

    stages: frozenset[str]
    longest: int
    unit: str
    times: int


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """The rules of a withdrawal.
    `closes`: the status that it closes a case with; `by`: who may withdraw (a party, or the opener).
    `until`: the stages that end this right once they are opened.
    """

    closes: str
    by: frozenset[str]
    until: frozenset[str]


@dataclass(frozen=True, slots=True)
class Status:
    code: str
    label: Mapping[str, str]
    closed: bool
    published: str | None


@dataclass(frozen=True, slots=True)
class Procedure:
    """The flow that a case follows, with the first and the last day on which it is in force."""

    code: str
    label: Mapping[str, str]
    valid_from: date
    valid_to: date | None
    first_stages: tuple[str, ...]
    stages: Mapping[str, Stage]
    example_case: Mapping[str, object]
    sha256: str
    import_only: bool = False

    def in_force_on(self, day: date) -> bool:
        return self.valid_from <= day and (self.valid_to is None or day <= self.valid_to)

    def may_import(self, received: date) -> bool:
        """Check whether a report of that day may be imported under this procedure.
        A report that is older than a past decree may still have been handled under it.
        """
        return self.in_force_on(received) or (self.import_only and received < self.valid_from)


@dataclass(frozen=True, slots=True)
class StatisticDefinition:
    """One published number: which cases it counts, and of which other number it is a part."""

    code: str
    label: Mapping[str, str]
    outcomes: tuple[str, ...]
    status: str | None
    condition: str | None
    of: str


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What all procedures share."""

    fields: Mapping[str, Field]
    every_stage: BodyRule
    conditions: Mapping[str, Condition]
    statuses: Mapping[str, Status]
    succession: tuple[Succession, ...]
    no_receipt_days: int
    pause: Pause
    extension_times: int
    due_soon: tuple[int, str]
    ageing: tuple[int, ...]
    withdrawal: Withdrawal
    sources: Mapping[str, str]
    measures: Mapping[str, StatisticDefinition]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Lists by name, each {code: row as printed in catalogues/*.yaml}."""

    lists: Mapping[str, Mapping[str, Mapping[str, object]]]
    provincial_prefixes: frozenset[str]
    mandates: tuple[Mapping[str, object], ...]

    def codes(self, name: str) -> Mapping[str, Mapping[str, object]]:
        return self.lists[name]


@dataclass(frozen=True, slots=True)
class Rulebook:
    """Every procedure that the service knows, with the vocabulary and the catalogues."""

    vocabulary: Vocabulary
    procedures: Mapping[str, Procedure]
    catalogue: Catalogue

    def governing(self, day: date) -> Procedure | None:
        """Return the procedure in force for a report that was received on that day."""
        return next((p for p in self.procedures.values() if p.in_force_on(day) and not p.import_only), None)

    def current(self) -> list[Procedure]:
        """Return the procedures that a case may be opened with, the earliest first."""
        return [p for p in self.procedures.values() if not p.import_only]
