"""Reports for spreadsheets and programs: a long CSV, a wide one for Moodle, and JSON."""

import contextlib
import csv
import io
import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .. import specs
from ..states import State, Verdict
from .ledger import as_dict
from .names import cell
from .result import ClassResult, Graded

COLUMNS = ("student", "exercise", "task", "state", "mistakes", "headline", "points", "file")
MOODLE_NAME = re.compile(r"(?P<name>.*)_(?P<number>\d+)")


def points_of(verdict: Verdict) -> int:
    """Return 1 for a right task, 0 for any other; what needs review is a person's to give."""
    return int(verdict.state is State.RIGHT)


def each_task(result: ClassResult) -> Iterator[tuple[Graded, Verdict]]:
    """Yield every student's every task."""
    for graded in result.graded:
        for verdict in graded.verdicts:
            yield graded, verdict


def as_csv(result: ClassResult) -> str:
    """Return one row per student and task."""
    rows = [
        (
            graded.student,
            graded.exercise,
            verdict.task,
            verdict.state.value,
            ", ".join(verdict.mistakes),
            verdict.headline or verdict.hint.split("\n")[0],
            points_of(verdict),
            graded.file,
        )
        for graded, verdict in each_task(result)
    ]
    return csv_text([COLUMNS, *rows])


def as_moodle(result: ClassResult) -> str:
    """Return one row per student, with the columns of Moodle's offline grading worksheet.

    The identifier is the number that Moodle puts into the names of downloaded folders. The grade
    is the number of right tasks; the columns of single exercises come last, and Moodle skips them.
    """
    head = ("Identifier", "Full name", "Grade", "Maximum grade", "Last modified (grade)")
    rows = []
    most = sum(len(specs.of_exercise(exercise)) for exercise in result.exercises)
    for student in result.students:
        match = MOODLE_NAME.fullmatch(student)
        name, number = (match["name"], match["number"]) if match else (student, "")
        points = [graded.points for graded in result.graded if graded.student == student]
        identifier = f"Participant {number}" if number else ""
        rows.append((identifier, name, sum(points), most, "-", *points))
    return csv_text([(*head, *result.exercises), *rows], keep="-")


def csv_text(rows: list[tuple], keep: str = "") -> str:
    """Return rows as CSV in which no cell is a formula."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerows([value if value == keep else cell(value) for value in row] for row in rows)
    return stream.getvalue()


def as_json(result: ClassResult) -> str:
    """Return everything that is known."""
    students = [
        {
            "student": student,
            "exercises": [graded_dict(g) for g in result.graded if g.student == student],
        }
        for student in result.students
    ]
    strangers = [vars(stranger) for stranger in result.strangers]
    numbers = {name: getattr(result, name) for name in ("seed", "judged", "remembered", "fence")}
    report = {**numbers, "students": students, "not_graded": strangers}
    return json.dumps(report, indent=1) + "\n"


def graded_dict(graded: Graded) -> dict:
    """Return one student's exercise as JSON can hold it."""
    tasks = [{**as_dict(v), "points": points_of(v)} for v in graded.verdicts]
    return {
        "exercise": graded.exercise,
        "file": graded.file,
        "copies": list(graded.copies),
        "points": graded.points,
        "tasks": tasks,
    }


def write(path: Path, text: str) -> None:
    """Write a report whole or not at all; a link is replaced, not followed.

    Raises
    ------
    OSError
        If the folder cannot be written to.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:50]}.")
    try:
        with open(descriptor, "w", encoding="utf-8", newline="", errors="backslashreplace") as file:
            file.write(text)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
