"""Find a graded function in a notebook, with everything of the notebook that it needs.

What is run, here and nowhere else:

1. The statement that defines the function, and every top-level statement that defines, assigns or
   changes a name which something already taken uses, whatever it calls. Where a name is bound
   several times, what counts is the last time for functions, which look names up when they are
   called, and the last time above it for all other statements.
2. A statement that only calls something is not run: no training, no plot, no `check`. There are
   three exceptions. It calls a method of a needed object, or fills one in (``table.append(1)``,
   ``np.fill_diagonal(mask, 0)``). It is a setting of `SETTINGS_OF` above the function
   (``torch.set_default_dtype(torch.float64)``). It calls a function that alone gives a needed name
   its value, by ``global``.
3. Imports come first, everything else in the notebook's order; a statement that needs a later one
   waits for it.

The syntax tree decides, nothing is run to find out. What is taken runs in the sandbox, which has
limits.
"""

import ast
import builtins
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .notebook import CodeCell
from .statements import DEFINITIONS, IMPORTS, Statement, root_of, statements_of

SETTINGS_OF = frozenset(["decimal", "numpy", "random", "sys", "torch"])
SETTINGS = re.compile(r"set(?!.*threads)\w*|seed|manual_seed|use_deterministic_algorithms")


@dataclass(frozen=True)
class Extract:
    """What is run for one function.

    Parameters
    ----------
    fragments : list of [place, line, source]
        A cell's number, or the name of a script, and text that stands there: statements in the order in which they run, the function's own among them.
    definition : ast.stmt
        The statement that binds the function.
    binds : frozenset of str
        Names that the code binds.
    notes : tuple of str
        What the student should know about the choice.
    broken : dict of str
        For names that the code uses and that only a broken cell seems to define: what is wrong
        with that cell.
    """

    fragments: list[list]
    definition: ast.stmt
    binds: frozenset[str]
    notes: tuple[str, ...]
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
    names = Names((s for cell in cells for s in statements_of(cell)), function)
    found = [s for s in names.of.get(function, []) if function in s.binds]
    broken = [cell for cell in cells if cell.error and defines(cell.source, function)]
    if broken and (not found or broken[-1].number > found[-1].cell.number):
        raise NotFoundError(complaint(broken[-1]), broken=True)
    if not found:
        raise NotFoundError(
            f"No cell defines `{function}`; was it renamed or deleted?", broken=False
        )
    notes = []
    definitions = [statement for statement in found if isinstance(statement.node, DEFINITIONS)]
    if len(definitions) > 1:
        notes.append(f"`{function}` is defined {len(definitions)} times; the last one counts.")
    chosen = in_order(
        names.closure([*names.settings(found[-1]), *names.providers(function)]), names
    )
    fragments = [[s.cell.place, s.cell.above + s.line, s.source] for s in chosen]
    unknown = {name for s in chosen for name in s.now | s.later if not names.known(name)}
    behind = {
        name: complaint(cell)
        for cell in cells
        if cell.error
        for name in unknown
        if defines(cell.source, name)
    }
    binds = frozenset(name for s in chosen for name in s.binds)
    return Extract(fragments, found[-1].node, binds, tuple(notes), behind)


def complaint(cell: CodeCell) -> str:
    """Say that a cell is not valid Python, and why."""
    place = f"`{cell.file}`" if cell.file else f"Code cell {cell.number}"
    return f"{place} is not valid Python: {cell.error}."


