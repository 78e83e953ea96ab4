"""Read a notebook as JSON, liberally, and say in plain words why one cannot be read."""

import ast
import json
import re
from dataclasses import dataclass
from pathlib import Path

from .magics import ends_in_string, without_magics
from .parser import is_python, parse

MAX_BYTES = 256_000_000
# As Jupytext, VS Code and Spyder write it, and as Jupyter itself exports a notebook.
SCRIPT_CELL = re.compile(r"^#[ \t]*(?:%%|In ?\[[ \d]*\]|<codecell>).*\n", re.MULTILINE)
MAX_MARKS = 50  # in one string, that look like the beginning of a cell


class UnreadableNotebookError(ValueError):
    """The file is no notebook; the message says what it is instead."""

    def sentence(self) -> str:
        """Return the message as a sentence; abbreviations in it stay as they are."""
        text = str(self)
        return f"{text[:1].upper()}{text[1:]}."


@dataclass(frozen=True)
class CodeCell:
    """One code cell.

    Parameters
    ----------
    number : int
        Position among the notebook's code cells, from 1.
    source : str
        The cell's text, magics blanked out.
    statements : tuple of ast.stmt
        Its top-level statements; empty if it is not valid Python.
    error : str
        The syntax error, empty if there is none.
    file : str
        Name of the script that the cell stands in, empty for a notebook.
    above : int
        Lines of the script above the cell.
    """

    number: int
    source: str
    statements: tuple[ast.stmt, ...]
    error: str = ""
    file: str = ""
    above: int = 0

    @property
    def place(self) -> int | str:
        """What messages call the cell by: its number, or the name of its script."""
        return self.file or self.number


def read_code_cells(path: str | Path) -> list[CodeCell]:
    """Return the code cells of the notebook, or of the script with ``# %%`` cells, at `path`.

    Raises
    ------
    UnreadableNotebookError
        If the file is missing, empty, too large, not UTF-8, or not a notebook.
    """
    path = Path(path)
    if path.suffix.lower() == ".py":
        name = path.name.encode(errors="replace").decode()
        return script_cells(line_feeds(read_text(path)), name)
    document = parse_json(read_text(path))
    if not isinstance(document, dict):
        raise UnreadableNotebookError("the file is JSON, but not a notebook")
    sources = [
        as_text(cell)
        for cell in list_of_cells(document)
        if isinstance(cell, dict) and cell.get("cell_type") == "code"
    ]
    return [parse_cell(number, source) for number, source in enumerate(sources, start=1)]


def list_of_cells(document: dict) -> list:
    """Return a notebook's cells; nbformat 2 and 3 keep them in worksheets."""
    cells, sheets = document.get("cells"), document.get("worksheets")
    if cells is None and isinstance(sheets, list):
        lists = [sheet.get("cells") for sheet in sheets if isinstance(sheet, dict)]
        cells = [cell for part in lists if isinstance(part, list) for cell in part]
    if not isinstance(cells, list):
        raise UnreadableNotebookError("the file is JSON, but it has no list of cells")
    return cells


def script_cells(text: str, file: str) -> list[CodeCell]:
    """Return the cells of a script, which know where they stand in it."""
    marks = [(0, 0), *(match.span() for match in SCRIPT_CELL.finditer(text)), (len(text),) * 2]
    cells: list[CodeCell] = []
    above, begin, mark = 0, 0, 0
    while mark < len(marks) - 1:
        above += text.count("\n", begin, marks[mark][1])
        begin = marks[mark][1]
        mark = next_mark(text, marks, mark)
        cells.append(parse_cell(len(cells) + 1, text[begin : marks[mark][0]], file, above))
    return cells


def next_mark(text: str, marks: list[tuple[int, int]], number: int) -> int:
    """Return the mark that ends the cell below a mark: not one that stands in a string.

    It stands in a string if the cell is valid Python with it, and ends inside a string without it.
    """
    begin = marks[number][1]
    for last in range(number + 1, min(number + 1 + MAX_MARKS, len(marks))):
        source = text[begin : marks[last][0]]
        if not ends_in_string(source):
            whole = last == number + 1 or is_python(source) or is_python(without_magics(source))
            return last if whole else number + 1
    return number + 1


def read_text(path: Path) -> str:
    """Return the file's text, or say what the file is."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UnreadableNotebookError("the file is larger than 256 MB; clear its outputs")
        data = path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UnreadableNotebookError(f"the file cannot be opened: {reason}") from error
    if not data.strip():
        raise UnreadableNotebookError("the file is empty")
    if data.startswith(b"PK"):
        raise UnreadableNotebookError("the file is a zip archive; hand in the notebook inside it")
    if data.lstrip().startswith(b"<") and not data.lstrip().startswith(b"<<<<<<<"):
        raise UnreadableNotebookError("the file is a web page; download the raw notebook instead")
    if b"\n<<<<<<< " in data or b"\n>>>>>>> " in data or data.startswith(b"<<<<<<< "):
        raise UnreadableNotebookError(
            "the file holds the markers of a merge conflict; resolve it first"
        )
    try:
        return data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableNotebookError(
            "the file is not UTF-8 text; save it again in Jupyter"
        ) from error


def parse_json(text: str):
    """Return the parsed file, or say where the JSON breaks off."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        reason = f"the file is not a complete notebook: its JSON breaks off or is damaged{where}"
        raise UnreadableNotebookError(reason) from error


def as_text(cell: dict) -> str:
    """Return a code cell's text, a string or a list of lines; its name depends on the nbformat."""
    name = next((key for key in ("source", "input", "code") if key in cell), "")
    text = cell.get(name)
    if not isinstance(text, list):
        return text if isinstance(text, str) else ""
    lines = [line for line in text if isinstance(line, str)]
    # nbformat 2 and 3 may have cut the line ends off.
    cut = name == "input" and lines and not lines[0].endswith(("\n", "\r"))
    return ("\n" if cut else "").join(lines)


def line_feeds(text: str) -> str:
    """Return text with every line ended by a line feed, as Python reads it."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parse_cell(number: int, source: str, file: str = "", above: int = 0) -> CodeCell:
    """Return a parsed cell; magics are dropped only where Python does not understand the text."""
    error, source = "", line_feeds(source)
    for version in (lambda text: text, without_magics):
        text = version(source)
        try:
            return CodeCell(number, text, tuple(parse(text).body), "", file, above)
        except SyntaxError as problem:
            line = above + (problem.lineno or 1)
            error = f"line {line}: {problem.msg}{quoted(text, problem.lineno)}"
        except (ValueError, RecursionError, MemoryError) as problem:
            error = str(problem) or type(problem).__name__
    return CodeCell(number, source, (), error, file, above)


def quoted(text: str, number: int | None) -> str:
    """Return a line of a cell as a quotation that ends a message, or nothing for an empty line."""
    lines = text.split("\n")
    line = lines[number - 1].strip() if number and number <= len(lines) else ""
    return f" in `{line[:100]}`" if line else ""
