"""Show the library's code in a chapter, so that the reader sees exactly what ran."""

import ast
import inspect
import textwrap
from collections.abc import Callable

from IPython.display import Markdown


def show_source(function: Callable, docstring: bool = False) -> Markdown:
    """The source of a function or class as a code block.

    Parameters
    ----------
    function : callable
        Anything whose source file Python can find.
    docstring : bool
        Whether to keep its docstring, which is often longer than the code.

    Returns
    -------
    IPython.display.Markdown

    Raises
    ------
    ValueError
        If it has no source to show, such as a function of C.
    """
    try:
        lines = textwrap.dedent(inspect.getsource(function)).splitlines()
    except (OSError, TypeError) as error:
        raise ValueError(f"no Python source is known for {function!r}") from error
    (definition,) = ast.parse("\n".join(lines)).body
    # A lambda's source is the statement that it stands in, which has no docstring.
    named = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    if (
        not docstring
        and isinstance(definition, named)
        and ast.get_docstring(definition) is not None
    ):
        first = definition.body[0]
        del lines[first.lineno - 1 : first.end_lineno]
    return Markdown("\n".join(["```python", *lines, "```"]))
