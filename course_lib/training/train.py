"""Training runs: a new one, or one that goes on."""

import contextlib
import math
import os
import warnings
from collections.abc import Iterator
from typing import Any

import torch

from ..algorithms import algorithm_of
from ..algorithms.settings import Settings
from ..experience.envs import BATCHED, EnvLike
from ..kinds import Count, Natural, checked
from .agents import agent_from, library_versions, load_agent
from .checkpoint import load_checkpoint
from .environment import describe
from .history import DIAGNOSTICS, History, episodes_table, updates_table
from .keeper import kept, require_tables, require_unused
from .loop import Callback, advance_to_the_end
from .run import Run, rows_and_episodes

__all__ = ["DIAGNOSTICS", "History", "load_agent", "load_history", "load_run", "resume", "train"]


class ResumeWarning(UserWarning):
    """A checkpoint will not, or may not, be resumed bit for bit."""


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute on one thread, and go back to what it was.

    Networks this small gain nothing from a second thread, and lose a lot where the cores are
    shared. Results also depend in the last digit on the number of threads; with one, they do not
    depend on the number of cores.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@one_thread()
def train(
    env: EnvLike,
    settings: Settings,
    total_steps: int,
    seed: int = 0,
    progress: bool = True,
    callback: Callback | None = None,
    *,
    env_kwargs: dict[str, Any] | None = None,
    checkpoint_dir: str | os.PathLike | None = None,
    checkpoint_every: int = 10,
    evaluate_every: int | None = None,
    evaluation_episodes: int = 10,
    backend: str = "auto",
) -> History:
    """Train an agent from scratch.

    Parameters
    ----------
    env : str, EnvSpec or callable
        Gymnasium id of the environment, its specification, or a function without arguments that
        makes it.
    settings : Settings
        Settings of the algorithm; their type decides which algorithm runs.
    total_steps : int, at least 1
        Environment steps over all copies, rounded up to whole rollouts.
    seed : int, not negative
        Decides everything random. The same seed on the same machine repeats the run bit for bit.
    progress : bool
        Show a progress bar.
    callback : callable, optional
        Called as ``callback(step, agent)`` before the first and after every update, for instance
        to keep copies of the policy. What it does to random generators of its own is its affair.
        If it returns anything true, the run ends there.
    env_kwargs : dict, optional
        Passed on to ``gymnasium.make``.
    checkpoint_dir : path, optional
        Keep the run here: a checkpoint, from which `resume` goes on as if nothing had happened, and
        the tables ``updates.csv`` and ``episodes.csv``. However the run ends, what it has reached
        by its last whole update is saved. Ctrl-C and SIGTERM wait for the end of the update.
    checkpoint_every : int, at least 1
        Updates between checkpoints.
    evaluate_every : int, optional
        Evaluate the greedy policy every so many updates, over fresh episodes from seeds of their
        own; the best agent so far is kept in the folder ``best`` of checkpoint_dir.
    evaluation_episodes : int, at least 1
    backend : str
        See `experience.envs.make_envs`. EnvPool cannot be saved, so with a checkpoint_dir ``"auto"``
        does without it.

    Returns
    -------
    History

    Raises
    ------
    ValueError
        If an argument is out of range or cannot be saved, the settings belong to no known
        algorithm, checkpoint_dir holds a run already, or an environment returns arrays of the wrong
        shape.
    FolderInUseError
        If another run is writing in checkpoint_dir.
    FloatingPointError
        If a reward, an observation or a loss is not finite; the message says at which step.
    EnvironmentFailedError
        If an environment raises an error of its own.

    Warns
    -----
    ResumeWarning
        If there is a checkpoint_dir, and the environment does not repeat its episodes.
    """
    total_steps = checked("total_steps", _whole(total_steps), Count)
    seed = checked("seed", seed, Natural)
    checkpoint_every = checked("checkpoint_every", checkpoint_every, Count)
    evaluate_every = checked("evaluate_every", evaluate_every, Count | None)
    evaluation_episodes = checked("evaluation_episodes", evaluation_episodes, Count)
    algorithm_of(settings)
    if checkpoint_dir is not None:
        require_unused(checkpoint_dir)
        describe(env, env_kwargs)
        if backend == "auto":
            batched = isinstance(env, str) and env in BATCHED and not env_kwargs
            backend = "numpy" if batched else "gymnasium"
    run = Run(env, settings, total_steps, seed, backend, env_kwargs)
    with contextlib.closing(run.envs):
        if checkpoint_dir is not None:
            if not hasattr(run.envs, "get_state"):
                raise ValueError(
                    f"the environments of backend {backend!r} cannot be saved to a checkpoint"
                )
            _rehearse(run)
        run.evaluate_every, run.evaluation_episodes = evaluate_every, evaluation_episodes
        with kept(checkpoint_dir, new=True) as keeper:
            keeper.run = run
            keeper.note()
            keeper.save()  # what cannot be saved is found now
            advance_to_the_end(run, keeper, progress, callback, checkpoint_every, at_the_start=True)
    return _history(run)


