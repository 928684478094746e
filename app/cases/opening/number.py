"""Case numbers for people: SBT-<year>-<six or more digits>-<check character>, ISO 7064 MOD 37,36."""

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def case_number(year: int, serial: int) -> str:
    digits = f"{serial:06}"
    return f"SBT-{year}-{digits}-{check_character(f'{year}{digits}')}"


def check_character(text: str) -> str:
    """Detects every single wrong character and nearly every swap of two neighbours."""
    size = len(ALPHABET)
    rest = size
    for character in text:
        rest = (rest + ALPHABET.index(character)) % size or size
        rest = rest * 2 % (size + 1)
    return ALPHABET[(size + 1 - rest) % size]
