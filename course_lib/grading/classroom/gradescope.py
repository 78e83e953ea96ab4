"""Gradescope's results.json, for the one submission that Gradescope hands to an autograder.

The format: https://gradescope-autograders.readthedocs.io/en/latest/specs/
"""

import json
from dataclasses import replace

from ..spec import PUBLIC_SEED
from ..states import State, Verdict
from .names import plain_text
from .reports import each_task, points_of
from .result import ClassResult, Graded
from .summary import not_graded


def as_gradescope(result: ClassResult, seconds: float) -> str:
    """Return the results of the only student, a test per task.

    Parameters
    ----------
    result : ClassResult
        With one student.
    seconds : float
        How long the grading took.
    """
    tests = [
        test_of(graded, verdict, number, result.seed)
        for number, (graded, verdict) in enumerate(each_task(result), start=1)
    ]
    report = {
        "score": sum(test["score"] for test in tests),
        "execution_time": round(seconds),
        "output": plain_text(remarks(result)),
        "output_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "tests": tests,
    }
    return json.dumps(report, indent=1) + "\n"


def test_of(graded: Graded, verdict: Verdict, number: int, seed: int) -> dict:
    """Return one task as Gradescope's test case."""
    if seed != PUBLIC_SEED:
        # The numbers of a private probe would let a student return them.
        verdict = replace(verdict, evidence="", printed="")
    return {
        "score": float(points_of(verdict)),
        "max_score": 1.0,
        "status": "passed" if verdict.state is State.RIGHT else "failed",
        "name": f"{graded.exercise}: {verdict.task}",
        "number": str(number),
        "output": plain_text(verdict.as_text()),
        "output_format": "text",
        "visibility": "visible",
        "extra_data": {"state": verdict.state.value, "mistakes": list(verdict.mistakes)},
    }


def remarks(result: ClassResult) -> str:
    """Return what concerns the submission as a whole."""
    parts = [
        f"{graded.exercise}: {graded.file or 'no file was handed in'}" for graded in result.graded
    ]
    if not parts:
        parts = ["No exercise was found among the submitted files."]
    return "\n".join([*parts, not_graded(result)]).strip()
