"""Judge the functions of a notebook: extract, run in the sandbox, diagnose."""

import ast
import contextlib
import dataclasses
import inspect
import textwrap
from collections.abc import Callable
from pathlib import Path

from . import specs as book
from .diagnosis import diagnose, interrupted
from .extraction import Extract, NotFoundError, extract
from .notebook import CodeCell, UnreadableNotebookError, read_code_cells
from .outcome import read_error, read_outcome, text_of
from .review import needs_review, suspicions
from .sandbox.client import Sandbox
from .sandbox.outcomes import OUTPUT, REFUSED_STATUS, REVIEW_STATUS, TIMEOUT
from .sandbox.run import MAX_PRINTED
from .spec import PUBLIC_SEED, Spec
from .states import State, Verdict

PACKAGE = __name__.split(".")[0]
FAULTY = (
    State.KNOWN_MISTAKE, State.WRONG, State.RAISED, State.TIMEOUT, State.MEMORY, State.OUTPUT,
    State.CRASHED
)  # fmt: skip


def judge_notebook(
    path: str | Path, specs: list[Spec], sandbox: Sandbox, seed: int = PUBLIC_SEED
) -> list[Verdict]:
    """Return one verdict per task, in the order of `specs`; never raises over a submission."""
    try:
        cells = read_code_cells(path)
    except UnreadableNotebookError as error:
        return [Verdict(spec.name, State.UNREADABLE, error.sentence()) for spec in specs]
    return judge_cells(cells, specs, sandbox, seed)


def judge_cells(
    cells: list[CodeCell], specs: list[Spec], sandbox: Sandbox, seed: int = PUBLIC_SEED
) -> list[Verdict]:
    """Return one verdict per task on the code cells of a notebook."""
    known: dict[str, Verdict] = {}
    return [judge_function(cells, spec, sandbox, seed, known) for spec in specs]


def judge_function(
    cells: list[CodeCell],
    spec: Spec,
    sandbox: Sandbox,
    seed: int = PUBLIC_SEED,
    known: dict[str, Verdict] | None = None,
) -> Verdict:
    """Return the verdict on one function of a notebook.

    A function that is wrong and calls another graded one that is wrong says so before anything
    else: its numbers may be the other's fault.

    Parameters
    ----------
    cells : list of CodeCell
        The notebook's code, from `notebook.read_code_cells`.
    spec : Spec
        The task.
    sandbox : Sandbox
        Where the code runs; not touched if there is nothing to run.
    seed : int
        Draws the probes.
    known : dict, optional
        Verdicts on functions of the same notebook, by task; new ones are added.
    """
    known = {} if known is None else known
    verdict = known[spec.name] = judge_alone(cells, spec, sandbox, seed)
    if verdict.state not in FAULTY:
        return verdict
    used = extract(cells, spec.name).binds - {spec.name}
    for other in book.of_exercise(spec.exercise):
        if other.name not in used:
            continue
        if other.name not in known:
            known[other.name] = judge_alone(cells, other, sandbox, seed)
        if known[other.name].state in FAULTY:
            first = f"It calls `{other.name}`, which is not right yet: repair `{other.name}` first."
            return dataclasses.replace(verdict, headline=f"{first} {verdict.headline}".rstrip())
    return verdict


def judge_alone(cells: list[CodeCell], spec: Spec, sandbox: Sandbox, seed: int) -> Verdict:
    """Return the verdict on one function, whatever those that it calls are like."""
    try:
        found = extract(cells, spec.name)
    except NotFoundError as error:
        state = State.SYNTAX if error.broken else State.MISSING
        return Verdict(spec.name, state, str(error))
    if is_stub(found.definition) or is_printed(found.definition, spec.printed):
        return Verdict(spec.name, State.NOT_ATTEMPTED, "", notes=found.notes)
    reply = sandbox.run(
        {
            "fragments": found.fragments,
            "function": spec.name,
            "probes": spec.packed(seed),
            "harness": spec.harness_source(),
            "seconds": spec.seconds,
            "megabytes": spec.megabytes,
            "helpers": list(spec.helpers),
        }
    )
    verdict = read_reply(spec, reply, seed, found)
    right = verdict.state is State.RIGHT
    if right and (reasons := suspicions(found.fragments, PACKAGE, spec.helpers)):
        verdict = needs_review(spec.name, reasons)
    return with_notes(verdict, found.notes, reply["result"])


