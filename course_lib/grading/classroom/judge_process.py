"""The process that judges files for a class run, one after another.

It parses what students wrote, so it may be slow, run out of memory or crash over it. The process
that runs the class then starts another one.
"""

import contextlib
import dataclasses
import functools
import hashlib
import signal
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from .. import specs
from ..extraction import defines
from ..judge import judge_cells, judge_notebook
from ..notebook import CodeCell, UnreadableNotebookError, read_code_cells
from ..sandbox import folders
from ..sandbox.client import Sandbox, SandboxError
from ..spec import PUBLIC_SEED, Spec
from ..statements import bound_names
from ..states import State, Verdict

READY = "ready"


class Job(NamedTuple):
    """One file to judge.

    Parameters
    ----------
    path, exercise : str
        The file, and its exercise or an empty text.
    digest : str
        Of its contents when the run began; empty if they could not be read.
    contents : bytes or None
        The contents themselves, unless they are many.
    """

    path: str
    exercise: str
    digest: str = ""
    contents: bytes | None = None


WARM_UP = {"fragments": [[1, 1, "def f(): pass"]], "function": "f", "probes": [], "harness": None}
LIMITS = {"seconds": 60.0, "megabytes": 1024, "helpers": []}


@dataclass(frozen=True)
class Settings:
    """What all files of a run have in common.

    Parameters
    ----------
    seed : int
        Draws the probes.
    exercises : tuple of str
        Stems of the exercises that are graded.
    seconds : float, optional
        Limit of one function, if it is shorter than the task's own.
    hidden : tuple of str
        Folders that submissions must not look into: other submissions, and solutions.
    scratch : str
        Folder for temporary files.
    """

    seed: int = PUBLIC_SEED
    exercises: tuple[str, ...] = ()
    seconds: float | None = None
    hidden: tuple[str, ...] = ()
    scratch: str = ""

    def tasks(self, exercise: str) -> list[Spec]:
        """Return the tasks of an exercise, with this run's time limit."""
        return limited(exercise, float("inf") if self.seconds is None else self.seconds)


@functools.cache  # a task keeps its right answers for the files that follow
def limited(exercise: str, limit: float) -> list[Spec]:
    """Return the tasks of an exercise, none of which may take more seconds than the limit."""
    return [
        dataclasses.replace(spec, seconds=min(limit, spec.seconds))
        for spec in specs.of_exercise(exercise)
    ]


def serve(pipe, settings: Settings) -> None:
    """Judge the jobs that arrive, until None or the end of the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the class run's to handle
    tempfile.tempdir = settings.scratch or None
    with Sandbox(hidden=settings.hidden) as sandbox, contextlib.suppress(EOFError, OSError):
        with contextlib.suppress(SandboxError):  # every file will say so
            sandbox.run({**WARM_UP, **LIMITS})  # the first file need not wait for a worker
        pipe.send(READY)
        while (job := pipe.recv()) is not None:
            pipe.send(judge_job(job, settings, sandbox))


def judge_job(job: Job, settings: Settings, sandbox: Sandbox) -> tuple[str, list[Verdict]] | str:
    """Judge the very bytes that the job's digest was made of, from a copy of our own.

    Returns
    -------
    tuple or str
        As `judge_file`, or the reason why this run cannot judge the file: nothing to remember.
    """
    path = Path(job.path)
    try:
        with folders.empty_folder() as private:
            if job.digest:
                contents = path.read_bytes() if job.contents is None else job.contents
                if hashlib.sha256(contents).hexdigest() != job.digest:
                    return "it was changed while the class was judged; start again to judge it"
                path = Path(private, path.name)
                path.write_bytes(contents)
            return judge_file(str(path), job.exercise, settings, sandbox)
    except (SandboxError, OSError) as error:
        return str(error)[:300]


def judge_file(
    path: str, exercise: str, settings: Settings, sandbox: Sandbox
) -> tuple[str, list[Verdict]]:
    """Return the exercise that a file holds, and the verdicts on its tasks.

    Where the file is no exercise's, the exercise is empty and one verdict says why. Nothing that a
    file holds makes it raise; a machine on which the sandbox cannot work does.

    Parameters
    ----------
    path : str
        The file.
    exercise : str
        Its exercise; empty if the functions it defines are to tell.
    settings : Settings
        This run's.
    sandbox : Sandbox
        Where the code runs.
    """
    try:
        if exercise:
            tasks = settings.tasks(exercise)
            return exercise, judge_notebook(Path(path), tasks, sandbox, settings.seed)
        cells = read_code_cells(path)
        exercise = recognise(cells, settings.exercises)
        if not exercise:
            return "", [Verdict("", State.MISSING, "It defines no graded function.")]
        tasks = settings.tasks(exercise)
        return exercise, judge_cells(cells, tasks, sandbox, settings.seed)
    except UnreadableNotebookError as error:
        return "", [Verdict("", State.UNREADABLE, error.sentence())]
    except (SandboxError, OSError):
        raise
    except Exception as error:
        return exercise, gave_up(exercise, settings, f"{type(error).__name__}: {error}"[:200])


def recognise(cells: Sequence[CodeCell], exercises: Sequence[str]) -> str:
    """Return the exercise most of whose graded functions the cells define, or nothing."""
    bound = {name for cell in cells for node in cell.statements for name in bound_names(node)}
    broken = [cell.source for cell in cells if cell.error]
    counts = {
        exercise: sum(
            spec.name in bound or any(defines(source, spec.name) for source in broken)
            for spec in specs.of_exercise(exercise)
        )
        for exercise in exercises
    }
    best = max(counts, key=counts.__getitem__, default="")
    return best if counts.get(best) else ""


def gave_up(exercise: str, settings: Settings, reason: str) -> list[Verdict]:
    """Return the verdicts on a file that the judge itself could not deal with."""
    headline = f"The judge could not deal with this file ({reason}). A person should look at it."
    names = [task.name for task in settings.tasks(exercise)] or [""]
    return [Verdict(name, State.NEEDS_REVIEW, headline) for name in names]
