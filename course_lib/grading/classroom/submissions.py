"""Which file belongs to which student and to which exercise.

A class is a folder. A folder in it is a student, and everything below belongs to that student; a
file in it belongs to the student whose name precedes the exercise's: ``ada_02_advantage_estimation.
ipynb``. File names are read, files are not: that is left to `judge_process`. Links are never
followed, so that no submission can point at another student's file. Of a fork of the book only the
exercises count and what its owner added; the library that a student hands in beside a notebook is
no submission, nor are the solutions beside it.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .file_names import NOTEBOOKS, name_pattern, read_name, student_of
from .names import printable

SKIPPED_FOLDERS = frozenset([
    "__MACOSX", "__pycache__", "node_modules", "site-packages", "venv"
])  # fmt: skip
SKIPPED_FILES = frozenset(["__init__.py", "conftest.py", "Thumbs.db", "desktop.ini"])
PACKAGE = __name__.split(".")[0]
# The folders of the book in which nobody writes exercises.
OF_THE_BOOK = frozenset([
    PACKAGE, "appendices", "benchmarks", "book", "chapters", "results", "solutions", "tests"
])  # fmt: skip
FROM_THE_BOOK = "a folder of the book, not a submission"
MAX_DEPTH = 12
MAX_FILES = 2000  # per student
MAX_COPIES = 5  # per student and exercise
MAX_UNNAMED = 40  # files of one student whose names say no exercise


@dataclass(frozen=True)
class Submission:
    """One file that is judged.

    Parameters
    ----------
    student : str
        Printable name.
    path : Path
        The file.
    name : str
        Its path inside the class folder, printable.
    exercise : str
        Stem of the exercise; empty if only the contents can tell.
    """

    student: str
    path: Path
    name: str
    exercise: str


@dataclass(frozen=True)
class Stranger:
    """A file that is not graded, and why."""

    student: str
    name: str
    reason: str


@dataclass
class Collection:
    """What a class folder holds."""

    students: list[str] = field(default_factory=list)
    submissions: list[Submission] = field(default_factory=list)
    strangers: list[Stranger] = field(default_factory=list)


def collect(
    folder: Path, exercises: Sequence[str], one_student: str = "", ignored: Sequence[Path] = ()
) -> Collection:
    """Return the submissions below a folder. Never fails over what students put there.

    Parameters
    ----------
    folder : Path
        The class, or with `one_student` that student's folder.
    exercises : sequence of str
        Stems of all exercises.
    one_student : str
        Name of the only student, if the folder is not a class.
    ignored : sequence of Path
        Files that are not submissions, such as reports written earlier.

    Raises
    ------
    OSError
        If the folder itself cannot be read.
    """
    found = Collection()
    pattern = name_pattern(exercises)
    skipped = {path.absolute() for path in ignored}
    if one_student:
        add_folder(found, folder, folder, one_student, pattern, skipped)
        return found
    for entry in entries_of(folder):
        path = Path(entry.path)
        if path.absolute() in skipped:
            continue
        if entry.is_dir(follow_symlinks=False) and is_of_the_book(entry):
            found.strangers.append(Stranger("", printable(entry.name), FROM_THE_BOOK))
            continue
        if entry.is_dir(follow_symlinks=False):
            student = student_of(entry.name)
            add_folder(found, folder, path, student, pattern, skipped)
            add_student(found, student)
            continue
        who, exercise = read_name(entry.name, pattern)
        student = student_of(who) if who else printable(folder.resolve().name or "class")
        problem = problem_with(entry)
        if problem:
            found.strangers.append(Stranger("", printable(entry.name), problem))
            continue
        found.submissions.append(Submission(student, path, printable(entry.name), exercise))
        if exercise:  # otherwise it may be no submission at all
            add_student(found, student)
    return found


def add_folder(
    found: Collection, top: Path, folder: Path, student: str, pattern: re.Pattern, ignored: set
) -> None:
    """Add the files of one student."""
    add_student(found, student)
    files: list[tuple[Submission, str]] = []
    by_exercise: dict[str, list[Submission]] = {}
    for number, (path, problem) in enumerate(walk(folder)):
        name = printable(str(path.relative_to(top)))
        if path.absolute() in ignored:
            continue
        if number >= MAX_FILES:
            reason = f"more than {MAX_FILES} files; the others were not looked at"
            found.strangers.append(Stranger(student, name, reason))
            break
        _, exercise = read_name(path.name, pattern)
        files.append((Submission(student, path, name, exercise), problem))
        if not problem:
            by_exercise.setdefault(exercise, []).append(files[-1][0])
    chosen = {s for copies in by_exercise.values() for s in likeliest(copies)}
    for submission, problem in files:
        if submission in chosen:
            found.submissions.append(submission)
            continue
        many = f"more than {MAX_COPIES} files for one exercise"
        if not submission.exercise:
            many = f"more than {MAX_UNNAMED} files whose names say no exercise"
        found.strangers.append(Stranger(student, submission.name, problem or many))


def likeliest(copies: list[Submission]) -> list[Submission]:
    """Return as many files of one student for one exercise as are judged.

    First comes the file that has the exercise's own name, then the newest, then the one with the
    highest number. Where the names say nothing, notebooks come before scripts, so that no number
    of helper modules hides one.
    """

    def order(submission: Submission) -> tuple:
        name = submission.path.name
        try:
            age = -os.lstat(submission.path).st_mtime
        except OSError:
            age = 0.0
        numbers = [-int(digits[:9]) for digits in re.findall(r"[0-9]+", name)]
        stem = name.split(".")[0].lower()
        named = stem != submission.exercise.lower() if submission.exercise else is_script(name)
        return named, age, numbers, name

    limit = MAX_COPIES if copies[0].exercise else MAX_UNNAMED
    return sorted(copies, key=order)[:limit]


def is_script(name: str) -> bool:
    """Tell whether a file's name is a script's."""
    return name.lower().endswith(".py")


def add_student(found: Collection, student: str) -> None:
    """Remember a student once."""
    if student not in found.students:
        found.students.append(student)


def walk(folder: Path, depth: int = 0) -> Iterator[tuple[Path, str]]:
    """Yield each file below a folder with what is wrong with it, or an empty text."""
    try:
        entries = entries_of(folder)
    except OSError as error:
        yield folder, f"the folder cannot be opened: {error.strerror or type(error).__name__}"
        return
    for entry in entries:
        if not entry.is_dir(follow_symlinks=False):
            yield Path(entry.path), problem_with(entry)
        elif is_of_the_book(entry):
            yield Path(entry.path), FROM_THE_BOOK
        elif depth < MAX_DEPTH:
            yield from walk(Path(entry.path), depth + 1)
        else:
            yield Path(entry.path), "folders inside folders, too deep to look into"


def entries_of(folder: Path) -> list[os.DirEntry]:
    """Return what a folder holds, in order, without the work of programs and of the book."""
    with os.scandir(folder) as stream:
        entries = sorted(stream, key=lambda entry: entry.name)
    folders = {entry.name for entry in entries if entry.is_dir(follow_symlinks=False)}
    left_out = SKIPPED_FOLDERS | SKIPPED_FILES
    if {PACKAGE, "exercises"} <= folders:  # a fork
        plain = {e.name for e in entries if not e.name.lower().endswith(NOTEBOOKS)} - folders
        left_out |= OF_THE_BOOK | plain
    return [e for e in entries if not e.name.startswith(".") and e.name not in left_out]


def is_of_the_book(entry: os.DirEntry) -> bool:
    """Tell whether a folder is the library, or the solutions beside it, outside of a fork."""
    beside = os.path.join(os.path.dirname(entry.path), PACKAGE)
    return entry.name == PACKAGE or (entry.name == "solutions" and os.path.isdir(beside))


def problem_with(entry: os.DirEntry) -> str:
    """Say why a file cannot be a submission, or nothing."""
    if entry.is_symlink():
        return "a link, not a file"
    if not entry.is_file(follow_symlinks=False):
        return "neither a file nor a folder"
    if not entry.name.lower().endswith(NOTEBOOKS):
        return "not a notebook"
    return ""
