"""`check`: the judge inside a notebook, seconds after a function is written."""

import contextlib
import ctypes
import dis
import functools
import inspect
import sys
import threading
import types
from collections.abc import Callable

from . import specs
from .diagnosis import diagnose
from .extraction import NotFoundError, extract
from .notebook import parse_cell
from .outcome import read_outcome
from .report import as_html
from .review import needs_review, suspicions
from .sandbox.preload import names_in, needed, preload
from .sandbox.run import Printed, run_probes
from .sandbox.wire import pack
from .spec import PUBLIC_SEED, Spec
from .states import State, Verdict

LIMIT_SECONDS = 10.0
PACKAGE = __name__.split(".")[0]


class TimeIsUp(BaseException):
    """Raised inside a function that is still running after `LIMIT_SECONDS`."""


def check(function: Callable) -> None:
    """Judge a graded function and show the result below the cell.

    Parameters
    ----------
    function : callable
        The function itself, ``check(gae)``; its name says which task it solves.

    Notes
    -----
    Never raises. The function runs in this process on copies of the inputs, and a Python loop that
    does not end is interrupted after 10 seconds. ``pytest exercises/`` gives the same verdict, from
    a process of its own.
    """
    try:
        verdict = judge_here(function, sys._getframe(1).f_globals)
    except Exception as error:  # a bug of the judge must not look like the student's
        headline = f"The judge itself failed ({type(error).__name__}: {error}); please report it."
        verdict = Verdict("check", State.CRASHED, headline)
    show(verdict)


def judge_here(
    function: Callable, names: dict | None = None, seconds: float = LIMIT_SECONDS
) -> Verdict:
    """Return the verdict on a function, run in this process.

    Parameters
    ----------
    function : callable
        The function to judge.
    names : dict, optional
        Variables of the caller, searched for the function if its own name is no task.
    seconds : float
        Time after which a Python loop is interrupted.
    """
    spec = find_spec(function, names or {})
    if spec is None:
        name = getattr(function, "__name__", type(function).__name__)
        known = ", ".join(f"`{task}`" for task in specs.SPECS)
        return Verdict(str(name), State.MISSING, f"There is no such task. The tasks are {known}.")
    if not callable(function):
        return Verdict(spec.name, State.MISSING, f"`{spec.name}` is not a function.")
    if str(getattr(function, "__module__", "")).split(".")[0] == PACKAGE:
        headline = "This is the library's own function. Check one that you wrote."
        return Verdict(spec.name, State.NEEDS_REVIEW, headline)
    probes = [[pack(argument) for argument in probe.arguments] for probe in spec.calls(PUBLIC_SEED)]
    printed = Printed()
    try:
        with contextlib.redirect_stdout(printed), exit_raises(function):
            preload(needed(names_in(function)))  # does not count as the function's time
            passing = (TimeIsUp, KeyboardInterrupt)
            call = functools.partial(run_probes, function, probes, passing, spec.harness)
            raw = run_with_limit(call, seconds)
    except TimeIsUp:
        headline = f"It did not finish within {seconds:g} seconds."
        return Verdict(spec.name, State.TIMEOUT, headline, "Is there a loop that never ends?")
    except KeyboardInterrupt:
        return Verdict(spec.name, State.TIMEOUT, "It was interrupted.")
    verdict = diagnose(spec, [read_outcome(entry) for entry in raw], PUBLIC_SEED)
    reasons = reasons_for_review(spec, names or {}) if verdict.state is State.RIGHT else []
    if reasons:
        return needs_review(spec.name, reasons)
    if (verdict.state is State.UNFINISHED and is_stub(function)) or is_printed(function, spec):
        return Verdict(spec.name, State.NOT_ATTEMPTED, "")
    return with_printed(verdict, printed.text)


