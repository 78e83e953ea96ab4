"""What a person should look at before a right answer counts.

This reads the submission's text; nothing here proves anything. A container proves more.
"""

import ast

from .sandbox.run import spot

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
    "__globals__", "__subclasses__", "__code__", "_getframe", "settrace", "modules", "f_back",
    "f_globals", "f_locals", "addaudithook", "fromfile", "memmap"
])  # fmt: skip


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
    found = []
    for cell, line, source in fragments:
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError):
            continue
        imported = {name for node in ast.walk(tree) for name in imports(node)}
        for node in ast.walk(tree):
            reason = look(node, package, helpers, imported)
            if reason:
                where = line + getattr(node, "lineno", 1) - 1
                found.append(f"{spot(cell, where)}: {reason}")
    return found


def look(node: ast.AST, package: str, helpers: tuple[str, ...], imported: set[str]) -> str:
    """Return what is odd about one node, or nothing."""
    for module in imports(node):
        top = module.split(".")[0]
        if top == package and not module.startswith(helpers or ("/",)):
            return f"it imports {module}, where answers are kept"
        if top in MODULES:
            return f"it imports {module}"
    if isinstance(node, ast.Name) and node.id in NAMES:
        return f"it uses `{node.id}`"
    if isinstance(node, ast.Attribute) and node.attr in ATTRIBUTES:
        return f"it uses `{node.attr}`"
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        text = node.value
        if "\n" not in text and ("solutions" in text or f"{package}/" in text):
            return f"it names a place where answers are kept: {text[:60]!r}"
    if isinstance(node, ast.Assign | ast.AugAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            if isinstance(target, ast.Attribute) and patched(target, imported):
                return f"it replaces `{ast.unparse(target)}`"
    return ""


def imports(node: ast.AST) -> list[str]:
    """Return the full names of the modules that an import statement names."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        module = node.module or ""
        return [module, *(f"{module}.{alias.name}" for alias in node.names)][:1] if module else []
    return []


def patched(target: ast.Attribute, imported: set[str]) -> bool:
    """Tell whether an attribute of a module is assigned: ``torch.allclose = ...``."""
    base = target.value
    while isinstance(base, ast.Attribute):
        base = base.value
    known = {"np", "numpy", "torch", "json", "math", "scipy", "sys", "builtins"}
    return isinstance(base, ast.Name) and base.id in known | imported
