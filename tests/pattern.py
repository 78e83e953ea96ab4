"""The rules of a chapter (CONTRIBUTING.md), each a function from a notebook to its faults."""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

BOX = re.compile(r"^> \*\*(Theorem|Lemma|Proposition|Corollary)\b", re.M)
TAG = re.compile(r"\\tag\{(\d+)\.(\d+)\}")
FOLD = re.compile(r"<details>\s*<summary>(.*?)</summary>", re.S)
LONGEST = 15  # lines of a visible cell
WORDS_PER_MINUTE = 250

# What is no claim about a measurement: equation numbers, headings, links, code, years and papers.
NOT_PROSE = re.compile(
    r"\\tag\{[^}]*\}|\((?:\d+\.\d+)\)|Eq(?:s)?\.\s*\(?\d+\.?\d*\)?|\]\([^)]*\)|`[^`]*`|^#.*$"
    r"|(?:Theorem|Lemma|Proposition|Corollary|Figure|Section|Chapter|Table|[Ss]ections?) \d+(?:\.\d+)*"
    r"|arXiv:\S+|\*\*Time:\*\*.*$|^\|?\s*-+.*$",
    re.M,
)
DECIMAL = re.compile(r"(?<![\w.])-?\d[\d,]*\.\d+(?:e-?\d+)?(?![\w])|(?<![\w.])\d+(?:\.\d+)?\s*%")


@dataclass(frozen=True)
class Cell:
    """A cell with what the rules ask of it."""

    kind: str
    source: str
    tags: tuple[str, ...]
    metadata: dict

    @property
    def is_shown(self) -> bool:
        """Whether its code is in the reader's way."""
        hidden = {"hide-input", "remove-input", "remove-cell", "hide-cell"}
        return self.kind == "code" and not hidden & set(self.tags)


def cells_of(notebook: dict) -> list[Cell]:
    """The cells of a notebook as read from JSON or by nbformat."""
    return [
        Cell(
            cell["cell_type"],
            "".join(cell["source"]),
            tuple(cell["metadata"].get("tags", [])),
            cell["metadata"],
        )
        for cell in notebook["cells"]
    ]


def text_of(cells: list[Cell]) -> str:
    """All prose."""
    return "\n\n".join(cell.source for cell in cells if cell.kind == "markdown")


def opening(cells: list[Cell], _: dict) -> Iterator[str]:
    """A hook, then what the reader will be able to do, needs, and the time it takes."""
    first = cells[0].source
    text = text_of(cells)
    if not re.match(r"# Chapter \d+: \S", first):
        yield "the first cell does not start with '# Chapter N: title'"
    for start in ("**You will be able to**", "**You need**", "**Time:**"):
        if text.count(start) != 1:
            yield f"{start} must stand in the text once"
    at = text.find("**You will be able to**")
    if at >= 0 and len(text[:at].split()) < 60:
        yield "nothing catches the reader before **You will be able to**"


def reading_time(cells: list[Cell], _: dict) -> Iterator[str]:
    """The minutes that are promised are those that 250 words a minute take."""
    text = text_of(cells)
    promised = re.search(r"\*\*Time:\*\* (?:about )?(\d+) minutes to read, .*\bto run\b", text)
    if promised is None:
        yield "**Time:** does not say 'N minutes to read, ... to run'"
        return
    words = len(text.split())
    minutes = words / WORDS_PER_MINUTE
    if abs(int(promised.group(1)) - minutes) > max(2.0, 0.15 * minutes):
        yield f"{promised.group(1)} minutes to read are promised, {words} words take {minutes:.0f}"


