"""The result of a class run: verdicts per student and exercise, and what was not graded."""

from collections.abc import Sequence
from dataclasses import dataclass

from .. import specs
from ..spec import PUBLIC_SEED
from ..states import State, Verdict
from .submissions import Collection, Stranger, Submission


@dataclass(frozen=True)
class Graded:
    """One student's verdicts on one exercise.

    Parameters
    ----------
    student, exercise : str
        Whose, and which.
    file : str
        The file that counts; empty if none was handed in.
    copies : tuple of str
        Other files of the same student for this exercise, with fewer right tasks.
    verdicts : tuple of Verdict
        One per task, in the exercise's order.
    """

    student: str
    exercise: str
    file: str
    copies: tuple[str, ...]
    verdicts: tuple[Verdict, ...]

    @property
    def points(self) -> int:
        """Number of tasks that are right."""
        return sum(verdict.state is State.RIGHT for verdict in self.verdicts)


@dataclass(frozen=True)
class ClassResult:
    """Everything that the reports are made of.

    Parameters
    ----------
    students, exercises : tuple of str
        In order. The exercises are those asked for, or those that anybody handed in.
    graded : tuple of Graded
        One per student and exercise.
    strangers : tuple of Stranger
        Files that were not graded.
    seed : int
        Drew the probes.
    judged, remembered : int
        How many files were judged now, and how many verdicts an earlier run had left.
    fence : str
        What stood round the submissions while they ran.
    """

    students: tuple[str, ...]
    exercises: tuple[str, ...]
    graded: tuple[Graded, ...]
    strangers: tuple[Stranger, ...]
    seed: int = PUBLIC_SEED
    judged: int = 0
    remembered: int = 0
    fence: str = ""


def in_order(
    found: Collection,
    answers: dict[Submission, tuple[str, list[Verdict]]],
    exercises: Sequence[str],
    counts: dict,
) -> ClassResult:
    """Return the verdicts per student and exercise, and everything that was not graded."""
    files: dict[tuple[str, str], list[Graded]] = {}
    strangers = list(found.strangers)
    students = list(found.students)
    for submission, (exercise, verdicts) in answers.items():
        student = submission.student
        if not exercise:
            owner = student if student in found.students else ""
            strangers.append(Stranger(owner, submission.name, verdicts[0].headline))
            continue
        if student not in students:
            students.append(student)
        graded = Graded(student, exercise, submission.name, (), tuple(verdicts))
        files.setdefault((student, exercise), []).append(graded)
    handed_in = {exercise for _, exercise in files}
    order = tuple(dict.fromkeys(spec.exercise for spec in specs.TASKS))
    chosen = tuple(e for e in order if e in (exercises or handed_in))
    students.sort(key=lambda name: (name.casefold(), name))
    rows = [best(files.get((s, e), []), s, e) for s in students for e in chosen]
    strangers.sort(key=lambda stranger: (stranger.student, stranger.name))
    return ClassResult(tuple(students), chosen, tuple(rows), tuple(strangers), **counts)


def best(copies: list[Graded], student: str, exercise: str) -> Graded:
    """Return the copy with most right tasks; without any, verdicts that say so."""
    if not copies:
        message = "No file was handed in for this exercise."
        missing = [Verdict(s.name, State.MISSING, message) for s in specs.of_exercise(exercise)]
        return Graded(student, exercise, "", (), tuple(missing))
    first, *others = sorted(copies, key=lambda copy: (-copy.points, len(copy.file), copy.file))
    names = tuple(other.file for other in others)
    return Graded(student, exercise, first.file, names, first.verdicts)