def read_reply(spec: Spec, reply: dict, seed: int, found: Extract) -> Verdict:
    """Return the verdict on what the sandbox reported. The report itself may be forged."""
    name, result = spec.name, reply["result"]
    if reply["ended"] == TIMEOUT:
        message = f"It did not finish within {spec.seconds:g} seconds."
        return Verdict(name, State.TIMEOUT, message, "Is there a loop that never ends?")
    if reply["ended"] == OUTPUT:
        return Verdict(name, State.OUTPUT, "It wrote far more than any answer has.")
    if result is None:
        return Verdict(name, State.CRASHED, crash_message(reply["status"]))
    if "review" in result or reply["status"] == REVIEW_STATUS:
        reason = text_of(result.get("review"), 300) or "it reached for an answer"
        return Verdict(name, State.NEEDS_REVIEW, f"A person should look at it: {reason}.")
    if "refused" in result or reply["status"] == REFUSED_STATUS:
        reason = text_of(result.get("refused")) or "the judge refused it"
        result = {"broken": {"type": "PermissionError", "message": reason}}
    if "not_callable" in result:
        kind = text_of(result["not_callable"], 60)
        return Verdict(name, State.MISSING, f"`{name}` is of type {kind}, not a function.")
    if "broken" in result:
        outcome = read_error(result["broken"])
        return explain_names(interrupted(spec, outcome, spec.draw(seed)[0]), outcome, found)
    raw = result.get("outcomes")
    raw = raw[: len(spec.draw(seed))] if isinstance(raw, list) else []
    outcomes = [read_outcome(entry) for entry in raw]
    verdict = diagnose(spec, outcomes, seed)
    return explain_names(verdict, outcomes[-1], found) if outcomes else verdict


def explain_names(verdict: Verdict, outcome, found: Extract) -> Verdict:
    """Say why a name is unknown here although the notebook knows it."""
    missing = outcome.error.get("name", "")
    if verdict.state is not State.RAISED or outcome.error["type"] != "NameError":
        return verdict
    if missing in found.broken:
        headline = f"Blocked by `{missing}`, which it calls. {found.broken[missing]}"
        hint = "Nothing can be said about this function before that cell runs."
        return Verdict(verdict.task, State.BLOCKED, headline, hint)
    hint = (
        f"Nothing that the judge runs defines `{missing}`. Is an import missing? It runs no magics "
        "and no lines that only call something."
    )
    return Verdict(verdict.task, verdict.state, verdict.headline, hint, verdict.evidence)


def crash_message(status: int) -> str:
    """Say how a process ended that reported nothing."""
    if status < 0:
        return f"Python itself crashed while running it (signal {-status})."
    return "Your function ended Python before it returned an answer."


def with_notes(verdict: Verdict, notes: tuple[str, ...], result: dict | None) -> Verdict:
    """Add the notes of the extraction, and what the function printed if something is wrong."""
    printed = ""
    if result and verdict.state is not State.RIGHT:
        lines = text_of(result.get("printed"), MAX_PRINTED).strip().splitlines()
        printed = "\n".join(line[:120] for line in lines[:8])
    return dataclasses.replace(verdict, notes=verdict.notes + notes, printed=printed)


def is_stub(node: ast.stmt) -> bool:
    """Tell whether a definition is still the stub: a docstring and NotImplementedError."""
    if not isinstance(node, ast.FunctionDef):
        return False
    body = list(node.body)
    if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        body.pop(0)
    if len(body) != 1 or not isinstance(body[0], ast.Raise) or body[0].exc is None:
        return False
    raised = body[0].exc.func if isinstance(body[0].exc, ast.Call) else body[0].exc
    return isinstance(raised, ast.Name) and raised.id == "NotImplementedError"


def is_printed(node: ast.stmt, printed: Callable | None) -> bool:
    """Tell whether a definition is still the faulty code that the task asks to repair."""
    if printed is None:
        return False
    (original,) = ast.parse(textwrap.dedent(inspect.getsource(printed))).body
    with contextlib.suppress(RecursionError):  # an expression thousands of levels deep
        return statements_of(node) == statements_of(original)
    return False


def statements_of(node: ast.stmt) -> list[str]:
    """Return a function's statements without its docstring, in a form that ignores layout."""
    body = list(getattr(node, "body", []))
    if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        body.pop(0)
    return [ast.dump(statement) for statement in body]
