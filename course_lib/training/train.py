"""The training loop: collect, estimate advantages, update; the same for every algorithm."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm.auto import tqdm

from ..algorithms import algorithm_of, settings_from
from ..algorithms.agent import Agent, make_agent
from ..algorithms.settings import Settings
from ..experience.envs import BATCHED, make_envs
from ..experience.rollout import EnvironmentFailedError
from .checkpoint import has_checkpoint, load_checkpoint, save_checkpoint
from .run import Run, set_agent_state

#: Columns of `History.updates`, one row per update, and what they mean. Each algorithm reports
#: those that it has.
DIAGNOSTICS: dict[str, str] = {
    "step": "environment steps so far, over all copies",
    "seconds": "wall-clock seconds since training began",
    "mean_return": "mean return of the episodes that ended in this rollout (NaN if none did)",
    "policy_loss": "mean policy loss over the update's minibatches",
    "value_loss": "mean value loss over the update's minibatches",
    "grad_norm": "mean gradient norm before clipping",
    "kl": "exact mean KL(old || new) in nats, after the update",
    "approx_kl": "its k3 estimate from the sampled actions",
    "entropy": "mean entropy of the policy in nats, after the update",
    "clip_fraction": "share of samples whose ratio left the clip range",
    "effective_sample_size": "(sum r)^2 / sum r^2 as a share of the batch; 1 when all ratios agree",
    "epochs": "passes over the rollout",
    "accepted": "1 if the line search accepted a step, 0 if the policy stayed as it was",
    "step_fraction": "share of the full trust-region step that was taken",
    "expected_improvement": "of the surrogate, by the linear model, for the step tried last",
    "improvement": "of the surrogate, actually, for the step tried last",
    "cg_iterations": "iterations of conjugate gradients",
    "cg_residual": "their last residual as a share of the first",
    "beta": "KL coefficient of this update",
    "explained_variance": "of the value targets by the critic, before the update",
    "learning_rate": "Adam's step size in this update",
    "clipped_share": "share of the components of Box actions that were clipped to the bounds",
}


@dataclass
class History:
    """What a training run did, and the agent it ended with.

    Attributes
    ----------
    env_id : str
    settings : Settings
    seed : int
    agent : Agent
        The networks after the last update.
    updates : DataFrame
        One row per update, with the columns of `DIAGNOSTICS`.
    episodes : DataFrame
        One row per finished training episode: ``step`` (steps taken by the end of its rollout),
        ``return`` and ``length``.
    """

    env_id: str
    settings: Settings
    seed: int
    agent: Agent
    updates: pd.DataFrame
    episodes: pd.DataFrame


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
    env_id: str,
    settings: Settings,
    total_steps: int,
    seed: int = 0,
    progress: bool = True,
    callback: Callable[[int, Agent], Any] | None = None,
    *,
    checkpoint_dir: str | os.PathLike | None = None,
    checkpoint_every: int = 10,
    backend: str = "auto",
) -> History:
    """Train an agent from scratch.

    Parameters
    ----------
    env_id : str
        Gymnasium id of the environment.
    settings : Settings
        Settings of the algorithm; their type decides which algorithm runs.
    total_steps : int, at least 1
        Environment steps over all copies, rounded up to whole rollouts.
    seed : int
        Decides everything random. The same seed on the same machine repeats the run bit for bit.
    progress : bool
        Show a progress bar.
    callback : callable, optional
        Called as ``callback(step, agent)`` before the first and after every update, for instance
        to keep copies of the policy. What it does to random generators of its own is its affair.
        If it returns True itself, the run ends there.
    checkpoint_dir : path, optional
        Keep a checkpoint here, from which `resume` goes on as if nothing had happened.
    checkpoint_every : int, at least 1
        Updates between checkpoints; a run that reaches its end has one there too.
    backend : str
        See `experience.envs.make_envs`. EnvPool cannot be saved, so with a checkpoint_dir ``"auto"`` does
        without it.

    Returns
    -------
    History

    Raises
    ------
    ValueError
        If an argument is out of range, the settings belong to no known algorithm, checkpoint_dir
        holds a checkpoint already, or an environment returns arrays of the wrong shape.
    FloatingPointError
        If a reward, an observation or a loss is not finite; the message says at which step.
    EnvironmentFailedError
        If an environment raises an error of its own.
    """
    if total_steps < 1 or checkpoint_every < 1:
        raise ValueError(
            f"total_steps and checkpoint_every must be at least 1, not {total_steps} and "
            f"{checkpoint_every}"
        )
    algorithm_of(settings)
    if checkpoint_dir is not None:
        if has_checkpoint(checkpoint_dir):
            raise ValueError(
                f"{checkpoint_dir} holds the checkpoint of a run already: resume it, or choose "
                "another directory"
            )
        if backend == "auto":
            backend = "numpy" if env_id in BATCHED else "gymnasium"
    run = Run(env_id, settings, total_steps, seed, backend)
    if checkpoint_dir is not None and not hasattr(run.envs, "get_state"):
        run.envs.close()
        raise ValueError(f"the environments of backend {backend!r} cannot be saved to a checkpoint")
    try:
        if not (callback and callback(0, run.agent) is True):
            _advance_to_the_end(run, progress, callback, checkpoint_dir, checkpoint_every)
    finally:
        run.envs.close()
    return _history(run)


@one_thread()
def resume(
    checkpoint_dir: str | os.PathLike,
    progress: bool = True,
    callback: Callable[[int, Agent], Any] | None = None,
    *,
    checkpoint_every: int = 10,
) -> History:
    """Go on with an interrupted run; the result equals the uninterrupted one bit for bit.

    Parameters
    ----------
    checkpoint_dir : path
        Where `train` kept its checkpoint, and where this keeps its own.
    progress, callback, checkpoint_every
        See `train`. The callback is first called after the next update.

    Returns
    -------
    History
        Of the whole run. If it was finished already, nothing is done.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no checkpoint, or it is damaged.
    RuntimeError
        If an environment does not repeat its running episode.
    FloatingPointError, EnvironmentFailedError
        As in `train`.
    """
    run = Run.from_state(load_checkpoint(checkpoint_dir))
    try:
        _advance_to_the_end(run, progress, callback, checkpoint_dir, checkpoint_every)
    finally:
        run.envs.close()
    return _history(run)


def load_agent(checkpoint_dir: str | os.PathLike) -> Agent:
    """The agent of a checkpoint, for instance to evaluate it; errors as in `resume`."""
    tree = load_checkpoint(checkpoint_dir)
    head = tree["run"]
    settings = settings_from(head["algorithm"], head["settings"])
    with contextlib.closing(make_envs(head["env_id"], 1, backend=head["backend"])) as envs:
        spaces = envs.single_observation_space, envs.single_action_space
    agent = make_agent(*spaces, settings, seed=0)
    set_agent_state(agent, tree)
    return agent


def _advance_to_the_end(
    run: Run,
    progress: bool,
    callback: Callable[[int, Agent], Any] | None,
    checkpoint_dir: str | os.PathLike | None,
    checkpoint_every: int,
) -> None:
    # tqdm's notebook form does not look at its own environment variable.
    hidden = not progress or bool(os.environ.get("TQDM_DISABLE"))
    started = time.perf_counter() - run.seconds
    bar = tqdm(
        range(run.updates_done, run.n_updates),
        desc=f"{run.env_id} seed {run.seed}",
        initial=run.updates_done,
        total=run.n_updates,
        disable=hidden,
    )
    for i in bar:
        try:
            run.advance()
        except (FloatingPointError, EnvironmentFailedError, ValueError) as error:
            step = run.step + run.rollout_steps * (run.updates_done == i)
            kept = f" (the last checkpoint is in {checkpoint_dir})" if checkpoint_dir else ""
            raise type(error)(f"training stopped by step {step}: {error}{kept}") from error
        run.seconds = time.perf_counter() - started
        run.rows[-1]["seconds"] = run.seconds
        last = run.updates_done == run.n_updates
        if checkpoint_dir is not None and (last or run.updates_done % checkpoint_every == 0):
            save_checkpoint(checkpoint_dir, run.get_state(), run.step)
        bar.set_postfix_str(f"mean return {run.rows[-1]['mean_return']:.1f}", refresh=False)
        if callback and callback(run.step, run.agent) is True:
            break


def _history(run: Run) -> History:
    updates = pd.DataFrame(run.rows)
    episodes = np.concatenate([np.empty((0, 3)), *run.episodes])
    table = pd.DataFrame(episodes, columns=["step", "return", "length"])
    return History(
        run.env_id,
        run.settings,
        run.seed,
        run.agent,
        updates=updates.reindex(columns=[name for name in DIAGNOSTICS if name in updates]),
        episodes=table.astype({"step": np.int64, "length": np.int64}),
    )
