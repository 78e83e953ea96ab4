"""The training loop: collect, estimate advantages, update; the same for every algorithm."""

import contextlib
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm.auto import tqdm

from . import ppo
from .agent import Agent, Settings, make_agent, make_batch
from .envs import make_envs
from .rollout import Collector

#: The update function of each algorithm, by the type of its settings.
UPDATES: dict[type[Settings], Callable[..., dict[str, float]]] = {ppo.PPOSettings: ppo.update}

#: Columns of `History.updates`, one row per update, and what they mean.
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
    "explained_variance": "of the value targets by the critic, before the update",
    "learning_rate": "Adam's step size in this update",
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

    Returns
    -------
    History

    Raises
    ------
    ValueError
        If total_steps is not positive or the settings belong to no known algorithm.
    FloatingPointError
        If a reward, an observation or a loss is not finite; the message says at which step.
    """
    if total_steps < 1:
        raise ValueError(f"total_steps must be at least 1, not {total_steps}")
    if type(settings) not in UPDATES:
        known = ", ".join(kind.__name__ for kind in UPDATES)
        raise ValueError(f"settings must be one of {known}, not {type(settings).__name__}")
    update = UPDATES[type(settings)]

    env_seed, network_seed, acting, shuffling = np.random.SeedSequence(seed).spawn(4)
    envs = make_envs(env_id, settings.n_envs)
    agent = make_agent(
        envs.single_observation_space,
        envs.single_action_space,
        settings,
        seed=int(network_seed.generate_state(1)[0]),
    )
    collector = Collector(envs, seed=int(env_seed.generate_state(1)[0]))
    acting_rng, shuffling_rng = np.random.default_rng(acting), np.random.default_rng(shuffling)

    rollout_steps = settings.n_envs * settings.horizon
    n_updates = math.ceil(total_steps / rollout_steps)
    rows, episodes = [], []
    started = time.perf_counter()
    if callback:
        callback(0, agent)
    try:
        # tqdm's notebook form does not look at its own environment variable.
        hidden = not progress or bool(os.environ.get("TQDM_DISABLE"))
        bar = tqdm(range(n_updates), desc=f"{env_id} seed {seed}", disable=hidden)
        for i in bar:
            step = (i + 1) * rollout_steps
            learning_rate = settings.learning_rate
            if settings.anneal_learning_rate:
                learning_rate *= 1.0 - i / n_updates
            for group in agent.optimizer.param_groups:
                group["lr"] = learning_rate
            try:
                rollout = collector.collect(agent.policy.sampler(acting_rng), settings.horizon)
                batch = make_batch(rollout, agent.value_network, settings)
                diagnostics = update(agent, batch, settings, shuffling_rng)
            except FloatingPointError as error:
                raise FloatingPointError(f"training stopped by step {step}: {error}") from error
            returns = rollout.episode_returns
            episodes.append(
                pd.DataFrame({"step": step, "return": returns, "length": rollout.episode_lengths})
            )
            rows.append(
                {
                    "step": step,
                    "seconds": time.perf_counter() - started,
                    "mean_return": returns.mean() if len(returns) else math.nan,
                    **diagnostics,
                    "explained_variance": batch.explained_variance,
                    "learning_rate": learning_rate,
                }
            )
            bar.set_postfix_str(f"mean return {rows[-1]['mean_return']:.1f}", refresh=False)
            if callback:
                callback(step, agent)
    finally:
        envs.close()
    return History(
        env_id,
        settings,
        seed,
        agent,
        updates=pd.DataFrame(rows, columns=list(DIAGNOSTICS)),
        episodes=pd.concat(episodes, ignore_index=True),
    )
