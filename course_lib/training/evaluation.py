"""Evaluation: the return of a policy over fresh episodes."""

import numpy as np
from numpy.typing import NDArray

from ..algorithms.agent import Agent
from ..experience.envs import make_envs
from ..experience.rollout import Collector
from ..policies import Policy


def evaluate(
    policy: Policy | Agent,
    env_id: str,
    episodes: int = 20,
    seed: int = 0,
    deterministic: bool = True,
    env_kwargs: dict | None = None,
) -> NDArray:
    """Undiscounted returns of a policy over fresh episodes.

    Each episode has its own copy of the environment, and every copy counts once. Counting instead
    the first episodes to finish would favour short ones.

    Parameters
    ----------
    policy : Policy or Agent
        Give the agent if it normalises observations: its statistics are part of what it learned.
    env_id : str
    episodes : int, at least 1
        Number of episodes E.
    seed : int
        Decides initial states, and the actions if they are sampled.
    deterministic : bool
        Take the most probable (or mean) action, or sample as in training.

    Returns
    -------
    ndarray, shape (E,)

    Raises
    ------
    ValueError
        If episodes is not positive.
    """
    if episodes < 1:
        raise ValueError(f"episodes must be at least 1, not {episodes}")
    env_seed, acting = np.random.SeedSequence(seed).spawn(2)
    envs = make_envs(env_id, episodes, env_kwargs=env_kwargs)
    act = policy.greedy() if deterministic else policy.sampler(np.random.default_rng(acting))
    collector = Collector(envs, seed=int(env_seed.generate_state(1)[0]))
    returns = np.zeros(episodes)
    running = np.ones(episodes, dtype=bool)  # still in its first episode
    try:
        while running.any():
            step = collector.collect(act, 1)
            returns += step.rewards[0] * running
            running &= ~step.ended[0]
    finally:
        envs.close()
    return returns
