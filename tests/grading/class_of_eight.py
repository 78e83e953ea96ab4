"""A small class: one student for each way in which a submission can turn out."""

import json
import os
import subprocess
import sys
from pathlib import Path

from course_lib.grading import specs
from course_lib.grading.states import State, Verdict

ROOT = Path(__file__).resolve().parents[2]
EXERCISE = "02_advantage_estimation"
NAME = f"{EXERCISE}.ipynb"
TASKS = [spec.name for spec in specs.of_exercise(EXERCISE)]
CUT = " * (1.0 - ended[t])"
LAST_LINE = "return (x - x.mean()) / (x.std() + epsilon)"
VARIABLES = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "COLUMNS": "100"}


def notebook(*edits: tuple[str, str], folder: str = "solutions") -> str:
    """Return the solution's notebook with pieces of code replaced, each found exactly once."""
    document = json.loads((ROOT / folder / NAME).read_text(encoding="utf-8"))
    for old, new in edits:
        hits = 0
        for cell in document["cells"]:
            text = "".join(cell["source"])
            hits += text.count(old) * (cell["cell_type"] == "code")
            cell["source"] = text.replace(old, new) if cell["cell_type"] == "code" else text
        assert hits == 1, old
    return json.dumps(document)


def write(path: Path, text: str) -> Path:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def make_class(folder: Path) -> Path:
    """Write the submissions of eight students, in all the ways that they are handed in."""
    endless = (LAST_LINE, "while True: pass")
    write(folder / "ada" / NAME, notebook())
    write(folder / "bob" / "week 2" / NAME, notebook(folder="exercises"))
    write(folder / "Cyd Ó_41_assignsubmission_file_" / NAME, notebook((CUT, "")))
    write(
        folder / "dan" / "homework.ipynb", notebook(("gamma, gae_lambda):", "gamma, gae_lambda)"))
    )
    write(folder / "eve" / NAME, "<html>sign in</html>")
    write(folder / f"fay_LATE_7_8_{EXERCISE}-1.ipynb", notebook(endless))
    write(folder / f"gus_{EXERCISE} (1).ipynb", notebook((LAST_LINE, "globals(); " + LAST_LINE)))
    write(folder / "hal" / "notes.txt", "the dog ate it")
    return folder


def right(task: str) -> Verdict:
    """Return the verdict that a task is right."""
    return Verdict(task, State.RIGHT, "It agrees.")


class FakeJudges:
    """Stands in for `pool.judge_all`: answers at once, and remembers what it was asked."""

    def __init__(self, verdict=right):
        self.verdict, self.jobs, self.settings = verdict, [], None

    def __call__(self, jobs, settings, processes):
        self.settings = settings
        for job in jobs:
            self.jobs.append(Path(job[0]).name)
            exercise = job[1] or EXERCISE
            yield job, (exercise, [self.verdict(s.name) for s in specs.of_exercise(exercise)])


def start(folder, *options, temporary):
    """Start the command on a folder, with temporary files in a place of its own."""
    temporary.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-m", "course_lib.grading", str(folder), *options],
        cwd=temporary,
        env={**os.environ, **VARIABLES, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def survivors(place):
    """Return the processes that still have a folder's path in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and str(place).encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return [pid for pid in found if pid != os.getpid()]
