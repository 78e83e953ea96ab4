"""What of a cell is IPython's and not Python's: magics, shell commands, questions, prompts.

The rules are IPython's own (``IPython.core.inputtransformer2``): tokens decide, so that a ``%`` or
a ``?`` in a string, a comment or an expression stays what it is. A magic only adds to a cell (it
times, it captures, it asks), so taking it away leaves the verdict as it was. Lines keep their
numbers, and the work grows with the length of the text alone, whatever the text.
"""

import re
import textwrap
from collections.abc import Iterator

from .parser import is_python

# Cell magics whose cell is no Python of this notebook. All others, known or not, run their cell.
ELSEWHERE = frozenset([
    "!", "HTML", "R", "SVG", "bash", "bigquery", "cmd", "cython", "file", "html", "javascript",
    "js", "julia", "latex", "markdown", "mermaid", "perl", "powershell", "pypy", "python",
    "python2", "python3", "ruby", "script", "sh", "shell", "sql", "svg", "sx", "system",
    "writefile"
])  # fmt: skip
RUNS = frozenset(["lprun", "memit", "mprun", "prun", "time"])  # line magics that run a statement
CELL_MAGIC = re.compile(r"%%([\w!]++)(?!\?)")
LINE_MAGIC = re.compile(r"%{1,2}(\w+)(?:[ \t]+-\w+)*[ \t]+(\S.*)", re.DOTALL)
HELP = re.compile(r"%{0,2}(?!\d)[\w*]+(?:\.(?!\d)[\w*]+|\[-?\d+\])*\?\??\Z")
PROMPTS = (
    (re.compile(r"\s*>>>[ \t\n]"), re.compile(r"^[ \t]*(?:>>>|\.\.\.)[ \t]?", re.MULTILINE)),
    (
        re.compile(r"\s*In \[\d*\]: "),
        re.compile(r"^(?:In \[\d*\]: |[ \t]*\.{3,}: ?)", re.MULTILINE),
    ),
)
TOKEN = re.compile(
    r"""
      (?P<string> "{3} [^"\\]*+ (?:(?:\\.|"(?!""))[^"\\]*+)*+ "{3}
                | '{3} [^'\\]*+ (?:(?:\\.|'(?!''))[^'\\]*+)*+ '{3}
                | "(?!"") [^"\\\n]*+ (?:\\.[^"\\\n]*+)*+ "
                | '(?!'') [^'\\\n]*+ (?:\\.[^'\\\n]*+)*+ ' )
    | (?P<endless> "{3} | '{3} )  # a string that nothing closes
    | (?P<comment> \#[^\n]*+ )
    | (?P<joined> \\. )           # with a line feed, the next line goes on with this one
    | (?P<end> \n )
    | (?P<open> [(\[{] )
    | (?P<close> [)\]}] )
    | (?P<operator> [=!<>:+\-*/%&|^@]= )
    | (?P<equals> = )
    | (?P<blank> [ \t\f]++ )
    | (?P<other> \w++ | . )
    """,
    re.VERBOSE | re.DOTALL,
)
INDENT = re.compile(r"[ \t\f]*+")
ESCAPED = re.compile(r"[%!?,;/]")
ASSIGNED = re.compile(r"[ \t]*+(?:!|%[^\W\d])")
COMMAND = re.compile(r"(?:[^\n\\]++|\\\n|\\)*+")  # to the end of its line, or lines


def without_magics(source: str) -> str:
    """Return a cell's Python, each line where it was; ``pass`` stands where a magic stood.

    Parameters
    ----------
    source : str
        The cell's text, its lines ended by line feeds.
    """
    text = textwrap.dedent(source)  # IPython runs a cell that is indented as a whole
    for first, every in PROMPTS:
        if first.match(text):
            text = textwrap.dedent(every.sub("", text))
    lines, body = text.split("\n"), 0
    for number, line in enumerate(lines):
        magic = CELL_MAGIC.match(line)
        if line.strip() and not magic:
            break
        if magic and magic[1] in ELSEWHERE:
            return ""
        if magic:  # another one may stand below it, such as %%time below %%capture
            lines[number], body = "pass", number + 1
    text = "\n".join([*lines[:body], textwrap.dedent("\n".join(lines[body:]))])
    pieces, done = [], 0
    for begin, end, code in commands(text):
        pieces += [text[done:begin], code, "\n" * text.count("\n", begin, end)]
        done = end
    return "".join([*pieces, text[done:]])


def commands(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield begin, end and what Python remains of each line that only IPython understands."""
    end = -1
    while end + 1 < len(text):
        begin = matched(INDENT, text, end + 1).end()
        if ESCAPED.match(text, begin):
            end = matched(COMMAND, text, begin).end()
            yield begin, end, python_of(text[begin:end])
            continue
        value, end, asks = logical_line(text, begin)
        if value:
            end = matched(COMMAND, text, value).end()
            yield begin, end, python_of(text[value:end].lstrip(), text[begin:value])
        elif asks and HELP.search(text[max(begin, end - 300) : end].rstrip()):
            yield begin, end, "pass"


def matched(pattern: re.Pattern[str], text: str, position: int) -> re.Match[str]:
    """Return the match of a pattern that matches everywhere."""
    match = pattern.match(text, position)
    assert match is not None
    return match


def logical_line(text: str, begin: int) -> tuple[int, int, bool]:
    """Read on to where a statement's line ends, or to where a magic's result is assigned.

    Returns
    -------
    value, end, asks : int, int, bool
        Where the assigned magic stands, or 0; where the line ends; whether a ``?`` is its last
        token.
    """
    depth, equals, last, position = 0, 0, "", begin
    while position < len(text):
        token = matched(TOKEN, text, position)
        kind, position = token.lastgroup, token.end()
        if kind == "endless":  # all the rest is inside a string
            return 0, len(text), False
        if kind == "end" and depth == 0:
            return 0, token.start(), last == "?"
        depth = max(0, depth + (kind == "open") - (kind == "close"))
        if kind == "equals" and depth == 0:
            equals += 1
            if equals == 1 and ASSIGNED.match(text, position):
                return position, position, False
        if kind not in ("blank", "end"):
            last = token.group()
    return 0, position, last == "?"


def ends_in_string(text: str) -> bool:
    """Tell whether a string is still open where the text ends."""
    return any(token.lastgroup == "endless" for token in TOKEN.finditer(text))


def python_of(command: str, target: str = "") -> str:
    """Return the statement that ``%time`` and its like run, ``pass`` for any other command."""
    match = LINE_MAGIC.fullmatch(command.rstrip())
    if match and match[1] in RUNS and is_python(target + match[2]):
        return target + match[2]
    return "pass"
