"""A random walk on a short chain, where every value is known exactly (chapter 2)."""

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from .base import BatchedEnv, require_zeros_and_ones


class RandomWalk(BatchedEnv):
    """N copies of a walk on the sites 0 .. S-1; leaving the chain at either end terminates it.

    Action 0 steps left, action 1 right. An episode starts at a site drawn uniformly. The
    observation is a one-hot code of the site, so a linear critic is a table of values. A walker
    that has left the chain is seen at the site it left: like a fallen pole, the last thing seen
    looks much like what came before, and only the flag tells that it is over.

    Parameters
    ----------
    num_envs : int
        Number of copies N.
    sites : int, at least 2
        Length of the chain S.
    step_reward, exit_reward : float
        Reward of every step, and what leaving on the right adds to it.
    max_episode_steps : int
        Time limit in steps.

    Raises
    ------
    ValueError
        If the chain has fewer than two sites.
    """

    default_max_episode_steps = 10_000
    single_action_space = gym.spaces.Discrete(2)

    def __init__(
        self,
        num_envs: int = 1,
        sites: int = 9,
        step_reward: float = 0.0,
        exit_reward: float = 1.0,
        max_episode_steps: int | None = None,
    ) -> None:
        if sites < 2:
            raise ValueError(f"a chain needs at least 2 sites, not {sites}")
        self.sites = sites
        self.step_reward, self.exit_reward = step_reward, exit_reward
        self.single_observation_space = gym.spaces.Box(0.0, 1.0, (sites,), np.float32)
        super().__init__(num_envs, max_episode_steps)

    def initial_states(self, rng, n):
        """A uniformly drawn site for each of n walkers; shape (1, n)."""
        return rng.integers(self.sites, size=(1, n)).astype(np.float64)

    def dynamics(self, state, actions):
        """Move every walker by one site, after a check that every action is 0 or 1."""
        require_zeros_and_ones("the walk", actions)
        state = state + (2 * actions - 1)
        right, left = state[0] >= self.sites, state[0] < 0
        return state, self.step_reward + self.exit_reward * right, left | right

    def observe(self, state):
        """One-hot code of the site, (N, sites)."""
        nearest = np.clip(state[0], 0, self.sites - 1).astype(int)
        return np.eye(self.sites, dtype=np.float32)[nearest]

    def transitions(self) -> tuple[NDArray, NDArray]:
        """Exact model: P[s, a, s'] of staying on the chain (S, 2, S), rewards R[s, a] (S, 2)."""
        left, right = np.eye(self.sites, k=-1), np.eye(self.sites, k=1)
        rewards = np.full((self.sites, 2), self.step_reward)
        rewards[-1, 1] += self.exit_reward
        return np.stack([left, right], axis=1), rewards

    def exact_values(self, gamma: float) -> tuple[NDArray, NDArray]:
        """V (S,) and A (S, 2) of the policy that steps left or right with probability 1/2.

        V solves the linear system ``V = R + gamma P V`` with P and R averaged over the actions.
        """
        transitions, rewards = self.transitions()
        mean_transitions, mean_rewards = transitions.mean(1), rewards.mean(1)
        values = np.linalg.solve(np.eye(self.sites) - gamma * mean_transitions, mean_rewards)
        return values, rewards + gamma * transitions @ values - values[:, None]