def reasons_for_review(spec: Spec, names: dict) -> list[str]:
    """Return why a class run would ask for a person's eyes, from the cells run so far."""
    sources = names.get("In")  # IPython's list of them
    if not isinstance(sources, list):
        return []
    cells = [parse_cell(number, str(source)) for number, source in enumerate(sources)]
    try:
        found = extract(cells, spec.name)
    except NotFoundError:  # the function came from elsewhere, such as a magic
        return []
    return suspicions(found.fragments, PACKAGE, spec.helpers)


def find_spec(function: Callable, names: dict) -> Spec | None:
    """Return the task of a function: by its own name, or by a variable that holds it."""
    spec = specs.SPECS.get(getattr(function, "__name__", ""))
    if spec is not None:
        return spec
    for name, value in list(names.items()):
        if value is function and name in specs.SPECS:
            return specs.SPECS[name]
    return None


def is_stub(function: Callable) -> bool:
    """Tell whether a function does nothing but raise NotImplementedError with a message."""
    code = getattr(function, "__code__", None)
    if code is None or code.co_names != ("NotImplementedError",):
        return False

    def stub():
        raise NotImplementedError("...")

    return len(code.co_code) == len(stub.__code__.co_code)


def is_printed(function: Callable, spec: Spec) -> bool:
    """Tell whether a function is still the faulty code that its task asks to repair."""
    code, printed = (getattr(f, "__code__", None) for f in (function, spec.printed))
    if code is None or printed is None:
        return False
    return steps_of(code) == steps_of(printed)


def steps_of(code: types.CodeType) -> list[tuple]:
    """Return the instructions of a function, which know no docstring, layout or comment."""
    return [
        (step.opname, steps_of(step.argval) if inspect.iscode(step.argval) else step.argrepr)
        for step in dis.get_instructions(code)
    ]


@contextlib.contextmanager
def exit_raises(function: Callable):
    """Let ``exit()`` raise SystemExit, as in Python; a Jupyter kernel has its own, which returns.

    Without this, a function that calls it would seem to go on, and the kernel would shut down.
    """

    def leave(*_, **__):
        raise SystemExit

    names = getattr(function, "__globals__", {})
    own = {
        name: names[name]
        for name in ("exit", "quit")
        if type(names.get(name)).__name__.endswith("ExitAutocall")
    }
    names.update(dict.fromkeys(own, leave))
    try:
        yield
    finally:
        names.update(own)


def run_with_limit(call: Callable, seconds: float):
    """Return ``call()``, or raise `TimeIsUp` inside it when the time is over.

    Works in any thread and on every system, but only while Python code runs: a call that waits in
    C, such as a long sleep, is interrupted once it returns.
    """
    thread = ctypes.c_ulong(threading.get_ident())
    lock, done = threading.Lock(), False

    def interrupt() -> None:
        with lock:
            if not done:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, ctypes.py_object(TimeIsUp))

    timer = threading.Timer(seconds, interrupt)
    timer.daemon = True
    timer.start()
    try:
        return call()
    finally:
        with lock:
            done = True
        timer.cancel()
        ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, None)


def with_printed(verdict: Verdict, text: str) -> Verdict:
    """Add the first lines that the function printed, unless it is right."""
    if verdict.state is State.RIGHT or not text.strip():
        return verdict
    lines = "\n".join(line[:120] for line in text.strip().splitlines()[:8])
    fields = {name: getattr(verdict, name) for name in verdict.__dataclass_fields__}
    return Verdict(**{**fields, "printed": lines})


def show(verdict: Verdict) -> None:
    """Show a verdict as HTML in a notebook, as text anywhere else."""
    show_both(verdict.as_text(), as_html(verdict))


def show_both(text: str, rich: str) -> None:
    """Show HTML in a notebook, and text anywhere else."""
    shell = sys.modules.get("IPython") and sys.modules["IPython"].get_ipython()
    if shell is not None and hasattr(shell, "kernel"):
        from IPython.display import display

        display({"text/html": rich, "text/plain": text}, raw=True)
    else:
        print(text)