class Names:
    """Which statements of a notebook give a name the object that it stands for.

    Parameters
    ----------
    statements : iterable of Statement
        The notebook's, in order.
    function : str
        The graded function. Calls of it are trials: they change nothing that it needs.
    """

    def __init__(self, statements: Iterable[Statement], function: str):
        self.statements = list(statements)
        self.of: dict[str, list[Statement]] = {}
        self.begin: dict[str, tuple[int, int]] = {}  # where a name is bound first
        functions = {name: s for s in self.statements for name in s.binds if s.touches or s.fills}
        functions.pop(function, None)
        modules: dict[str, bool] = {}
        for statement in self.statements:
            touched: set[str] = set()
            for helper in statement.helpers & functions.keys():
                touched |= functions[helper].touches
                touched |= statement.arguments if functions[helper].fills else set()
            for name in statement.binds | statement.sets | statement.calls | touched:
                if name in statement.binds | statement.sets or not modules.get(name):
                    self.of.setdefault(name, []).append(statement)
            for name in statement.binds:
                self.begin.setdefault(name, statement.place)
                if statement.surely:
                    modules[name] = isinstance(statement.node, IMPORTS)
        self._now: dict[Statement, list[Statement]] = {}
        self._later: dict[Statement, list[Statement]] = {}

    def known(self, name: str) -> bool:
        """Tell whether a valid cell, or Python itself, knows a name."""
        return bool(self.providers(name)) or hasattr(builtins, name)

    def providers(self, name: str, above: Statement | None = None) -> list[Statement]:
        """Return the statements that bind a name and change its object, of those above one."""
        if name not in self.begin or (above and self.begin[name] >= above.place):
            return [] if above or hasattr(builtins, name) else self.elsewhere(name)
        there = self.of[name]
        end = bisect_left(there, above.place, key=lambda s: s.place) if above else len(there)
        found = []
        for statement in map(there.__getitem__, range(end - 1, -1, -1)):
            found.append(statement)
            # What uses the name itself needs what is above it: `needs_now` will see to that.
            if (name in statement.binds and statement.surely) or name in statement.now:
                break
        return found

    def elsewhere(self, name: str) -> list[Statement]:
        """Return what may bind a name that no statement shows: ``import *``, or a ``global``."""
        makers = {n for s in self.statements if name in s.globals for n in s.binds}
        made = [s for s in self.statements if s.command[0] in makers and len(set(s.command)) == 1]
        return made or self.of.get("*", [])

    def needs_now(self, statement: Statement) -> list[Statement]:
        """Return what has to be there when a statement runs."""
        if statement not in self._now:
            found = set()
            for name in statement.now:
                above = self.providers(name, above=statement)
                own = name in statement.binds
                found.update(above or ([] if own else self.providers(name)))
            self._now[statement] = sorted(found - {statement}, key=first_imports)
        return self._now[statement]

    def needs_later(self, statement: Statement) -> list[Statement]:
        """Return what has to be there when the functions that a statement defines are called."""
        if statement not in self._later:
            found = {s for name in statement.later for s in self.providers(name)}
            self._later[statement] = sorted(found - {statement}, key=first_imports)
        return self._later[statement]

    def closure(self, wanted: Iterable[Statement]) -> set[Statement]:
        """Return statements with all that they need."""
        return reached(wanted, lambda s: [*self.needs_now(s), *self.needs_later(s)])

    def settings(self, function: Statement) -> list[Statement]:
        """Return the settings that stand above a function."""
        return [s for s in self.statements if s.place < function.place and self.is_setting(s)]

    def is_setting(self, statement: Statement) -> bool:
        """Tell whether a statement sets something for all that follows."""
        name = statement.command[0] if SETTINGS.fullmatch(statement.command[1]) else ""
        for target in getattr(statement.node, "targets", []):  # getcontext().prec = 50
            if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Call):
                name = root_of(target, through_calls=True)
        return bool(name) and any(
            module_of(origin.node, name) in SETTINGS_OF
            for origin in self.providers(name, above=statement)
        )


def module_of(node: ast.stmt, name: str) -> str:
    """Return the module, without its parts, that an import takes a name from, or nothing."""
    if isinstance(node, ast.ImportFrom):
        return (node.module or "").split(".")[0]
    aliases = node.names if isinstance(node, ast.Import) else []
    modules = [alias.name.split(".")[0] for alias in aliases]
    return next((m for m, a in zip(modules, aliases, strict=True) if name in (a.asname, m)), "")


def first_imports(statement: Statement) -> tuple:
    """Return what statements are sorted by: imports come first."""
    return not isinstance(statement.node, IMPORTS), statement.place


def reached(begin: Iterable, following: Callable) -> set:
    """Return everything that can be reached, what it begins with included."""
    waiting = list(begin)
    found = set(waiting)
    while waiting:
        new = [one for one in following(waiting.pop()) if one not in found]
        found.update(new)
        waiting += new
    return found


def in_order(chosen: set[Statement], names: Names) -> list[Statement]:
    """Return statements so that each finds what it needs, in the notebook's order otherwise.

    A statement that calls a function needs what the function needs.
    """
    order: dict[Statement, None] = {}
    begun = set()
    waiting = sorted(chosen, key=first_imports, reverse=True)
    while waiting:
        statement = waiting[-1]
        if statement not in begun:
            begun.add(statement)
            needed = reached(names.needs_now(statement), names.needs_later) & chosen
            waiting += sorted(needed - begun, key=first_imports, reverse=True)
        else:
            order.setdefault(waiting.pop())
    return list(order)


def defines(source: str, function: str) -> bool:
    """Tell whether text that is not valid Python looks as if it defined the function."""
    name = re.escape(function)
    pattern = rf"^[ \t]*(?:(?:async[ \t]+)?def[ \t]+{name}\b|{name}[ \t]*=)"
    return re.search(pattern, source, re.MULTILINE) is not None
