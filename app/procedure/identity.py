"""What the digits of NIP (18) and NIK (16) must say.
Pure: no I/O; a message never repeats the number.
"""

from datetime import date

NIP_DIGITS, NIK_DIGITS = 18, 16
FIRST_YEAR = 1900
YOUNGEST = 15  # nobody is appointed younger; the law says 18, but an error in a register should not stop a case
ROUNDED_NIP, ROUNDED_NIK = "000", "0000"  # a spreadsheet keeps 15 digits of a number, and writes 0 for the others
WOMEN_ADD = 40  # the NIK has a woman's day of birth with 40 added


def nip_flaw(nip: str, kind: str, today: date) -> str | None:
    """Return why this is no NIP; None if it is one.
    It checks birth date, month of appointment (PNS only: for PPPK digits 13-14 mean something else), sex, and serial.
    """
    if len(nip) != NIP_DIGITS or not (nip.isascii() and nip.isdigit()):
        return "nip_digits"
    born = _date(nip[:4], nip[4:6], nip[6:8])
    if born is None or not FIRST_YEAR <= born.year <= today.year - YOUNGEST:
        return "nip_birth_date"
    appointed = _date(nip[8:12], nip[12:14] if kind == "pns" else "01", "01")
    if appointed is None or not born.year + YOUNGEST <= appointed.year or appointed > today:
        return "nip_appointment"
    if nip[14] not in "12":
        return "nip_sex"
    return None if nip[15:] != ROUNDED_NIP else "nip_serial"


def nik_flaw(nik: str) -> str | None:
    """Return why this is no NIK; None if it is one.
    It has 16 digits, a possible day and month of birth, and a serial. It begins with the code of a province: none begins with 0.
    """
    if len(nik) != NIK_DIGITS or not (nik.isascii() and nik.isdigit()):
        return "nik_digits"
    day = int(nik[6:8])
    day -= WOMEN_ADD if day > WOMEN_ADD else 0
    # the year has two digits only: 29 February is allowed, whatever the century
    if _date("2000", nik[8:10], f"{day:02}") is None:
        return "nik_birth_date"
    if nik[0] == "0":
        return "nik_province"
    return None if nik[12:] != ROUNDED_NIK else "nik_serial"


def _date(year: str, month: str, day: str) -> date | None:
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None
