"""Grade notebooks with pytest: one test per graded function, and a closing table.

``exercises/conftest.py`` imports the hooks below; elsewhere the option
``-p course_lib.grading.pytest_plugin`` loads them. Tasks that are not attempted are skipped, so a
fresh checkout is not red. A copy of an exercise, named as Jupyter, Colab or a browser names copies,
is graded like the exercise itself, under its own name.
"""

import re
from pathlib import Path

import pytest

from . import specs
from .classroom.names import printable
from .judge import judge_function
from .notebook import UnreadableNotebookError, read_code_cells
from .report import closing_table
from .sandbox.client import Sandbox, SandboxError
from .spec import Spec
from .states import State, Verdict

SANDBOX = pytest.StashKey[Sandbox]()
STRANGERS = pytest.StashKey[list[str]]()
PROPERTIES = ("notebook", "task", "state", "mistakes")
COPY = re.compile(r"(?:Copy[ _]of[ _])*(?P<stem>.*?)(?:-Copy\d+|[ _]?\(\d+\))*")


class GradedWrongError(Exception):
    """A verdict that makes its test fail."""

    def __init__(self, verdict: Verdict):
        super().__init__(verdict.headline)
        self.verdict = verdict


class ExerciseNotebook(pytest.File):
    """A notebook with graded functions."""

    def collect(self):
        """Yield one test per task; a file that cannot be read still yields all of them."""
        self.problem, self.cells, self.known = "", [], {}
        try:
            self.cells = read_code_cells(self.path)
        except UnreadableNotebookError as error:
            self.problem = error.sentence()
        for spec in tasks_in(self.path):
            yield GradedFunction.from_parent(self, name=spec.name, spec=spec)


class GradedFunction(pytest.Item):
    """The test of one graded function."""

    parent: ExerciseNotebook

    def __init__(self, *, spec, **rest):
        super().__init__(**rest)
        self.spec = spec

    def runtest(self):
        """Judge the function; raise unless it is right, skip if it is not attempted."""
        verdict = self.judge()
        self.user_properties += [
            ("notebook", printable(self.path.stem)),
            ("task", self.spec.name),
            ("state", verdict.state.value),
        ]
        if verdict.mistakes:
            self.user_properties.append(("mistakes", ", ".join(verdict.mistakes)))
        if verdict.state is State.NOT_ATTEMPTED:
            pytest.skip("not attempted")
        if verdict.state is not State.RIGHT:
            raise GradedWrongError(verdict)

    def judge(self) -> Verdict:
        """Return the verdict, from the sandbox that the session shares."""
        if self.parent.problem:
            return Verdict(self.spec.name, State.UNREADABLE, self.parent.problem)
        stash = self.session.config.stash
        if SANDBOX not in stash:
            answers = Path(self.path).resolve().parent.parent / "solutions"
            stash[SANDBOX] = Sandbox(hidden=(answers,))
            self.session.config.add_cleanup(stash[SANDBOX].close)
        cells, known = self.parent.cells, self.parent.known
        return judge_function(cells, self.spec, stash[SANDBOX], known=known)

    def repr_failure(self, excinfo, style=None):
        """Show the verdict instead of a traceback through the judge."""
        if isinstance(excinfo.value, GradedWrongError):
            return excinfo.value.verdict.as_text()
        if isinstance(excinfo.value, SandboxError):
            return f"The judge cannot work: {excinfo.value}."
        return super().repr_failure(excinfo)

    def reportinfo(self):
        """Name the test by its task."""
        return self.path, None, self.name


def tasks_in(path: Path) -> list[Spec]:
    """Return the tasks of the exercise that a notebook's name stands for, copies included."""
    name = COPY.fullmatch(path.stem)  # none where it has a line feed in it
    return specs.of_exercise(name["stem"]) if name else []


def pytest_collect_file(file_path, parent):
    """Collect notebooks that hold graded tasks, and remember the names of the others."""
    suffix = file_path.suffix.lower()
    if suffix == ".py" and not tasks_in(file_path):
        return None  # conftest.py and the like
    if suffix not in (".ipynb", ".py"):
        return None
    if tasks_in(file_path):
        return ExerciseNotebook.from_parent(parent, path=file_path)
    parent.config.stash.setdefault(STRANGERS, []).append(printable(file_path.name))
    return None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Let a skip point at its notebook, not at the judge."""
    report = yield
    if isinstance(item, GradedFunction) and report.skipped:
        report.longrepr = (str(item.path), 1, "not attempted")
    return report


def pytest_terminal_summary(terminalreporter, config):
    """Print per notebook what is right, wrong and open, and which notebooks were not graded."""
    rows = []
    for reports in terminalreporter.stats.values():
        for report in reports:
            properties = dict(getattr(report, "user_properties", ()))
            if getattr(report, "when", "") == "call" and "task" in properties:
                rows.append((properties["notebook"], properties["task"], properties["state"]))
    strangers = sorted(set(config.stash.get(STRANGERS, [])))
    if rows or strangers:
        terminalreporter.section("exercises")
    if rows:
        terminalreporter.write_line(closing_table(rows))
    if SANDBOX in config.stash:
        fence = config.stash[SANDBOX].held.words()
        terminalreporter.write_line(f"Fence round the submissions: {fence}.")
    known = ", ".join(dict.fromkeys(f"{spec.exercise}.ipynb" for spec in specs.TASKS))
    for name in strangers:
        terminalreporter.write_line(
            f"{name} is not the name of an exercise, so it was not graded. Exercises are: {known}."
        )
