"""Evaluation: the return of a policy over fresh episodes."""

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from ..algorithms.agent import Agent, acting_parts, require_fitting
from ..experience.envs import EnvLike, make_envs, name_of
from ..experience.rollout import Collector
from ..kinds import Count, Natural, checked
from ..policies import Policy

#: Evaluation's branch of the tree of seeds. Training spawns branches 0, 1, 2 ... of the same seed;
#: with a branch of its own, evaluation with training's seed still starts in states it has not seen.
SPAWN_KEY = 0xE7A1

#: Steps after which an episode is given up, unless the environment's own time limit is longer.
MAX_STEPS = 10_000

#: Steps that are taken before anybody looks who has finished: looking costs as much as a step.
CHUNK = 16


class UnfinishedEpisodesError(RuntimeError):
    """Some episodes of an evaluation did not end within its step limit.

    Attributes
    ----------
    returns : ndarray, shape (E,)
        The returns so far.
    finished : ndarray of bool, shape (E,)
        Whose episodes have ended; their returns are complete.
    """

    def __init__(self, message: str, returns: NDArray, finished: NDArray) -> None:
        super().__init__(message)
        self.returns, self.finished = returns, finished

    def __reduce__(self) -> tuple:
        # Exceptions are made again from their message alone, unless they say otherwise.
        return type(self), (self.args[0], self.returns, self.finished), self.__dict__


def evaluate(
    policy: Policy | Agent,
    env: EnvLike,
    episodes: int = 20,
    seed: int = 0,
    deterministic: bool = True,
    *,
    max_steps: int | None = None,
    env_kwargs: Mapping[str, Any] | None = None,
) -> NDArray:
    """Undiscounted returns of a policy over fresh episodes.

    Each episode has its own copy of the environment, and every copy counts once. Counting instead
    the first episodes to finish would favour short ones.

    Parameters
    ----------
    policy : Policy or Agent
        One that was trained behind a normaliser is evaluated behind it, with its statistics frozen:
        they are part of what it learned.
    env : str, EnvSpec or callable
        See `make_envs`.
    episodes : int, at least 1
        Number of episodes E.
    seed : int
        Decides initial states, and the actions if they are sampled. None of the episodes is one that
        `train` saw with the same seed.
    deterministic : bool
        Take the most probable (or mean) action, or sample as in training.
    max_steps : int, optional
        Longest episode that is waited for; by default 10,000 steps, or the environment's own time
        limit if that is longer.
    env_kwargs : mapping, optional
        See `make_envs`.

    Returns
    -------
    ndarray, shape (E,), float64

    Raises
    ------
    ValueError
        If an argument is out of range, or the policy was made for other observations or actions than
        this environment's.
    UnfinishedEpisodesError
        If an episode does not end within max_steps.
    """
    episodes = checked("episodes", episodes, Count)
    seed, max_steps = checked("seed", seed, Natural), checked("max_steps", max_steps, Count | None)
    deterministic = checked("deterministic", deterministic, bool)
    env_seed, acting = np.random.SeedSequence(seed, spawn_key=(SPAWN_KEY,)).spawn(2)
    network, normalizer = acting_parts(policy)
    act = network.greedy() if deterministic else network.sampler(np.random.default_rng(acting))
    envs = make_envs(env, episodes, env_kwargs=env_kwargs)
    try:
        name = name_of(env)
        require_fitting(policy, envs.single_observation_space, envs.single_action_space, name)
        collector = Collector(envs, int(env_seed.generate_state(1)[0]), normalizer)
        return first_returns(collector, act, max_steps or _patience(envs), name)
    finally:
        envs.close()


def first_returns(collector: Collector, act: Any, max_steps: int, name: str) -> NDArray:
    """The return of every copy's first episode."""
    returns = np.zeros(collector.envs.num_envs)
    running = np.ones(len(returns), dtype=bool)  # still in its first episode
    for taken in range(0, max_steps, CHUNK):
        rollout = collector.collect(act, min(CHUNK, max_steps - taken))
        # Ends come in the order of time, so that a copy's first one is the first in its column.
        for copy, episode_return in zip(
            np.nonzero(rollout.ended)[1], rollout.episode_returns, strict=True
        ):
            if running[copy]:
                returns[copy], running[copy] = episode_return, False
        if not running.any():
            return returns
    returns[running] = collector.running_returns[running]
    raise UnfinishedEpisodesError(
        f"{running.sum()} of {len(running)} episodes of {name} had not ended after {max_steps:,} steps: "
        "this policy may never end them. Give the environment a time limit "
        "(gymnasium.wrappers.TimeLimit, or max_episode_steps in env_kwargs), or evaluate with a "
        "larger max_steps",
        returns,
        ~running,
    )


def _patience(envs: gym.vector.VectorEnv) -> int:
    """`MAX_STEPS`, or the time limit of the environment itself if that is longer."""
    limits = [getattr(envs, "max_episode_steps", None)]
    for env in getattr(envs, "envs", ())[:1]:
        while isinstance(env, gym.Wrapper):
            limits.append(getattr(env, "_max_episode_steps", None))
            env = env.env
    return max(MAX_STEPS, *(limit for limit in limits if isinstance(limit, int)), 0)
