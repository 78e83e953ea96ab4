"""The known mistakes of a task, written as a text: a header for each, and below it the hint."""

import ast
import functools
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Mistake:
    """One catalogued mistake.

    Parameters
    ----------
    name : str
        Short name for reports, unique within a task: ``bootstrap_at_terminated``.
    hint : str
        For the student: what is wrong, how the numbers show it, where to look. Never the line.
    flags : mapping
        Options of the task's `variant` that commit the mistake. Two mistakes with different options
        can also be committed together, and are then recognised as a pair.
    function : callable, optional
        A function that commits the mistake, where options would be clumsy.
    arguments : mapping
        Arguments that the mistake ignores, by name, and the value that it uses in their place.
    """

    name: str
    hint: str
    flags: Mapping[str, object] = field(default_factory=dict)
    function: Callable | None = None
    arguments: Mapping[str, object] = field(default_factory=dict)


def catalogue(text: str, *functions: Callable) -> tuple[Mistake, ...]:
    """Return the mistakes that a text describes.

    Parameters
    ----------
    text : str
        Headers, and indented below each its hint::

            sum_not_squared: squared=False
                Double all weights: your answer halves. Which power is missing?
            # Headers in a row share the hint that follows. A line like this one is skipped.
            epsilon_ignored: ignores(epsilon=1e-8)
            epsilon_is_one: ignores(epsilon=1.0)
                Changing epsilon changes nothing.
            logits_as_log_probabilities: of_logits
                You use the logits where their logarithmic probabilities belong.

        After the name stand options of the task's `variant`; or the name of a function that
        commits the mistake, with options of its own if it has some; or, in ``ignores``, arguments
        whose values are not used, and what is used in their place. A mistake that is
        ``variant(option=value)`` is never read as one of a pair.
    functions : callable
        The functions that the text names.

    Raises
    ------
    ValueError
        If a header cannot be read or has no hint, a hint has no header, or a header names a
        function that is not given.
    """
    by_name = {function.__name__: function for function in functions}
    headers: list[str] = []
    hint: list[str] = []
    mistakes: list[Mistake] = []

    def finish() -> None:
        if headers and not hint:
            raise ValueError(f"the mistake {headers[-1]!r} has no hint: indent it below its header")
        mistakes.extend(read_header(header, " ".join(hint), by_name) for header in headers)
        headers.clear()
        hint.clear()

    for line in textwrap.dedent(text).splitlines():
        if not line.strip() or line.lstrip().startswith("# "):
            continue
        if line[0] == " ":
            if not headers:
                raise ValueError(f"a hint stands above all headers: {line.strip()!r}")
            hint.append(line.strip())
        else:
            if hint:
                finish()
            headers.append(line)
    finish()
    return tuple(mistakes)


def read_header(header: str, hint: str, functions: Mapping[str, Callable]) -> Mistake:
    """Return the mistake of one header, ``name: option=value, ...``."""
    name, _, options = header.partition(":")
    function: Callable | None = None
    arguments: dict[str, object] = {}
    try:
        # A call, or else it lacks what is asked of it here: an AttributeError.
        call: Any = ast.parse(f"_({options})", mode="eval").body
        flags = values_of(call)
        for given in call.args:
            if isinstance(given, ast.Name):
                function = functions[given.id]
            elif given.func.id == "ignores":
                arguments = values_of(given)
            else:
                function = functools.partial(functions[given.func.id], **values_of(given))
    except (SyntaxError, ValueError, AttributeError) as error:
        raise ValueError(f"cannot read {header!r}: expected name: option=value, ...") from error
    except KeyError as error:
        raise ValueError(f"{header!r} names {error}, which the catalogue was not given") from error
    if not name or " " in name or not (flags or function or arguments):
        raise ValueError(f"{header!r} says no option that commits the mistake")
    return Mistake(name, hint, flags, function, arguments)


def values_of(call) -> dict[str, object]:
    """Return the keywords of a call with their literal values."""
    return {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