def predictions(cells: list[Cell], _: dict) -> Iterator[str]:
    """Each prediction is followed by a cell that runs, and only then by the answer."""
    asked = [i for i, cell in enumerate(cells) if "> **Predict.**" in cell.source]
    if not asked:
        yield "no prediction is asked for"
    for i in asked:
        rest = cells[i].source.split("> **Predict.**", 1)[1]
        if FOLD.search(rest):
            yield "a prediction is answered before anything ran"
            continue
        code, fold = None, None
        for j, cell in enumerate(cells[i + 1 :], start=i + 1):
            if cell.kind == "code" and "remove-cell" not in cell.tags and code is None:
                code = j
            if cell.kind == "markdown" and FOLD.search(cell.source) and fold is None:
                fold = j
        if code is None or fold is None or fold < code:
            yield "a prediction is not followed by a cell that runs and then by a folded answer"


def break_it(cells: list[Cell], _: dict) -> Iterator[str]:
    """One section changes one thing and shows what breaks."""
    if not re.search(r"^#{2,3} Break it\b", text_of(cells), re.M):
        yield "no section 'Break it'"


def close(cells: list[Cell], _: dict) -> Iterator[str]:
    """Five lines of summary, two to four folded questions, the exercise, papers."""
    text = text_of(cells)
    summary = re.search(r"^## Summary\n(.*?)(?=^## )", text, re.M | re.S)
    if summary is None or len(re.findall(r"^\d\. ", summary.group(1), re.M)) != 5:
        yield "the summary does not have five numbered lines"
    questions = re.search(r"^## Quick questions\n(.*?)(?=^## )", text, re.M | re.S)
    asked = len(re.findall(r"^\*\*\d\.\*\*", questions.group(1), re.M)) if questions else 0
    folds = len(FOLD.findall(questions.group(1))) if questions else 0
    if not 2 <= asked <= 4 or folds != asked:
        yield f"{asked} quick questions with {folds} folded answers; 2 to 4 are asked for"
    if not re.search(r"\]\(\.\./exercises/\d\d_\w+\.(?:ipynb|py)\)", text):
        yield "no link to the exercise"
    reading = text.partition("## Further reading")[2]
    if "https://arxiv.org/abs/" not in reading:
        yield "the reading list has no link to arXiv"


def pictures(cells: list[Cell], _: dict) -> Iterator[str]:
    """At least one playable figure; a text equivalent for each picture and film."""
    code = [cell.source for cell in cells if cell.kind == "code"]
    if not any(re.search(r"\bplayable\(", source) for source in code):
        yield "no playable figure"
    for source in code:
        for call in ast.walk(ast.parse(re.sub(r"^[%!].*$", "", source, flags=re.M))):
            name = getattr(getattr(call, "func", None), "id", "")
            shows = name in ("picture", "playable", "film")
            if shows and "alt" not in [k.arg for k in call.keywords]:
                yield f"{name}(...) without alt"
            if getattr(getattr(call, "func", None), "attr", "") == "show" and "plt" in source:
                yield "plt.show() has no text equivalent: use picture(...)"


def visible_code(cells: list[Cell], _: dict) -> Iterator[str]:
    """A visible cell is short, or says why not; a fold says what it hides."""
    for cell in cells:
        if cell.kind != "code":
            continue
        lines = [line for line in cell.source.splitlines() if line.strip()]
        if cell.is_shown and len(lines) > LONGEST and "long" not in cell.metadata:
            yield f"a visible cell has {len(lines)} lines: {lines[0][:50]}"
        folded = {"hide-input", "hide-cell"} & set(cell.tags)
        prompts = cell.metadata.get("mystnb", {})
        if folded and "code_prompt_show" not in prompts:
            yield f"a fold without a label (mystnb.code_prompt_show): {lines[0][:50]}"


def assumptions(cells: list[Cell], _: dict) -> Iterator[str]:
    """Every boxed result says what it assumes."""
    for cell in cells:
        if cell.kind != "markdown":
            continue
        for block in re.split(r"\n(?!>)", cell.source):
            if BOX.search(block) and "Assumes:" not in block:
                yield f"a result without 'Assumes:': {block[:60]}"


