"""What every algorithm works on: an agent, a batch of its experience, and shared settings."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn

from .advantages import gae_scan
from .policies import Policy, ValueNetwork, make_policy
from .rollout import Rollout


@dataclass(frozen=True)
class Settings:
    """Settings that all algorithms share.

    Attributes
    ----------
    n_envs, horizon : int
        Environments N and steps T of one rollout.
    gamma, gae_lambda : float in [0, 1]
        Discount factor, and the weight of longer looks ahead (chapter 2).
    hidden : tuple of int
        Widths of the hidden layers, of the policy and of the critic.
    learning_rate : float
        Adam's step size.
    anneal_learning_rate : bool
        Let the step size fall linearly to 0 over the whole run.
    """

    n_envs: int = 8
    horizon: int = 256
    gamma: float = 0.99
    gae_lambda: float = 0.95
    hidden: tuple[int, ...] = (64, 64)
    learning_rate: float = 3e-4
    anneal_learning_rate: bool = True

    def __post_init__(self) -> None:
        self.require_positive("n_envs", "horizon", "learning_rate")
        for name in ("gamma", "gae_lambda"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} must lie in [0, 1], not {getattr(self, name)!r}")

    def require_positive(self, *names: str) -> None:
        """Raise a ValueError that names the first of these settings that is not positive."""
        for name in names:
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)!r}")


@dataclass
class Agent:
    """A policy, its critic, and the optimiser that changes both."""

    policy: Policy
    value_network: ValueNetwork
    optimizer: torch.optim.Optimizer

    def parameters(self) -> Iterator[nn.Parameter]:
        """All parameters, the policy's first."""
        return itertools.chain(self.policy.parameters(), self.value_network.parameters())


def make_agent(
    observation_space: gym.Space, action_space: gym.Space, settings: Settings, seed: int
) -> Agent:
    """Networks for an environment's spaces, initialised from a seed, with Adam.

    Raises
    ------
    ValueError
        If the spaces are not supported; see `make_policy`.
    """
    generator = torch.Generator().manual_seed(seed)
    policy = make_policy(observation_space, action_space, generator, hidden=settings.hidden)
    value_network = ValueNetwork(observation_space.shape[0], generator, settings.hidden)
    parameters = [*policy.parameters(), *value_network.parameters()]
    # epsilon as in the PPO paper's code; fused: one call updates all tensors.
    optimizer = torch.optim.Adam(parameters, lr=settings.learning_rate, eps=1e-5, fused=True)
    return Agent(policy, value_network, optimizer)


@dataclass(frozen=True)
class Batch:
    """The B valid steps of a rollout as flat tensors, ready for an update.

    Attributes
    ----------
    observations : Tensor, shape (B, O)
    actions : Tensor, shape (B,) int64 or (B, d)
    advantages, value_targets : Tensor, shape (B,)
        GAE before any normalisation, and the lambda-returns, advantage plus value.
    explained_variance : float
        1 - Var(targets - values) / Var(targets): 1 for a perfect critic, 0 for a constant one,
        NaN where the targets do not vary.
    """

    observations: Tensor
    actions: Tensor
    advantages: Tensor
    value_targets: Tensor
    explained_variance: float


def make_batch(rollout: Rollout, value_network: ValueNetwork, settings: Settings) -> Batch:
    """Advantages and value targets of a rollout, by the critic as it is *before* the update.

    A critic fitted first would have seen the very returns it is meant to be compared with, and
    would push the advantages towards zero (chapter 2).
    """
    values, next_values = rollout.values(value_network)
    advantages = gae_scan(
        rollout.rewards,
        values,
        next_values,
        rollout.terminated,
        rollout.truncated,
        settings.gamma,
        settings.gae_lambda,
    )
    targets = advantages + values
    valid = rollout.valid
    return Batch(
        observations=torch.from_numpy(rollout.observations[valid]),
        actions=torch.from_numpy(rollout.actions[valid]),
        advantages=torch.from_numpy(advantages[valid]),
        value_targets=torch.from_numpy(targets[valid]),
        explained_variance=explained_variance(values[valid], targets[valid]),
    )


def require_finite(**tensors: Tensor) -> None:
    """Raise a FloatingPointError that names the first tensor holding NaN or infinity."""
    for name, x in tensors.items():
        if not torch.isfinite(x).all():
            raise FloatingPointError(f"{name} is not finite")


def explained_variance(values: np.ndarray, targets: np.ndarray) -> float:
    """How much of the targets' variance the critic explains, Eq. (9.2).

    Parameters
    ----------
    values, targets : ndarray, shape (B,)

    Returns
    -------
    float, at most 1
        NaN if the targets are all equal.
    """
    variance = np.var(targets)
    return float(1.0 - np.var(targets - values) / variance) if variance > 0 else float("nan")
