"""Python's own parser, without its warnings.

A docstring with a backslash, such as one that quotes LaTeX, makes Python warn; where warnings are
errors, as under pytest, right code would look broken.
"""

import ast
import symtable
import types
import warnings


def parse(source: str) -> ast.Module:
    """Return the syntax tree of a piece of code; raises as `ast.parse` does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(source)


def is_python(source: str) -> bool:
    """Tell whether text is valid Python."""
    try:
        parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def scopes(source: str) -> symtable.SymbolTable:
    """Return the table of a piece of code's names; raises as `symtable.symtable` does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return symtable.symtable(source, "cell", "exec")


def compiled(source: str) -> types.CodeType:
    """Return the instructions of a piece of code, which are never run here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return compile(source, "cell", "exec", dont_inherit=True)
