"""Text of others as a terminal may show it: nothing in it moves the cursor, hides a line or fakes one. Pure."""


def printable(text: str) -> str:
    """Text of others for a terminal: what is no visible character, a line break too, stands as its JSON escape."""
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[n : n + 2].hex()}" for n in range(0, len(units), 2))


def printable_lines(text: str) -> str:
    """As printable(), and line breaks stay: for whole documents, such as the answer of a server."""
    return "\n".join(printable(line) for line in text.split("\n"))
