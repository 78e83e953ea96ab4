"""From arguments to an exit status: every error is one line that says what to do."""

import argparse
import re
import shlex
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Any

from ..experience.envs.recorder import ReplayError
from ..training.interrupts import StoppedBySignalError
from ..training.keeper import FolderUsedError
from ..training.lock import FolderInUseError
from ..training.train import ResumeWarning, is_finished, load_run
from . import commands
from .parser import PROGRAM, parse
from .studies import run_study_file

COMMANDS = {
    "train": commands.run_train,
    "resume": commands.run_resume,
    "evaluate": commands.run_evaluate,
    "film": commands.run_film,
    "plot": commands.run_plot,
    "study": run_study_file,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the process by default.

    Returns
    -------
    int
        0 if all went well, 1 if something failed, 128 and the signal's number if one ended it (130
        for Ctrl-C); wrong usage exits with 2.
    """
    options = parse(arguments)
    if options.list:
        commands.list_presets()
        return 0
    with warnings.catch_warnings():
        warnings.simplefilter("always", ResumeWarning)
        plainly, warnings.showwarning = warnings.showwarning, _shower(warnings.showwarning)
        try:
            COMMANDS[options.command](options)
        except KeyboardInterrupt as stop:
            print(
                f"\n{_one_line(stop) if str(stop) else 'interrupted'}{_way_on(options)}",
                file=sys.stderr,
            )
            return 128 + (stop.signal if isinstance(stop, StoppedBySignalError) else 2)
        except (Exception, SystemExit) as error:  # an environment may call sys.exit
            if options.traceback:
                traceback.print_exc()
            print(f"error: {_one_line(error)}{_advice(error, options)}", file=sys.stderr)
            return 1
        finally:
            warnings.showwarning = plainly
    return 0


def _one_line(error: BaseException) -> str:
    """The error and its notes; its kind too, unless the message was written for people."""
    ours = isinstance(error, ValueError | KeyboardInterrupt | ReplayError | FolderInUseError)
    ours |= isinstance(error, OSError) and error.errno is None
    kind = "" if ours and str(error) else f"{type(error).__name__}: "
    words = str(error) or "no more was said; --traceback shows where"
    if isinstance(error, SystemExit):
        words = f"something called sys.exit({error.code!r}), most likely the environment"
    notes = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
    return " ".join(f"{kind}{words}{notes}".split())


def _advice(error: BaseException, options: argparse.Namespace) -> str:
    if isinstance(error, ReplayError):
        return _way_on(options, " --fresh-episodes")
    if isinstance(error, FolderUsedError):
        return _way_on(options) + ("" if options.out else ", or choose another folder with --out")
    if isinstance(error, FolderInUseError) or options.command not in ("train", "resume"):
        return ""
    stopped = "training stopped" in str(error) or hasattr(error, "__notes__")
    return _way_on(options) if stopped else ""


def _way_on(options: argparse.Namespace, extra: str = "") -> str:
    """The command that goes on, if there is something to go on with."""
    directory: Any = getattr(options, "directory", None)
    if options.command not in ("train", "resume") or not directory:
        return ""
    try:
        if is_finished(directory):
            extra = " --steps N"
        elif load_run(directory)["obstacle"] is not None:
            extra = " --fresh-episodes"
    except (OSError, ValueError):  # there is none, or it is damaged
        return ""
    return f"; to go on: {PROGRAM} resume {shlex.quote(str(directory))}{extra}"


def _shower(others: Any) -> Any:
    """Warnings for people: one line each, and each once."""
    shown = set()

    def show(message: Any, category: type[Warning], *place: Any, **more: Any) -> None:
        if not issubclass(category, UserWarning):
            others(message, category, *place, **more)
            return
        plain = re.sub(r"\x1b\[[0-9;]*m", "", str(message)).removeprefix("WARN: ")
        if plain not in shown:
            shown.add(plain)
            print(f"warning: {' '.join(plain.split())}", file=sys.stderr)

    return show
