"""Experience: T steps of N environments, collected with the policy's actions only.

A rollout stores no values and no log-probabilities. They follow from it in one batched pass, which
is much cheaper than a small pass at every step.
"""

from dataclasses import dataclass

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from .policies import Actor, ValueNetwork


@dataclass(frozen=True)
class Rollout:
    """T steps of N environments. K of the steps ended an episode.

    Attributes
    ----------
    observations : ndarray, shape (T, N, O), float32
        What the policy saw before each step.
    actions : ndarray, shape (T, N) int64 or (T, N, d) float32
        What the policy drew; not clipped to the action space.
    rewards : ndarray, shape (T, N), float32
    terminated, truncated : ndarray of bool, shape (T, N)
        Whether the step ended the episode for good, or cut it from outside.
    valid : ndarray of bool, shape (T, N)
        False for a step that only reset the environment (``NEXT_STEP`` autoreset). Such a step
        carries no decision of the policy and belongs in no batch.
    last_observations : ndarray, shape (N, O), float32
        What each environment shows after the last step.
    final_observations : ndarray, shape (K, O), float32
        The states reached by the K ended steps, in the order of ``np.nonzero(ended)``: these, not
        the next episode's first observations, are what a cut step bootstraps from.
    episode_returns, episode_lengths : ndarray, shape (E,)
        Undiscounted reward sum and number of steps of the E episodes that ended in this rollout.
    """

    observations: NDArray
    actions: NDArray
    rewards: NDArray
    terminated: NDArray
    truncated: NDArray
    valid: NDArray
    last_observations: NDArray
    final_observations: NDArray
    episode_returns: NDArray
    episode_lengths: NDArray

    @property
    def ended(self) -> NDArray:
        """Whether the step was its episode's last, shape (T, N)."""
        return self.terminated | self.truncated

    def values(self, value_network: ValueNetwork) -> tuple[NDArray, NDArray]:
        """V of the states left and of the states reached by every step, in one batched pass.

        Returns
        -------
        values, next_values : ndarray, shape (T, N), float32
            ``next_values`` holds V of the state actually reached, also where an episode ended.
        """
        T, N, O = self.observations.shape
        states = np.concatenate(
            [self.observations.reshape(T * N, O), self.last_observations, self.final_observations]
        )
        with torch.no_grad():
            v = value_network(torch.from_numpy(states)).numpy()
        values, last, final = np.split(v, [T * N, T * N + N])
        values = values.reshape(T, N)
        next_values = np.concatenate([values[1:], last[None]])
        next_values[self.ended] = final
        return values, next_values


class Collector:
    """Steps N environments with a policy and remembers where each of them stands.

    Parameters
    ----------
    envs : gymnasium.vector.VectorEnv
        Any vector environment with ``SAME_STEP`` or ``NEXT_STEP`` autoreset and flat observations.
    seed : int, optional
        Seed of the environments' first reset.

    Raises
    ------
    ValueError
        If the environment's autoreset is disabled or unknown.
    """

    def __init__(self, envs: gym.vector.VectorEnv, seed: int | None = None) -> None:
        self.mode = envs.metadata.get("autoreset_mode")
        if self.mode not in (AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP):
            raise ValueError(f"autoreset must be SAME_STEP or NEXT_STEP, not {self.mode}")
        self.envs = envs
        observations, _ = envs.reset(seed=seed)
        self.observations = np.array(observations, dtype=np.float32)
        self.resetting = np.zeros(envs.num_envs, dtype=bool)  # the next step only resets these
        self.running_returns = np.zeros(envs.num_envs)
        self.running_lengths = np.zeros(envs.num_envs, dtype=np.int64)

    def collect(self, act: Actor, steps: int) -> Rollout:
        """Take the given number of steps in every environment.

        Parameters
        ----------
        act : callable
            Maps observations (N, O) to actions (N,) or (N, d); see `CategoricalPolicy.sampler`.
        steps : int, at least 1
            Number of steps T.

        Raises
        ------
        ValueError
            If steps is not positive.
        FloatingPointError
            If an environment returns a reward or observation that is not finite.
        """
        if steps < 1:
            raise ValueError(f"a rollout needs at least one step, not {steps}")
        N, space = self.envs.num_envs, self.envs.single_action_space
        box = isinstance(space, gym.spaces.Box)
        observations = np.empty((steps, *self.observations.shape), dtype=np.float32)
        actions = np.empty((steps, N, *space.shape), dtype=np.float32 if box else np.int64)
        rewards = np.empty((steps, N), dtype=np.float32)
        terminated, truncated, valid = np.empty((3, steps, N), dtype=bool)
        final_observations, episode_returns, episode_lengths = [], [], []

        for t in range(steps):
            observations[t] = self.observations
            actions[t] = act(self.observations)
            sent = np.clip(actions[t], space.low, space.high) if box else actions[t]
            reached, rewards[t], terminated[t], truncated[t], infos = self.envs.step(sent)
            valid[t] = ~self.resetting
            self.running_returns += rewards[t]
            self.running_lengths += valid[t]
            ended = terminated[t] | truncated[t]
            if ended.any():
                final_observations.append(self._final_observations(reached, infos, ended))
                episode_returns.append(self.running_returns[ended])
                episode_lengths.append(self.running_lengths[ended])
                self.running_returns[ended] = 0.0
                self.running_lengths[ended] = 0
            if self.mode is AutoresetMode.NEXT_STEP:
                self.resetting = ended
            self.observations = np.array(reached, dtype=np.float32)

        empty = np.empty((0, *self.observations.shape[1:]), dtype=np.float32)
        rollout = Rollout(
            observations=observations,
            actions=actions,
            rewards=rewards,
            terminated=terminated,
            truncated=truncated,
            valid=valid,
            last_observations=self.observations.copy(),
            final_observations=np.concatenate([empty, *final_observations]),
            episode_returns=np.concatenate([np.empty(0), *episode_returns]),
            episode_lengths=np.concatenate([np.empty(0, dtype=np.int64), *episode_lengths]),
        )
        for name in ("rewards", "observations", "last_observations", "final_observations"):
            if not np.isfinite(getattr(rollout, name)).all():
                raise FloatingPointError(f"the environment returned {name} that are not finite")
        return rollout

    def _final_observations(self, reached: NDArray, infos: dict, ended: NDArray) -> NDArray:
        if self.mode is AutoresetMode.NEXT_STEP:
            return np.asarray(reached[ended], dtype=np.float32)
        return np.stack(list(infos["final_obs"][ended])).astype(np.float32)