@one_thread()
def resume(
    checkpoint_dir: str | os.PathLike,
    progress: bool = True,
    callback: Callback | None = None,
    *,
    total_steps: int | None = None,
    fresh_episodes: bool = False,
    env: EnvLike | None = None,
    checkpoint_every: int = 10,
) -> History:
    """Go on with an interrupted run; the result equals the uninterrupted one bit for bit.

    Parameters
    ----------
    checkpoint_dir : path
        Where `train` kept the run, and where this keeps it.
    progress, callback, checkpoint_every
        See `train`. The callback is first called after the next update.
    total_steps : int, optional
        A new total, so that a finished run goes on. A learning rate that is annealed then falls to
        0 over the new total: not the same as a run that was started with it.
    fresh_episodes : bool
        Begin new episodes instead of replaying the running ones: **not bit-exact**, for
        environments that do not repeat themselves. `Run.restarts` in the checkpoint says where.
    env : str, EnvSpec or callable, optional
        The environment again, where `train` was given a function, which no checkpoint keeps.

    Returns
    -------
    History
        Of the whole run. If it was finished already, nothing is done.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no checkpoint, it is damaged, or an argument is out of range.
    ReplayError
        If an environment does not repeat its running episode, before a step is taken.
    FolderInUseError, FloatingPointError, EnvironmentFailedError
        As in `train`.
    """
    if total_steps is not None:
        total_steps = checked("total_steps", _whole(total_steps), Count)
    checkpoint_every = checked("checkpoint_every", checkpoint_every, Count)
    tree = _run_tree(checkpoint_dir)
    if total_steps is None and _updates_of(tree) <= tree["run"]["updates_done"]:
        require_tables(checkpoint_dir, tree)
        return history_from(tree)
    with kept(checkpoint_dir) as keeper:
        tree = _run_tree(checkpoint_dir)  # again: another run may have gone on meanwhile
        if (
            total_steps is not None
            and _updates_of(tree, total_steps) <= tree["run"]["updates_done"]
        ):
            taken = tree["run"]["updates_done"] * _rollout_steps(tree)
            raise ValueError(
                f"total_steps is {total_steps:,}, but the run has taken {taken:,} steps already: "
                "give the new total, not what is to be added"
            )
        _warn_of_other_versions(tree)
        run = Run.from_state(tree, env, total_steps, fresh_episodes)
        with contextlib.closing(run.envs):
            keeper.run = run
            keeper.note()
            advance_to_the_end(run, keeper, progress, callback, checkpoint_every)
    return _history(run)


def load_history(checkpoint_dir: str | os.PathLike) -> History:
    """What a run has done by its checkpoint, and its agent; errors as in `resume`.

    It may be running: nothing is locked, and no environment is made.
    """
    return history_from(_run_tree(checkpoint_dir))


def load_run(checkpoint_dir: str | os.PathLike) -> dict[str, Any]:
    """What a run's checkpoint says of it: its environment, steps, seed and so on."""
    return _run_tree(checkpoint_dir)["run"]


def is_finished(checkpoint_dir: str | os.PathLike) -> bool:
    """Whether a run has taken all of its steps."""
    tree = _run_tree(checkpoint_dir)
    return _updates_of(tree) <= tree["run"]["updates_done"]


def _rehearse(run: Run) -> None:
    """Try whether the environment repeats its episodes, and say so if it does not."""
    if not hasattr(run.envs, "rehearse"):
        return
    try:
        run.obstacle = run.envs.rehearse()
    except (Exception, SystemExit) as error:
        doubt = f"a rehearsal ended with {type(error).__name__}: {error}"
        words = "may not be resumed bit for bit"
    else:
        if run.obstacle is None:
            return
        doubt, words = run.obstacle, "cannot be resumed bit for bit, only with fresh_episodes=True"
    warnings.warn(f"{run.env_id} {words}: {doubt}", ResumeWarning, stacklevel=4)


def _warn_of_other_versions(tree: dict[str, Any]) -> None:
    now = library_versions()
    other = [f"{k} {v} (now {now[k]})" for k, v in tree["made_by"].items() if now[k] != v]
    if other:
        warnings.warn(
            f"the checkpoint was made with {', '.join(other)}: the run may go on differently",
            ResumeWarning,
            stacklevel=4,
        )


def _run_tree(directory: str | os.PathLike) -> dict[str, Any]:
    tree = load_checkpoint(directory)
    if "run" not in tree:
        raise ValueError(f"{directory} holds an agent, not a training run")
    return tree


def _rollout_steps(tree: dict[str, Any]) -> int:
    settings = tree["recipe"]["settings"]
    return settings["n_envs"] * settings["horizon"]


def _updates_of(tree: dict[str, Any], total_steps: int | None = None) -> int:
    total = tree["run"]["total_steps"] if total_steps is None else total_steps
    return math.ceil(total / _rollout_steps(tree))


def _whole(steps: Any) -> Any:
    """1e5 as the integer it is."""
    return int(steps) if isinstance(steps, float) and steps.is_integer() else steps


def history_from(tree: dict[str, Any]) -> History:
    """The history in a checkpoint's tree."""
    rows, episodes = rows_and_episodes(tree)
    agent, head = agent_from(tree), tree["run"]
    tables = updates_table(rows), episodes_table(episodes)
    assert agent.settings is not None  # as of every agent of a checkpoint
    return History(head["env_id"], agent.settings, head["seed"], agent, *tables)


def _history(run: Run) -> History:
    tables = updates_table(run.rows), episodes_table(run.episodes)
    return History(run.env_id, run.settings, run.seed, run.agent, *tables)
