"""A notebook's top-level statements, and the names that each of them binds, changes and uses."""

import ast
import functools
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from .notebook import CodeCell
from .parser import parse, scopes

DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
IMPORTS = (ast.Import, ast.ImportFrom)
ASSIGNMENTS = (ast.Assign, ast.AnnAssign)
# Scopes of their own in the symbol table, which run at once all the same.
RUN_AT_ONCE = ("listcomp", "setcomp", "dictcomp", "genexpr")
# Functions that fill an argument in; torch ends the names of its own in "_".
FILLING = frozenset([
    "copyto", "fill_diagonal", "heapify", "heappush", "place", "put", "putmask", "shuffle"
])  # fmt: skip


@dataclass(frozen=True, eq=False)
class Statement:
    """A top-level statement.

    Parameters
    ----------
    cell : CodeCell
        Where it stands.
    place : tuple of int
        Its cell's number, and its own in the cell.
    line : int
        Its first line in the cell, decorators included.
    source : str
        Its text.
    node : ast.stmt
        Its syntax tree.
    binds : frozenset of str
        Names that it binds, perhaps only under a condition.
    sets, calls : frozenset of str
        Names whose object it changes, by setting a part (``f.calls = 0``, ``table[3] = 1``) or by
        calling a method (``table.append(1)``).
    now, later : frozenset of str
        Global names that it uses when it runs, and those that functions which it defines will use.
    command : tuple of str
        For a statement that is nothing but a call: the first name of what it calls, and the last,
        ``("torch", "manual_seed")``.
    globals, touches : frozenset of str
        For a function: names that its body declares global, and those whose object it changes.
    fills : bool
        For a function: whether it changes an argument.
    """

    cell: CodeCell
    place: tuple[int, int]
    line: int
    source: str
    node: ast.stmt
    binds: frozenset[str]
    sets: frozenset[str]
    calls: frozenset[str]
    now: frozenset[str]
    later: frozenset[str]
    command: tuple[str, str]
    globals: frozenset[str]
    touches: frozenset[str]
    fills: bool

    @property
    def helpers(self) -> frozenset[str]:
        """Names of functions that it calls for what they do: alone, or as decorators."""
        decorators = getattr(self.node, "decorator_list", [])
        functions = [d.func if isinstance(d, ast.Call) else d for d in decorators]
        names = [f.id for f in functions if isinstance(f, ast.Name)]
        return frozenset([*names, *set(self.command)] if len(set(self.command)) == 1 else names)

    @property
    def arguments(self) -> frozenset[str]:
        """Names that it hands to what it calls."""
        call = getattr(self.node, "value", None)
        return frozenset(root_of(part) for part in getattr(call, "args", [])) - {""}

    @property
    def surely(self) -> bool:
        """True where the names are bound whatever happens, so that earlier values are gone."""
        simple = (*DEFINITIONS, *IMPORTS, *ASSIGNMENTS)
        return isinstance(self.node, simple) and getattr(self.node, "value", True) is not None


@functools.lru_cache(maxsize=256)  # every task of a notebook asks for the same cells
def statements_of(cell: CodeCell) -> tuple[Statement, ...]:
    """Return a cell's statements."""
    lines = cell.source.split("\n")
    return tuple(describe(cell, number, node, lines) for number, node in enumerate(cell.statements))


def describe(cell: CodeCell, number: int, node: ast.stmt, lines: list[str]) -> Statement:
    """Return a statement with its text and its names."""
    decorators = getattr(node, "decorator_list", [])
    line = min([node.lineno, *(decorator.lineno for decorator in decorators)])
    source = text_of(lines, line, 0 if decorators else node.col_offset, node)
    now, later = used_names(node, source)
    touched = touched_names(node)
    parameters = {part.arg for part in ast.walk(node) if isinstance(part, ast.arg)}
    return Statement(
        cell,
        (cell.number, number),
        line,
        source,
        node,
        bound_names(node),
        frozenset(set_names(node)) - {""},
        frozenset(called_names(node)) - {""},
        now,
        later,
        command_of(node),
        frozenset(n for part in ast.walk(node) if isinstance(part, ast.Global) for n in part.names),
        touched & later,
        bool(touched & parameters),
    )


def text_of(lines: list[str], line: int, column: int, node: ast.stmt) -> str:
    """Return the text from a line and column to a statement's end; columns count bytes."""
    chosen = [part.encode("utf-8", "surrogatepass") for part in lines[line - 1 : node.end_lineno]]
    chosen[-1] = chosen[-1][: node.end_col_offset]
    chosen[0] = chosen[0][column:]
    return b"\n".join(chosen).decode("utf-8", "surrogatepass")


def outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a statement and its parts, but not what functions, classes and lambdas hold.

    Without recursion, since an expression may be thousands of levels deep.
    """
    waiting = [node]
    while waiting:
        part = waiting.pop()
        yield part
        if isinstance(part, ast.comprehension):  # its target is a name of its own
            waiting += [part.iter, *part.ifs]
        elif not isinstance(part, (*DEFINITIONS, ast.Lambda)):
            waiting += ast.iter_child_nodes(part)


def bound_names(node: ast.AST) -> frozenset[str]:
    """Return the names that a top-level statement binds, also inside if, try, with and for."""
    names: set[str] = set()
    for part in outside_functions(node):
        if isinstance(part, DEFINITIONS):
            names.add(part.name)
        elif isinstance(part, IMPORTS):
            names |= {alias.asname or alias.name.split(".")[0] for alias in part.names}
        elif isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
            names.add(part.id)
        elif isinstance(part, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and part.name:
            names.add(part.name)
        elif isinstance(part, ast.MatchMapping) and part.rest:
            names.add(part.rest)
    return frozenset(names)


def set_names(node: ast.stmt) -> Iterator[str]:
    """Yield the names of which a top-level statement sets a part, or deletes one."""
    for part in outside_functions(node):
        if isinstance(part, ast.Attribute | ast.Subscript) and not isinstance(part.ctx, ast.Load):
            yield root_of(part)


def called_names(node: ast.stmt) -> Iterator[str]:
    """Yield the names of which a top-level statement calls a method, for what that changes."""
    for part in outside_functions(node):
        if isinstance(part, ast.Expr) and isinstance(part.value, ast.Call):
            function = part.value.func
            if isinstance(function, ast.Attribute):
                yield root_of(function)
            if (name := name_of(function)) in FILLING or name.endswith("_"):
                yield from (root_of(argument) for argument in part.value.args[:1])
        elif isinstance(part, DEFINITIONS):  # @f.register adds to f
            outer = (d.func if isinstance(d, ast.Call) else d for d in part.decorator_list)
            yield from (root_of(d) for d in outer if isinstance(d, ast.Attribute))


def touched_names(node: ast.stmt) -> frozenset[str]:
    """Return the names, also of its own, whose object a function changes when it is called."""
    if not isinstance(node, ast.FunctionDef):
        return frozenset()
    inside = [part for part in ast.walk(node) if isinstance(part, ast.stmt) and part is not node]
    return frozenset(n for part in inside for n in (*set_names(part), *called_names(part)))


def root_of(node: ast.AST, through_calls: bool = False) -> str:
    """Return the name that a chain of attributes, indices and methods begins with, or nothing.

    What a function returns is not the function: only with `through_calls` does ``f(x).y`` begin
    with ``f``.
    """
    while not isinstance(node, ast.Name):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not through_calls:
            return ""
        inner = getattr(node, "value", None) or getattr(node, "func", None)
        if not isinstance(inner, ast.AST):
            return ""
        node = inner
    return node.id


def name_of(node: ast.AST) -> str:
    """Return the last part of a name: ``seed`` of ``np.random.seed``."""
    return getattr(node, "attr", getattr(node, "id", ""))


def command_of(node: ast.stmt) -> tuple[str, str]:
    """Return the first and the last name of what a statement calls that is nothing but a call."""
    if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Call):
        return "", ""
    return root_of(node.value.func, through_calls=True), name_of(node.value.func)


class _Generators(ast.NodeTransformer):
    """Turns comprehensions into generator expressions of the same names."""

    def visit_ListComp(self, node: ast.ListComp | ast.SetComp) -> ast.AST:
        self.generic_visit(node)
        return ast.GeneratorExp(node.elt, node.generators)

    def visit_SetComp(self, node: ast.SetComp) -> ast.AST:
        return self.visit_ListComp(node)

    def visit_DictComp(self, node: ast.DictComp) -> ast.AST:
        self.generic_visit(node)
        pair = ast.Tuple([node.key, node.value], ast.Load())
        return ast.GeneratorExp(pair, node.generators)


def with_own_scopes(source: str) -> str:
    """Return a statement whose comprehensions keep their names to themselves.

    Since Python 3.12 they are part of what surrounds them, and so is their target in its table.
    """
    if sys.version_info < (3, 12) or not re.search(r"\bfor\b", source):
        return source
    return ast.unparse(_Generators().visit(parse(source)))


def used_names(node: ast.stmt, source: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the global names that a statement uses at once, and those it will use when called."""
    try:
        waiting = [(scopes(with_own_scopes(source)), "now")]
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # too deep for Python itself
        names = (part.id for part in ast.walk(node) if isinstance(part, ast.Name))
        return frozenset(names), frozenset()
    found: dict[str, set[str]] = {"now": set(), "later": set()}
    while waiting:
        table, when = waiting.pop()
        top = table.get_type() == "module"
        if table.get_type() == "function" and table.get_name() not in RUN_AT_ONCE:
            when = "later"
        for symbol in table.get_symbols():
            if symbol.is_referenced() if top else symbol.is_global():
                found[when].add(symbol.get_name())
        waiting += [(child, when) for child in table.get_children()]
    if isinstance(node, ast.AugAssign):
        found["now"].add(root_of(node.target))
    return frozenset(found["now"]), frozenset(found["later"])
