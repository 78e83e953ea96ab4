"""What happens in the process that runs one submission: fence, execute, call, report, leave."""

import __future__

import ast
import importlib
import json
import linecache
import os
import sys
import tempfile

from . import guard, limits, preload
from .fence import Fence
from .outcomes import MAX_RESULT, READY
from .run import Printed, describe_error, load_harness, run_probes
from .watch import watcher


def run_job(job: dict, report_to: int, tasks: int | None, fence: Fence) -> None:
    """Run one job and write its result to the descriptor `report_to`. Never returns.

    The first line that it writes says that the fence is up. If there is none, nothing was run.

    Parameters
    ----------
    job : dict
        ``fragments`` (list of [cell, line, source]), ``function``, ``probes`` (packed),
        ``harness``, ``seconds``, ``megabytes``, ``package``, ``helpers``, ``hidden``, ``folder``.
    report_to : int
        Descriptor of the pipe to the supervisor.
    tasks : int or None
        Limit on processes and threads.
    fence : Fence
        What the kernel holds.
    """
    write, leave, dumps = os.write, os._exit, json.dumps

    def report(result: dict) -> None:
        limits.release_reserve()
        line = dumps(result).encode()
        if len(line) > MAX_RESULT:
            line = dumps({"outcomes": [{"too_large": True, "changed": []}]}).encode()
        while line:
            line = line[write(report_to, line) :]

    printed = Printed()
    sys.stdout = sys.stderr = printed
    try:
        prepare(job)
        limits.apply(job["seconds"], job["megabytes"], tasks)
        fence.close(job["folder"])
        places = job["package"], job["helpers"], job["hidden"], job["folder"]
        # Taken, not read: afterwards the hook alone holds its means.
        guard.arm(*places, report_to, not fence.held, fence.paths.pop())
        write(report_to, READY)
        report({**execute(job), "printed": printed.text})
    except BaseException as error:
        report({"broken": describe_error(error), "printed": printed.text})
    finally:
        leave(0)


def prepare(job: dict) -> None:
    """Move into the job's own folder, and import the helpers that its code may ask for.

    Behind the fence not even their files can be read.
    """
    folder = job["folder"]
    os.chdir(folder)
    os.environ.update(TMPDIR=folder, TEMP=folder, TMP=folder, HOME=folder)
    tempfile.tempdir = None
    if job["helpers"] and job["package"] in preload.text_of(job):
        sys.path.append(job["root"])
        for helper in job["helpers"]:
            importlib.import_module(helper)
        sys.path.remove(job["root"])


def execute(job: dict) -> dict:
    """Run the fragments, then call the function on the probes."""
    # What IPython gives every notebook besides Python's own.
    namespace: dict = {"__name__": "__main__", "display": print, "get_ipython": lambda: None}
    harness, watch = load_harness(job["harness"]), watcher()  # before the submission's code
    try:
        for cell, line, source in job["fragments"]:
            run_fragment(cell, line, source, namespace)
        function = namespace[job["function"]]
    except BaseException as error:
        return {"broken": describe_error(error)}
    if not callable(function):
        return {"not_callable": type(function).__name__}
    return {"outcomes": run_probes(function, job["probes"], harness=harness, watch=watch)}


def run_fragment(cell: int, line: int, source: str, namespace: dict) -> None:
    """Execute one statement of a cell so that tracebacks show the cell's own line numbers."""
    filename = f"cell {cell}"
    remember_lines(filename, line, source)
    tree = ast.increment_lineno(ast.parse(source), line - 1)
    # Annotations stay unevaluated: a type hint whose import is missing is no mistake.
    flags = __future__.annotations.compiler_flag
    exec(compile(tree, filename, "exec", flags=flags, dont_inherit=True), namespace)


def remember_lines(filename: str, line: int, source: str) -> None:
    """Give tracebacks the text of the cell, as far as it was taken."""
    lines = linecache.getlines(filename) if filename in linecache.cache else []
    new = source.splitlines(keepends=True)
    lines = lines + ["\n"] * (line - 1 + len(new) - len(lines))
    lines[line - 1 : line - 1 + len(new)] = new
    linecache.cache[filename] = (len(source), None, lines, filename)
