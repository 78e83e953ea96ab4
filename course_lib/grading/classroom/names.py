"""Names and texts that students chose, made harmless for terminals, spreadsheets and XML."""

# A spreadsheet takes a cell that begins with one of these for a formula and runs it.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def printable(text: str) -> str:
    """Return a name on one line, every character visible; different names stay different.

    Line ends, terminal escapes, marks that turn the direction of writing and bytes that are no text
    become Python escapes such as ``\\n``.
    """
    return "".join(
        char if char.isprintable() and char != "\\" else char.encode("unicode_escape").decode()
        for char in text
    )


def plain_text(text: str) -> str:
    """Return text without the characters that XML and terminals must not see; line ends stay."""
    if text.replace("\n", "").isprintable():
        return text
    return "".join(char if char == "\n" else printable_or_backslash(char) for char in text)


def printable_or_backslash(char: str) -> str:
    """Return one character as `printable` does, but a backslash as itself."""
    return char if char == "\\" else printable(char)


def cell(value) -> str | int | float:
    """Return a value for a CSV file: text that would be a formula gets an apostrophe in front."""
    if not isinstance(value, str):
        return value
    text = plain_text(value)
    return "'" + text if text.startswith(FORMULA_STARTS) else text
