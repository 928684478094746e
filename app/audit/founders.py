"""What may stand before the founding of a ledger of production: what the founding names."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from app.access.registers.registration import AUTH, OPERATOR, SIGN, Facts, registers_hash

TWO_OPERATORS = 2
Rows = Mapping[str, Mapping[tuple[Any, ...], Mapping[str, Any]]]  # by register, then by key


def founding_flaws(rows: Rows, facts: Facts, before: Sequence[tuple[str, Facts]]) -> Iterator[str]:
    """Says what is wrong with a founding.
    `rows`: the registers as they stand. `facts`: of the founding. `before`: type and facts of the registers' entries so far.
    """
    kinds = [row["kind"] for row in rows["party"].values()]
    parties = [row["party"] for row in rows["client"].values()]
    keys = sorted((row["client_id"], row["purpose"]) for row in rows["client_key"].values())
    wanted = sorted((row["id"], purpose) for row in rows["client"].values() for purpose in (AUTH, SIGN))
    if kinds.count(OPERATOR) != 1 or parties != [OPERATOR] * TWO_OPERATORS or keys != wanted:
        yield "others than the two founding operators were registered before the founding"
    if facts.get("registers") != registers_hash(before):
        yield "other registers stand before the founding than it names"
