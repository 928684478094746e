"""Makes foreign text safe for a terminal: it cannot move the cursor, hide a line or fake one.
Pure: no I/O.
"""


def printable(text: str) -> str:
    """Replace each character that is not visible, also a line break, by its JSON escape."""
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[n : n + 2].hex()}" for n in range(0, len(units), 2))


def printable_lines(text: str) -> str:
    """As printable(), but keep line breaks: for whole documents, such as the answer of a server."""
    return "\n".join(printable(line) for line in text.split("\n"))
