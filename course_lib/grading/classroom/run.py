"""Grade a class: collect, judge what has changed, and put the verdicts in order."""

import contextlib
import dataclasses
import os
import sys
import tempfile
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

from .. import specs
from ..sandbox.fence import kernel
from ..spec import PUBLIC_SEED
from ..states import Verdict
from . import pool
from .judge_process import Job, Settings, gave_up
from .ledger import LIBRARY, Ledger, digest_of, judge_version, key_of, secret_file
from .result import ClassResult, in_order
from .submissions import Submission, collect

KEPT_BYTES = 100_000_000  # of files that are kept in memory until they are judged


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
    # Read once, before the first submission runs: what is hashed here is what will be judged.
    keys: dict[Submission, str] = {}
    waiting: dict[Job, str] = {}
    answers: dict[str, tuple[str, list[Verdict]]] = {}
    seen: set[str] = set()
    room = KEPT_BYTES
    for s in wanted:
        digest, contents = digest_of(s.path, keep=room)
        key = keys[s] = key_of(digest, s.path.suffix, s.exercise, common) or f"unread {s.name}"
        if key in seen:  # files with the same contents are judged once
            continue
        seen.add(key)
        if (earlier := ledger.get(key)) is not None:
            answers[key] = earlier
            continue
        waiting[Job(str(s.path), s.exercise, digest, contents)] = key
        room -= len(contents or b"")
    remembered = sum(key in answers for key in keys.values())
    if progress:
        progress(len(waiting))
    kept = [] if ledger.path is None else [ledger.path, secret_file(ledger.path)]
    settings = Settings(seed, known, seconds, tuple(str(path.resolve()) for path in kept))
    finished = judge_somewhere(list(waiting), settings, folder, jobs or processors(), judge_all)
    with contextlib.closing(finished):
        for job, answer in finished:
            key = waiting[job]
            if isinstance(answer, str):  # the judge gave up; the next run may try again
                answers[key] = job.exercise, gave_up(job.exercise, settings, answer)
            else:
                answers[key] = answer
                if not key.startswith("unread"):
                    ledger.add(key, *answer)
            if progress:
                progress(1)
    by_file = {submission: answers[key] for submission, key in keys.items()}
    counts: dict[str, Any] = {"seed": seed, "judged": len(waiting), "remembered": remembered}
    counts["fence"] = kernel().words()
    return in_order(found, by_file, exercises, counts)


def judge_somewhere(
    jobs: list[Job], settings: Settings, folder: Path, processes: int, judge_all: Callable
) -> Generator[tuple[Job, tuple | str], None, None]:
    """Yield what `judge_all` yields, with a folder for its work; without room, that for reason."""
    with contextlib.ExitStack() as stack:
        try:
            place = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
            scratch = stack.enter_context(place)
        except OSError as error:
            yield from ((job, error.strerror or type(error).__name__) for job in jobs)
            return
        hidden = (*hidden_folders(folder, Path(scratch)), *settings.hidden)
        settings = dataclasses.replace(settings, hidden=hidden, scratch=scratch)
        finished = judge_all(jobs, settings, processes)
        yield from stack.enter_context(contextlib.closing(finished))


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
