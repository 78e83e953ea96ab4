"""Grade a class: collect, judge what has changed, and put the verdicts in order."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from .. import specs
from ..spec import PUBLIC_SEED
from . import pool
from .judge_process import Settings, gave_up
from .ledger import LIBRARY, Ledger, judge_version, key_of
from .result import ClassResult, in_order
from .submissions import collect


def grade(
    folder: Path,
    *,
    exercises: Sequence[str] = (),
    seed: int = PUBLIC_SEED,
    jobs: int | None = None,
    seconds: float | None = None,
    ledger: Ledger | None = None,
    one_student: str = "",
    ignored: Sequence[Path] = (),
    progress: Callable[[int], object] | None = None,
    judge_all: Callable = pool.judge_all,
) -> ClassResult:
    """Grade a folder of submissions.

    Parameters
    ----------
    folder : Path
        The class: see `submissions.collect`.
    exercises : sequence of str
        Stems of the exercises to grade; all that were handed in by default.
    seed : int
        Draws the probes.
    jobs : int, optional
        Processes that judge; by default one per processor that this process may use.
    seconds : float, optional
        A shorter time limit for every function.
    ledger : Ledger, optional
        Verdicts of earlier runs.
    one_student : str
        Name of the only student, if the folder is not a class.
    ignored : sequence of Path
        Files that are not submissions.
    progress : callable, optional
        Called with the number of files before the first one, and then with 1 after each.
    judge_all : callable
        `pool.judge_all`.

    Raises
    ------
    OSError
        If the folder or the ledger cannot be used.
    RuntimeError
        If no judge process can be started.
    """
    known = tuple(dict.fromkeys(spec.exercise for spec in specs.TASKS))
    found = collect(folder, known, one_student, ignored)
    ledger = Ledger(None) if ledger is None else ledger
    wanted = [s for s in found.submissions if not exercises or s.exercise in ("", *exercises)]
    common = f"{judge_version()} {seed} {seconds}"
    keys = {s: key_of(s.path, s.exercise, common) or f"unread {s.name}" for s in wanted}
    answers = {key: ledger.get(key) for key in keys.values()}
    remembered = sum(answers[key] is not None for key in keys.values())
    # Files with the same contents are judged once.
    missing = {key: s for s, key in keys.items() if answers[key] is None}
    waiting = {(str(s.path), s.exercise): key for key, s in missing.items()}
    if progress:
        progress(len(waiting))
    with contextlib.ExitStack() as stack:
        scratch = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        hidden = hidden_folders(folder, Path(stack.enter_context(scratch)))
        settings = Settings(seed, known, seconds, hidden, scratch.name)
        finished = judge_all(list(waiting), settings, jobs or processors())
        for job, answer in stack.enter_context(contextlib.closing(finished)):
            key = waiting[job]
            if isinstance(answer, str):  # the judge gave up; the next run may try again
                answers[key] = job[1], gave_up(job[1], settings, answer)
            else:
                answers[key] = answer
                if not key.startswith("unread"):
                    ledger.add(key, *answer)
            if progress:
                progress(1)
    by_file = {submission: answers[key] for submission, key in keys.items()}
    counts = {"seed": seed, "judged": len(waiting), "remembered": remembered}
    return in_order(found, by_file, exercises, counts)


def hidden_folders(folder: Path, scratch: Path) -> tuple[str, ...]:
    """Return what no submission may look into: other submissions, and the solutions.

    A folder that holds the interpreter or the temporary files cannot be hidden.
    """
    folder = folder.resolve()
    needed = [Path(sys.prefix), Path(sys.base_prefix), LIBRARY, scratch.resolve()]
    submissions = [] if any(path.is_relative_to(folder) for path in needed) else [folder]
    return tuple(str(path) for path in [LIBRARY.parent / "solutions", *submissions])


def processors() -> int:
    """Return the number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
