"""One evaluation for all sides: the same episodes, whoever trained."""

from collections.abc import Callable

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

import course_lib.experience.envs  # noqa: F401 (registers swing-up)

SEEDS = tuple(range(10_000, 10_020))


def mean_return(act: Callable[[NDArray], NDArray], env_id: str) -> float:
    """Return the mean undiscounted return of 20 episodes that start from `SEEDS`.

    Parameters
    ----------
    act : callable
        From observations, shape (E, O), to actions, shape (E, ...), deterministically.
    env_id : str
        Gymnasium id; no render mode is set.
    """
    envs = [gym.make(env_id) for _ in SEEDS]
    observations = np.stack([env.reset(seed=s)[0] for env, s in zip(envs, SEEDS, strict=True)])
    returns, running = np.zeros(len(envs)), list(range(len(envs)))
    while running:
        actions = act(observations[running])
        going_on = []
        for i, action in zip(running, actions, strict=True):
            observations[i], reward, terminated, truncated, _ = envs[i].step(action)
            returns[i] += reward
            if not (terminated or truncated):
                going_on.append(i)
        running = going_on
    for env in envs:
        env.close()
    return float(returns.mean())
