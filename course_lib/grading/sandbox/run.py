"""Call a submitted function on probes and write down what happened, in plain numbers.

The notebook's `check` and the sandbox share this file, so both see a submission the same way.
"""

import contextlib
import errno
import io
import linecache
import traceback
import warnings

import numpy as np

from . import tools
from .watch import watcher
from .wire import TooLargeError, pack, unpack

MAX_PRINTED = 2000
MAX_FLOOD = 1_000_000
MAX_MESSAGE = 500


class Printed(io.TextIOBase):
    """A text stream that keeps the first `MAX_PRINTED` characters and refuses a flood."""

    def __init__(self):
        self.text = ""
        self.length = 0

    def write(self, text: str) -> int:
        """Keep what still fits; raise OSError (EFBIG) beyond `MAX_FLOOD` characters."""
        self.length += len(text)
        if self.length > MAX_FLOOD:
            raise OSError(errno.EFBIG, "too much was printed")
        self.text += text[: max(0, MAX_PRINTED - len(self.text))]
        return len(text)


def run_probes(
    function, probes: list[list], let_through: tuple = (), harness=None, watch=None
) -> list[dict]:
    """Call `function` on every probe until one call raises.

    Parameters
    ----------
    function : callable
        The submitted function.
    probes : list of list
        Positional arguments of each call, as `wire.pack` writes them. Each call gets fresh copies.
    let_through : tuple of exception types
        Exceptions that are not the submission's own, such as the inline time limit.
    harness : callable, optional
        Called as ``harness(function, *arguments)`` in the function's place.
    watch : tuple, optional
        What `watch.watcher` returned before the submission's code ran.

    Returns
    -------
    list of dict
        Per call ``value`` (packed) or ``raised``, and the positions of the arguments that the call
        ``changed`` in place, and of those in whose `.grad` it changed something (``gradients``).
    """
    begin, end = watch or watcher()
    outcomes = []
    for probe in probes:
        arguments = [unpack(argument) for argument in probe]
        begin(arguments)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                value = harness(function, *arguments) if harness else function(*arguments)
            outcome = {"value": pack(value)}
        except let_through:
            raise
        except MemoryError:
            outcome = {"memory": True}
        except TooLargeError:
            outcome = {"too_large": True}
        except BaseException as error:  # sys.exit() in a submission must not end the judge
            outcome = {"raised": describe_error(error, function)}
        outcome.update(end())
        outcomes.append(outcome)
        if "value" not in outcome:
            break
    return outcomes


def load_harness(named_source: list[str] | None):
    """Return the harness whose [name, source] was sent, None if the task has none."""
    if named_source is None:
        return None
    name, source = named_source
    namespace = {"np": np, **vars(tools)}
    exec(compile(source, "<harness>", "exec"), namespace)
    return namespace[name]


def describe_error(error: BaseException, function=None) -> dict:
    """Return an exception as text: its type, its message and the submission's line."""
    with contextlib.suppress(Exception):
        message = str(error)[:MAX_MESSAGE]
        described: dict[str, object] = {"type": type(error).__name__, "message": message}
        described |= {"where": "", "line": ""}
        described["memory"] = "can't allocate memory" in message  # torch's words
        described["output"] = isinstance(error, OSError) and error.errno == errno.EFBIG
        described["name"] = getattr(error, "name", None) or ""
        frame = last_own_frame(error, function)
        if frame is not None:
            described["where"] = where(frame.filename, frame.lineno)
            described["line"] = linecache.getline(frame.filename, frame.lineno).strip()[:200]
            described["function"] = frame.name
        return described
    return {"type": "Exception", "message": "an exception that cannot be printed", "where": ""}


def last_own_frame(error: BaseException, function):
    """Return the innermost frame of the traceback that is the submission's own code."""
    own = getattr(function, "__globals__", None)
    chosen = None
    for frame, number in traceback.walk_tb(error.__traceback__):
        is_own = frame.f_globals is own if own else frame.f_code.co_filename.startswith("cell ")
        if is_own:
            chosen = traceback.FrameSummary(
                frame.f_code.co_filename, number, frame.f_code.co_name, lookup_line=False
            )
    return chosen


def where(filename: str, line: int) -> str:
    """Return a place in words; kernels invent odd names of files, which nobody should read."""
    _, is_own, place = filename.partition("cell ")
    return spot(place, line) if is_own else f"your cell, line {line}"


def spot(place: int | str, line: int) -> str:
    """Return a line of a code cell, known by its number, or of a script, known by its name."""
    if str(place).isdigit():
        return f"code cell {place}, line {line}"
    return f"line {line} of {place}"
