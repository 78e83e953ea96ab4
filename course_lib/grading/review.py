"""What a person should look at before a right answer counts.

Of names, only those count that are loaded as Python's own: a variable may be called `open`. Of
texts, only those that look like a path: a docstring may speak of solutions. This reads the submission's text; nothing here proves anything. A container proves more.
"""

import ast
import dis
import functools
import inspect
import re
import sys
import types
from collections.abc import Iterator

from .parser import compiled, parse
from .sandbox.run import spot
from .states import State, Verdict

MODULES = frozenset([
    "builtins", "ctypes", "gc", "importlib", "inspect", "io", "marshal", "multiprocessing", "os",
    "pathlib", "pickle", "requests", "runpy", "shutil", "socket", "subprocess", "threading",
    "urllib"
])  # fmt: skip
NAMES = frozenset([
    "__builtins__", "__import__", "breakpoint", "compile", "eval", "exec", "globals", "open",
    "setattr", "vars"
])  # fmt: skip
ATTRIBUTES = frozenset([
    "__globals__", "__subclasses__", "__code__", "_getframe", "settrace", "f_back", "f_globals",
    "f_locals", "addaudithook", "fromfile", "memmap"
])  # fmt: skip
RUN_AT_ONCE = ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>")
LOADS = frozenset(["LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"])
PATH = re.compile(r"\S*[/\\]\S*|(?:\.{0,2}|~|[A-Za-z]:)[/\\].*|\S+\.(?:ipynb|py)")


def suspicions(fragments: list[list], package: str, helpers: tuple[str, ...]) -> list[str]:
    """Return what looks like reaching for answers or for the judge, in plain words.

    Parameters
    ----------
    fragments : list of [cell, line, source]
        The code that is run.
    package : str
        Name of the library that holds answers.
    helpers : tuple of str
        Its modules that the task allows.
    """
    found: list[str] = []
    above: set[str] = set()
    systems = {"sys"}
    everywhere = {name for _, _, source in fragments for name in own_names(source)}
    for cell, line, source in fragments:
        try:
            tree, code = parse(source), compiled(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue  # it cannot run either
        reasons = [
            (number, f"it uses `{name}`")
            for name, number, at_once in loads(code)
            if name in NAMES and name not in (above if at_once else everywhere)
        ]
        systems |= {name for node in ast.walk(tree) for name in aliases_of_sys(node)}
        imported = {name for node in ast.walk(tree) for name in imports(node)} | systems
        for node in ast.walk(tree):
            if reason := look(node, package, helpers, imported):
                reasons.append((getattr(node, "lineno", 1), reason))
        found += [f"{spot(cell, line + at - 1)}: {reason}" for at, reason in sorted(reasons)]
        above |= own_names(source)
    return list(dict.fromkeys(found))


def needs_review(task: str, reasons: list[str]) -> Verdict:
    """Return the verdict on right answers that a person should look at."""
    headline = "Its answers are right, but a person should look at it: " + reasons[0] + "."
    return Verdict(task, State.NEEDS_REVIEW, headline, evidence="\n".join(reasons[1:]))


@functools.lru_cache(maxsize=64)  # the tasks of a notebook share most of its statements
def own_names(source: str) -> frozenset[str]:
    """Return the names that a top-level statement is sure to bind."""
    try:
        statement, code = parse(source).body[0], compiled(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError, IndexError):
        return frozenset()
    if isinstance(statement, ast.If | ast.For | ast.While | ast.Try | ast.With | ast.Match):
        return frozenset()
    steps = dis.get_instructions(code)
    return frozenset(step.argval for step in steps if step.opname == "STORE_NAME")


def loads(code: types.CodeType, at_once: bool = True) -> Iterator[tuple[str, int, bool]]:
    """Yield the global names that code loads, the line of each, and whether the code runs at once.

    Local names are none of these, whatever they are called.
    """
    for step in dis.get_instructions(code):
        if step.opname in LOADS:
            line = step.positions.lineno if step.positions else None
            yield step.argval, line or 1, at_once
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            is_function = inner.co_flags & inspect.CO_OPTIMIZED and inner.co_name not in RUN_AT_ONCE
            yield from loads(inner, at_once and not is_function)


def look(node: ast.AST, package: str, helpers: tuple[str, ...], imported: set[str]) -> str:
    """Return what is odd about one node, or nothing."""
    for module in imports(node):
        top = module.split(".")[0]
        if top == package and not module.startswith(helpers or ("/",)):
            return f"it imports {module}, where answers are kept"
        if top in MODULES:
            return f"it imports {module}"
    if isinstance(node, ast.Attribute) and node.attr in ATTRIBUTES:
        return f"it uses `{node.attr}`"
    if isinstance(node, ast.Attribute) and node.attr == "modules":  # a network has its own
        module = getattr(node.value, "id", "")
        if module in imported:
            return f"it uses `{module}.modules`"
    if isinstance(node, ast.ImportFrom) and node.module == "sys":
        for alias in node.names:
            if alias.name in ATTRIBUTES | {"modules"}:
                return f"it uses `sys.{alias.name}`"
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        text = node.value[:1000]
        if PATH.fullmatch(text) and ("solutions" in text or package in text):
            return f"it names a place where answers are kept: {text[:60]!r}"
    if isinstance(node, ast.Assign | ast.AugAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            flag = isinstance(node.value, ast.Constant) and is_deep(
                target
            )  # cudnn.benchmark = True
            if isinstance(target, ast.Attribute) and not flag and patched(target, imported):
                return f"it replaces `{ast.unparse(target)}`"
    return ""


def aliases_of_sys(node: ast.AST) -> list[str]:
    """Return the names under which an import statement imports sys."""
    names = node.names if isinstance(node, ast.Import) else []
    return [alias.asname or alias.name for alias in names if alias.name == "sys"]


def is_deep(target: ast.expr) -> bool:
    """Tell whether a target is the attribute of an attribute."""
    return isinstance(target, ast.Attribute) and isinstance(target.value, ast.Attribute)


def imports(node: ast.AST) -> list[str]:
    """Return the full names of the modules that an import statement names."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        module = node.module or ""
        return [module, *(f"{module}.{alias.name}" for alias in node.names)][:1] if module else []
    return []


def patched(target: ast.Attribute, imported: set[str]) -> bool:
    """Tell whether an attribute of a module is replaced: ``torch.allclose = ...``.

    What the module does not have is no replacement: ``np.float = float`` brings an old name back.
    """
    base, names = target.value, [target.attr]
    while isinstance(base, ast.Attribute):
        names, base = [base.attr, *names], base.value
    known = {"np", "numpy", "torch", "json", "math", "scipy", "sys", "builtins"}
    if not isinstance(base, ast.Name) or base.id not in known | imported:
        return False
    module = sys.modules.get("numpy" if base.id == "np" else base.id)
    own = getattr(module, "__all__", dir(module))  # in a notebook the new name is there by now
    return module is None or len(names) > 1 or names[0] in own
