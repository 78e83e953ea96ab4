"""What is kept of a run, and when: its checkpoint, its tables, and the best agent so far."""

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..algorithms.agent import Agent
from ..files import write_atomically
from .agents import save_agent
from .checkpoint import (
    has_checkpoint,
    load_checkpoint,
    remove_orphans,
    save_checkpoint,
    step_of_checkpoint,
)
from .history import episodes_table, updates_table
from .lock import FolderLock, locked
from .run import Run, rows_and_episodes

#: The folder in a run's folder that holds the agent of its best evaluation.
BEST = "best"
#: Tables that grow long are written less often: at most this share of the time goes into them.
TABLES_SHARE = 0.02


class FolderUsedError(ValueError):
    """The folder for a new run holds another run."""


class Keeper:
    """Keeps a run in a folder, or does nothing where no folder is given; see `kept`."""

    def __init__(self, lock: FolderLock | None) -> None:
        self.lock = lock
        self.directory = None if lock is None else lock.directory
        self.run: Run | None = None
        self.noted: dict[str, Any] | None = None  # the run after its last whole update, in memory
        self.saved_updates = -1
        self.tables_due = 0.0

    def note(self) -> None:
        """Remember the run as it is now: a rollout that fails later cannot be saved half-way."""
        if self.lock is not None and self.run is not None:
            self.noted = self.run.snapshot()

    def save(self, tables: bool = False) -> None:
        """Save what was noted; ``tables`` also if they were written a moment ago."""
        if self.lock is None or self.run is None or self.noted is None:
            return
        updates = self.noted["updates_done"]
        if updates != self.saved_updates:
            self.lock.require_held()
            step = updates * self.run.rollout_steps
            save_checkpoint(self.lock.directory, self.run.get_state(self.noted), step)
            self.saved_updates = updates
            remove_orphans(self.lock.directory)
        started = time.perf_counter()
        if updates and (tables or started >= self.tables_due):
            write_tables(self.lock.directory, self.run.rows[:updates], self.run.episodes[:updates])
            ended = time.perf_counter()
            self.tables_due = ended + (ended - started) / TABLES_SHARE

    def save_what_can_be_saved(self) -> str:
        """On the way out of a run that stops early: save, and say what is there now."""
        if self.directory is None:
            return ""
        problem = ""
        try:
            self.save(tables=True)
        except Exception as error:
            problem = f"what came later could not be saved ({type(error).__name__}: {error}); "
        try:
            step = step_of_checkpoint(self.directory)
        except (OSError, ValueError) as error:
            return f"{problem}the checkpoint cannot be read: {error}"
        if step is None:
            return f"{problem}there is no checkpoint in {self.directory}"
        return f"{problem}the checkpoint in {self.directory} is of step {step:,}"

    def offer_best(self, agent: Agent, evaluation: float) -> None:
        """Keep an agent beside the last one if no other was evaluated higher."""
        if self.lock is None or self.run is None or not np.isfinite(evaluation):
            return
        place = self.lock.directory / BEST
        best = load_checkpoint(place)["notes"]["evaluation"] if has_checkpoint(place) else None
        if best is None or evaluation > best:
            self.lock.require_held()
            save_agent(agent, place, evaluation=evaluation, step=self.run.step)
            remove_orphans(place)


@contextlib.contextmanager
def kept(directory: str | os.PathLike | None, new: bool = False) -> Iterator[Keeper]:
    """A keeper that holds the folder's lock; its ``run`` is still to be set.

    Raises
    ------
    FolderInUseError
        If another run writes there.
    FolderUsedError
        If ``new``, and the folder holds another run already.
    """
    if directory is None:
        yield Keeper(None)
        return
    with locked(Path(directory)) as lock:
        if new:
            require_unused(directory)
        yield Keeper(lock)


def require_unused(directory: str | os.PathLike) -> None:
    """Raise a FolderUsedError if a folder holds a run already, or what is left of one."""
    if has_checkpoint(directory):
        raise FolderUsedError(
            f"{directory} holds the checkpoint of a run already: resume it, or choose another "
            "directory"
        )
    left = [n for n in ("updates.csv", "episodes.csv") if (Path(directory) / n).exists()]
    if left or has_checkpoint(Path(directory) / BEST):
        raise FolderUsedError(
            f"{directory} holds {' and '.join(left) or BEST} of another run, which would be lost: "
            "choose another directory"
        )


def write_tables(
    directory: Path, rows: Sequence[dict[str, float]], episodes: Sequence[np.ndarray]
) -> None:
    """Write ``updates.csv`` and ``episodes.csv``, each whole or not at all."""
    for name, table in (("updates", updates_table(rows)), ("episodes", episodes_table(episodes))):
        write_atomically(
            directory / f"{name}.csv", table.to_csv(index=False, lineterminator="\n").encode()
        )


def require_tables(directory: str | os.PathLike, tree: dict[str, Any]) -> None:
    """Write the tables of a checkpoint's tree if one of them is missing."""
    directory = Path(directory)
    if not all((directory / f"{name}.csv").is_file() for name in ("updates", "episodes")):
        with locked(directory):
            write_tables(directory, *rows_and_episodes(tree))
