"""Find a graded function in a notebook, with the imports and definitions it needs.

Nothing else of the notebook runs: no training, no plots. What a function needs is read off its
syntax tree: the global names it uses, and the statements that bind them, and so on.
"""

import ast
import builtins
import re
import symtable
from dataclasses import dataclass

from .notebook import CodeCell

DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
IMPORTS = (ast.Import, ast.ImportFrom)
# Calls that may stand in a top-level assignment which a graded function needs.
CHEAP_CALLS = frozenset([
    "array", "bool", "dict", "finfo", "float", "int", "jit", "list", "log", "no_grad", "partial",
    "range", "set", "sqrt", "tensor", "tuple", "vectorize"
])  # fmt: skip


@dataclass(frozen=True)
class Statement:
    """A top-level statement, where it stands, the names it binds and the names it uses."""

    position: int
    cell: int
    line: int
    source: str
    node: ast.stmt
    binds: frozenset[str]
    uses: frozenset[str]


@dataclass(frozen=True)
class Extract:
    """What is run for one function.

    Parameters
    ----------
    fragments : list of [place, line, source]
        A cell's number, or the name of a script, and text that stands there: statements in the notebook's order, the function's own among them.
    definition : ast.stmt
        The statement that binds the function.
    binds : frozenset of str
        Names that the code binds.
    notes : tuple of str
        What the student should know about the choice.
    left_out : frozenset of str
        Names that the code uses and that only code which is not run binds.
    broken : dict of str
        For names that the code uses and that only a broken cell seems to define: what is wrong
        with that cell.
    """

    fragments: list[list]
    definition: ast.stmt
    binds: frozenset[str]
    notes: tuple[str, ...]
    left_out: frozenset[str]
    broken: dict[str, str]


class NotFoundError(LookupError):
    """The notebook does not define the function; the message says what was found instead."""

    def __init__(self, message: str, broken: bool):
        super().__init__(message)
        self.broken = broken


def extract(cells: list[CodeCell], function: str) -> Extract:
    """Return the last definition of `function` and everything it needs.

    Raises
    ------
    NotFoundError
        If no cell that is valid Python binds the name.
    """
    nodes = [(cell, node) for cell in cells for node in cell.statements]
    statements = [describe(position, *where) for position, where in enumerate(nodes)]
    found = [statement for statement in statements if function in statement.binds]
    broken = [cell for cell in cells if cell.error and defines(cell.source, function)]
    if broken and (not found or broken[-1].number > found[-1].cell):
        raise NotFoundError(complaint(broken[-1]), broken=True)
    if not found:
        raise NotFoundError(
            f"No cell defines `{function}`; was it renamed or deleted?", broken=False
        )
    notes = []
    definitions = [statement for statement in found if isinstance(statement.node, DEFINITIONS)]
    if len(definitions) > 1:
        notes.append(f"`{function}` is defined {len(definitions)} times; the last one counts.")
    chosen, left_out = closure(statements, found[-1])
    ordered = sorted(chosen, key=lambda s: (not isinstance(s.node, IMPORTS), s.position))
    by_number = {cell.number: cell for cell in cells}
    homes = [by_number[s.cell] for s in ordered]
    fragments = [[h.place, h.above + s.line, s.source] for h, s in zip(homes, ordered, strict=True)]
    unknown = {name for s in chosen for name in s.uses if not binding_of(name, s, statements)}
    behind = {
        name: complaint(cell)
        for cell in cells
        for name in unknown
        if cell.error and defines(cell.source, name)
    }
    binds = frozenset(name for s in chosen for name in s.binds)
    return Extract(fragments, found[-1].node, binds, tuple(notes), frozenset(left_out), behind)


def complaint(cell: CodeCell) -> str:
    """Say that a cell is not valid Python, and why."""
    place = f"`{cell.file}`" if cell.file else f"Code cell {cell.number}"
    return f"{place} is not valid Python: {cell.error}."


