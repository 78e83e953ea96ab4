"""Several judge processes at work on a list of files.

Each file has a time limit, and a process that misses it, or dies, is replaced: one file costs at
most its own verdict.
"""

import multiprocessing
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import wait
from typing import Any

from . import judge_process
from .judge_process import READY, Job, Settings

START_SECONDS = 300.0  # importing torch on a slow, cold disk
PATIENCE_SECONDS = 180.0  # beyond the limits of a file's functions: reading it, slow imports
GRACE_SECONDS = 6.0  # for the sandbox, beyond the limit of one function


class Judge:
    """A judge process and what it is doing."""

    def __init__(self, settings: Settings, target: Callable):
        context = multiprocessing.get_context(
            "spawn"
        )  # this process has threads, and may have torch
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=target, args=(other, settings), daemon=True)
        self.process.start()
        other.close()
        self.ready = False
        self.job: Job | None = None
        self.deadline = time.monotonic() + START_SECONDS

    def give(self, job: Job, seconds: float) -> None:
        """Send a file to judge."""
        self.job, self.deadline = job, time.monotonic() + seconds
        self.pipe.send(job)

    def receive(self):
        """Return what the process sent, None if it has died."""
        try:
            return self.pipe.recv()
        except (EOFError, OSError):
            return None

    def end(self, patience: float = 0.0) -> None:
        """End the process, and with it its sandbox."""
        if patience:
            try:
                self.pipe.send(None)
            except OSError:
                patience = 0.0
        self.pipe.close()
        self.process.join(patience)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.process.close()


def judge_all(
    jobs: Sequence[Job],
    settings: Settings,
    processes: int,
    patience: float = PATIENCE_SECONDS,
    target: Callable = judge_process.serve,
) -> Iterator[tuple[Job, tuple | str]]:
    """Yield every job with its exercise and verdicts, as they are finished.

    Parameters
    ----------
    jobs : sequence of Job
        The files.
    settings : Settings
        This run's.
    processes : int
        How many judge at a time.
    patience : float
        Seconds for reading one file, beyond the time limits of its functions.
    target : callable
        What a judge process runs.

    Yields
    ------
    job, answer
        The answer is a text, the reason, where the judge had to give up.

    Raises
    ------
    RuntimeError
        If a judge process cannot be started.
    """
    waiting = deque(jobs)
    judges: list[Judge] = []
    try:
        while waiting or any(judge.job for judge in judges):
            busy = sum(judge.job is not None for judge in judges)
            while len(judges) < min(processes, busy + len(waiting)):
                judges.append(Judge(settings, target))
            for judge in judges:
                if judge.ready and judge.job is None and waiting:
                    job = waiting.popleft()
                    judge.give(job, patience + time_limit(job, settings))
            # With an idle judge left over, only those that have something to say are heard.
            heard: dict[Any, Judge] = {j.pipe: j for j in judges if j.job or not j.ready}
            nearest = min(judge.deadline for judge in heard.values())
            for pipe in wait(list(heard), max(0.0, nearest - time.monotonic())):
                yield from take(heard[pipe], judges)
            now = time.monotonic()
            for judge in [j for j in judges if (j.job or not j.ready) and now > j.deadline]:
                yield from give_up(judge, judges, "reading it took too long")
    finally:
        for judge in judges:
            judge.end(patience=5.0 if judge.ready and judge.job is None else 0.0)


def take(judge: Judge, judges: list[Judge]) -> Iterator[tuple[Job, tuple | str]]:
    """Receive what a judge has to say."""
    answer = judge.receive()
    if answer is None:
        yield from give_up(judge, judges, "reading it crashed Python")
    elif answer == READY:
        judge.ready = True
    else:
        job, judge.job = judge.job, None
        assert job is not None  # a judge answers what it was given
        yield job, answer


def give_up(judge: Judge, judges: list[Judge], reason: str) -> Iterator[tuple[Job, str]]:
    """End a judge; its file is answered with the reason."""
    judges.remove(judge)
    judge.end()
    if judge.job is None:
        raise RuntimeError("a judge process did not start; does `pytest exercises/` work?")
    yield judge.job, reason


def time_limit(job: Job, settings: Settings) -> float:
    """Return the seconds that the functions of a file may take together."""
    names = [job.exercise] if job.exercise else settings.exercises
    sums = [sum(task.seconds + GRACE_SECONDS for task in settings.tasks(name)) for name in names]
    return max(sums, default=0.0)
