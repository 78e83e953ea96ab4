"""Read a notebook as JSON, liberally, and say in plain words why one cannot be read."""

import ast
import json
import re
from dataclasses import dataclass
from pathlib import Path

MAX_BYTES = 256_000_000
CELL_MAGIC = re.compile(r"\s*%%(\w+)")
SCRIPT_CELL = re.compile(r"^# %%.*\n", re.MULTILINE)
RUNS_AS_PYTHON = ("time", "timeit", "capture", "prun", "script_python")
# The look-ahead keeps a line of a million blanks from taking hours.
LINE_MAGIC = re.compile(r"^(\s*)(?=\S)([%!?].*|.*\?\s*|\w+\s*=\s*[%!].*)$")


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
    if path.suffix == ".py":
        name = path.name.encode(errors="replace").decode()
        return script_cells(read_text(path).replace("\r\n", "\n"), name)
    document = parse_json(read_text(path))
    if not isinstance(document, dict):
        raise UnreadableNotebookError("the file is JSON, but not a notebook")
    cells = document.get("cells")
    if cells is None:  # nbformat 3 keeps cells in worksheets
        sheets = document.get("worksheets")
        cells = sheets[0].get("cells") if isinstance(sheets, list) and sheets else None
    if not isinstance(cells, list):
        raise UnreadableNotebookError("the file is JSON, but it has no list of cells")
    sources = [
        as_text(cell.get("source", cell.get("input", "")))
        for cell in cells
        if isinstance(cell, dict) and cell.get("cell_type") == "code"
    ]
    return [parse_cell(number, source) for number, source in enumerate(sources, start=1)]


def script_cells(text: str, file: str) -> list[CodeCell]:
    """Return the cells of a script, which know where they stand in it."""
    cells, above = [], 0
    for number, source in enumerate(SCRIPT_CELL.split(text), start=1):
        cells.append(parse_cell(number, source, file, above))
        above += source.count("\n") + 1
    return cells


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


def as_text(source) -> str:
    """Return a cell's source, which may be a string or a list of lines."""
    if isinstance(source, list):
        return "".join(line for line in source if isinstance(line, str))
    return source if isinstance(source, str) else ""


def parse_cell(number: int, source: str, file: str = "", above: int = 0) -> CodeCell:
    """Return a parsed cell; magics are dropped only where Python does not understand the text."""
    error = ""
    for text in (source, without_magics(source)):
        try:
            return CodeCell(number, text, tuple(ast.parse(text).body), "", file, above)
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


def without_magics(source: str) -> str:
    """Blank the lines that only IPython understands, keeping the line numbers."""
    magic = CELL_MAGIC.match(source)
    if magic and magic[1] not in RUNS_AS_PYTHON:
        return ""
    return "\n".join(LINE_MAGIC.sub(r"\1pass", line) for line in source.split("\n"))