def closure(statements: list[Statement], root: Statement) -> tuple[set[Statement], set[str]]:
    """Return the statements that `root` needs, itself included, and the names that are left out."""
    chosen, left_out, waiting = {root}, set(), [root]
    while waiting:
        statement = waiting.pop()
        for name in statement.uses:
            binding = binding_of(name, statement, statements)
            if binding is None or binding in chosen:
                continue
            if not is_cheap(binding.node):
                left_out.add(name)
            else:
                chosen.add(binding)
                waiting.append(binding)
    return chosen, left_out


def binding_of(name: str, user: Statement, statements: list[Statement]) -> Statement | None:
    """Return the last statement that binds `name`, as far as `user` can see.

    A function sees the last one, wherever it stands. ``gae = jit(gae)`` sees what was there before.
    """
    visible = statements[: user.position] if name in user.binds else statements
    named = [s for s in visible if name in s.binds]
    if not named and not hasattr(builtins, name):  # perhaps from numpy import *
        named = [s for s in visible if "*" in s.binds]
    return named[-1] if named else None


def describe(position: int, cell: CodeCell, node: ast.stmt) -> Statement:
    """Return a top-level statement with its text and its names."""
    decorators = getattr(node, "decorator_list", [])
    line = min([node.lineno, *(decorator.lineno for decorator in decorators)])
    if decorators:
        source = "\n".join(cell.source.split("\n")[line - 1 : node.end_lineno])
    else:
        source = ast.get_source_segment(cell.source, node) or ast.unparse(node)
    return Statement(position, cell.number, line, source, node, bound_names(node), used_names(node))


def bound_names(node: ast.AST) -> frozenset[str]:
    """Return the names that a top-level statement binds, also inside if, try, with and for."""
    if isinstance(node, DEFINITIONS):
        return frozenset([node.name])
    if isinstance(node, IMPORTS):
        names = [alias.asname or alias.name.split(".")[0] for alias in node.names]
        return frozenset(names)
    names = set()
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        names.add(node.id)
    if not isinstance(node, ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp):
        for child in ast.iter_child_nodes(node):
            names |= bound_names(child)
    return frozenset(names)


def used_names(node: ast.stmt) -> frozenset[str]:
    """Return the global names that a statement uses, also inside the functions it defines."""
    try:
        table = symtable.symtable(ast.unparse(node), "cell", "exec")
    except (SyntaxError, ValueError, RecursionError):
        return frozenset()
    names = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_referenced()}
    waiting = list(table.get_children())
    while waiting:
        scope = waiting.pop()
        names |= {symbol.get_name() for symbol in scope.get_symbols() if symbol.is_global()}
        waiting += scope.get_children()
    return frozenset(names)


def is_cheap(node: ast.stmt) -> bool:
    """Tell whether running this statement can only define something."""
    if isinstance(node, (*DEFINITIONS, *IMPORTS)):
        return True
    if isinstance(node, ast.If | ast.Try):
        parts = [*node.body, *node.orelse, *getattr(node, "finalbody", [])]
        parts += [part for handler in getattr(node, "handlers", []) for part in handler.body]
        return all(isinstance(part, ast.Pass) or is_cheap(part) for part in parts)
    if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
        return False
    if isinstance(node.value, ast.Lambda):
        return True
    calls = [child for child in ast.walk(node.value) if isinstance(child, ast.Call)]
    return all(called_name(call) in CHEAP_CALLS for call in calls)


def called_name(call: ast.Call) -> str:
    """Return the last part of what a call calls: ``array`` for ``np.array(...)``."""
    function = call.func
    while isinstance(function, ast.Call):
        function = function.func
    return getattr(function, "attr", getattr(function, "id", ""))


def defines(source: str, function: str) -> bool:
    """Tell whether text that is not valid Python looks as if it defined the function."""
    return re.search(rf"^\s*(def\s+{function}\b|{function}\s*=)", source, re.MULTILINE) is not None
