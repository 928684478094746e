"""Case numbers for people: SBT-<year>-<six or more digits>-<check character>, ISO 7064 MOD 37,36."""

from datetime import datetime
from uuid import UUID

from app import clock
from app.database.batches import StatementBatch
from app.database.sessions import Session
from app.database.statements import Statement

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# Locks the counter until the commit. A transaction that is rolled back has taken no number.
GIVE = Statement("UPDATE case_counter SET last_serial = last_serial + 1, case_id = :case_id RETURNING last_serial")
# The same beside the rows of the case, in one statement: the case's leaf has a blank for its number.
COUNTED = Statement("UPDATE case_counter SET last_serial = last_serial + 1, case_id = :case_id RETURNING last_serial")
GIVEN = Statement("SELECT case_number(CAST(:year AS int), last_serial) AS value FROM counted")
BLANK = "@ the number of the case @"


def add_number(batch: StatementBatch, case_id: UUID, at: datetime) -> None:
    """Lets PostgreSQL give the next number, as `given`; others wait from that statement to the commit."""
    batch.add_named("counted", COUNTED, {"case_id": case_id})
    batch.add_named("given", GIVEN, {"year": clock.day_of(at).year})


async def give_number(session: Session, case_id: UUID, at: datetime) -> str:
    """Gives the next number to a case that this transaction writes, where its leaf is made here.
    Others wait until the transaction ends: so it is called last.
    """
    serial: int = await session.value(GIVE, case_id=case_id)
    return case_number(clock.day_of(at).year, serial)


def case_number(year: int, serial: int) -> str:
    digits = f"{serial:06}"
    return f"SBT-{year}-{digits}-{check_character(f'{year}{digits}')}"


def serial_of(number: str) -> int:
    return int(number.split("-")[2])


def check_character(text: str) -> str:
    """Detects every single wrong character and nearly every swap of two neighbours."""
    size = len(ALPHABET)
    rest = size
    for character in text:
        rest = (rest + ALPHABET.index(character)) % size or size
        rest = rest * 2 % (size + 1)
    return ALPHABET[(size + 1 - rest) % size]