def equations(cells: list[Cell], _: dict) -> Iterator[str]:
    """Tags are unique, in order, and of this chapter."""
    text = text_of(cells)
    number = re.match(r"# Chapter (\d+)", cells[0].source)
    tags = [(int(a), int(b)) for a, b in TAG.findall(text)]
    expected = [(int(number.group(1)) if number else 0, i + 1) for i in range(len(tags))]
    if tags != expected:
        wrong = next((t for t, e in zip(tags, expected, strict=True) if t != e), None)
        yield f"equation tags are not 1, 2, 3, ... of this chapter: {wrong}"
    if not tags:
        yield "no numbered equation"


def numbers(cells: list[Cell], metadata: dict) -> Iterator[str]:
    """Each decimal number and percentage of the prose is claimed, or declared as given.

    ``metadata["trust_regions"]["given"]`` lists numbers that no cell measures: settings, published
    numbers, worked arithmetic.
    """
    prose = NOT_PROSE.sub(" ", text_of(cells).replace("\\%", "%").replace("\\,", ""))
    given = set(metadata.get("trust_regions", {}).get("given", []))
    claims = list(claimed(cells))
    told = {m.replace(" ", "") for words in claims for m in DECIMAL.findall(words)}
    for found in sorted({m.replace(" ", "") for m in DECIMAL.findall(prose)}):
        if found.lstrip("-") not in {x.lstrip("-") for x in told | given}:
            yield f"the number {found} is neither claimed by a cell nor declared as given"
    flat = re.sub(r"\s+", " ", text_of(cells).replace("\\%", "%").replace("$", ""))
    for words in claims:
        if re.sub(r"\s+", " ", words) not in flat:
            yield f"a cell claims {words!r}, which the text does not say"


def claimed(cells: list[Cell]) -> Iterator[str]:
    """The words of every ``claim(words, value)``."""
    for cell in cells:
        if cell.kind != "code" or "claim(" not in cell.source:
            continue
        for call in ast.walk(ast.parse(cell.source)):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "claim":
                first = call.args[0]
                if isinstance(first, ast.Constant):
                    yield str(first.value)


def hidden_names(cells: list[Cell], _: dict) -> Iterator[str]:
    """A reader of the page can find where each name comes from."""
    used, bound = {True: set(), False: set()}, {True: set(), False: set()}
    for cell in cells:
        if cell.kind == "code":
            on_page = "remove-cell" not in cell.tags
            for node in ast.walk(ast.parse(re.sub(r"^[%!].*$", "", cell.source, flags=re.M))):
                if isinstance(node, ast.Name):
                    names = used if isinstance(node.ctx, ast.Load) else bound
                    names[on_page].add(node.id)
                elif isinstance(node, ast.FunctionDef | ast.ClassDef):
                    bound[on_page].add(node.name)
                elif isinstance(node, ast.arg):
                    bound[on_page].add(node.arg)
                elif isinstance(node, ast.alias):
                    bound[on_page].add(node.asname or node.name)
    for name in sorted(used[True] & bound[False] - bound[True]):
        yield f"a cell on the page uses {name!r}, which only a removed cell defines"


def language(cells: list[Cell], _: dict) -> Iterator[str]:
    """What the book does not say."""
    prose = re.sub(r"\$[^$]*\$|`[^`]*`|```.*?```", " ", text_of(cells), flags=re.S)
    for word in ("simply", "easy to see", "it can be shown", "obviously", "trivially"):
        if re.search(rf"\b{word}\b", prose, re.I):
            yield f"the text says {word!r}"
    if re.search(r"[A-Za-z]!(?!\[)", prose):
        yield "the text exclaims"
    if re.search(r"^(:::|```\{)|\{[a-z:]+\}`", text_of(cells), re.M):
        yield "MyST syntax that Colab shows raw"


RULES: tuple[Callable[[list[Cell], dict], Iterator[str]], ...] = (
    opening, reading_time, predictions, break_it, close, pictures, visible_code, assumptions,
    equations, numbers, hidden_names, language,
)  # fmt: skip


def faults(notebook: dict) -> list[str]:
    """Everything in which a chapter departs from the rules."""
    cells = cells_of(notebook)
    return [fault for rule in RULES for fault in rule(cells, notebook.get("metadata", {}))]
