"""What every algorithm works on: an agent, a batch of its experience, and shared settings."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from ..advantages import gae_scan
from ..checks import require_same_shape, require_samples, varies
from ..experience.normalization import ObservationNormalizer
from ..experience.rollout import Rollout
from ..policies import (
    Actor,
    CategoricalPolicy,
    GaussianPolicy,
    Policy,
    ValueNetwork,
    make_policy,
)
from ..spaces import require_supported, shape_of
from .adam import Adam
from .settings import Settings


@dataclass
class Agent:
    """A policy, its critic, the optimiser, and what else survives from update to update.

    Attributes
    ----------
    policy : Policy
    value_network : ValueNetwork
    optimizer : Adam
        Over both networks, or over the critic where the policy moves by another rule.
    normalizer : ObservationNormalizer or None
        What stands between the environment and both networks.
    state : dict of float
        What an algorithm remembers, such as PPO-penalty's beta.
    observation_space, action_space : Space or None
    settings : Settings or None
        What `make_agent` made it from; needed to save it.
    """

    policy: Policy
    value_network: ValueNetwork
    optimizer: Adam
    normalizer: ObservationNormalizer | None = None
    state: dict[str, float] = field(default_factory=dict)
    observation_space: gym.Space | None = None
    action_space: gym.Space | None = None
    settings: Settings | None = None

    def __post_init__(self) -> None:
        if self.normalizer is not None:  # so that the policy by itself is not used without it
            self.policy.normalizer = self.normalizer  # type: ignore[assignment]  # torch knows modules

    def parameters(self) -> Iterator[nn.Parameter]:
        """All parameters, the policy's first."""
        return itertools.chain(self.policy.parameters(), self.value_network.parameters())

    def sampler(self, rng: np.random.Generator) -> Actor:
        """Like the policy's, but for raw observations.

        Each call uses weights and statistics as they are by then; acting changes neither.
        """
        return self._for_raw_observations(self.policy.sampler(rng))

    def greedy(self) -> Actor:
        """Like the policy's, but for raw observations, as `sampler`."""
        return self._for_raw_observations(self.policy.greedy())

    def _for_raw_observations(self, act: Actor) -> Actor:
        normalizer = self.normalizer
        return act if normalizer is None else lambda observations: act(normalizer(observations))


def acting_parts(policy: Policy | Agent) -> tuple[Policy, ObservationNormalizer | None]:
    """A policy's network, and the normaliser that it was trained behind, frozen as it is now.

    Parameters
    ----------
    policy : Policy or Agent
        Agents know their normaliser, and so do their policies.
    """
    network = policy.policy if isinstance(policy, Agent) else policy
    normalizer = getattr(policy, "normalizer", None)
    return network, normalizer and normalizer.frozen()


def require_fitting(
    policy: Policy | Agent,
    observation_space: gym.Space,
    action_space: gym.Space,
    env_name: str,
) -> None:
    """Raise a ValueError if a policy was made for other observations or actions than these.

    Parameters
    ----------
    policy : Policy or Agent
    observation_space, action_space : gymnasium.Space
        Of a single environment.
    env_name : str
        For the message.
    """
    require_supported(observation_space, action_space)
    network = policy.policy if isinstance(policy, Agent) else policy
    if not isinstance(network, CategoricalPolicy | GaussianPolicy):
        return  # somebody's own policy has nothing to compare
    sees, acts = network.net.sizes[0], network.net.sizes[-1]
    (shows,) = shape_of(observation_space)
    if sees != shows:
        raise ValueError(
            f"this policy sees observations of {sees} numbers, and {env_name} shows {shows}: it was "
            "trained on another environment"
        )
    discrete = isinstance(network, CategoricalPolicy)
    own = f"{acts} discrete actions" if discrete else f"actions of {network.action_size} numbers"
    if isinstance(action_space, gym.spaces.Discrete):
        fits = discrete and acts == action_space.n
    else:
        fits = not discrete and network.action_size == shape_of(action_space)[0]
    if not fits:
        raise ValueError(
            f"this policy has {own}, and {env_name} takes {action_space}: it was trained on another "
            "environment"
        )


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
    network: dict[str, Any] = dict(
        hidden=settings.hidden, orthogonal=settings.orthogonal, activation=settings.activation
    )
    gaussian: dict[str, Any] = dict(
        initial_log_std=settings.initial_log_std, state_dependent_std=settings.state_dependent_std
    )
    if not isinstance(action_space, gym.spaces.Box):
        gaussian = {}
    policy = make_policy(observation_space, action_space, generator, **network, **gaussian)
    (observation_size,) = shape_of(observation_space)
    value_network = ValueNetwork(observation_size, generator, **network)
    parameters = [*policy.parameters(), *value_network.parameters()]
    if not settings.adam_for_policy:
        parameters = list(value_network.parameters())
    # epsilon as in the PPO paper's code.
    optimizer = Adam(parameters, lr=settings.learning_rate, eps=1e-5)
    normalizer = None
    if settings.normalize_observations or settings.observation_clip is not None:
        normalizer = ObservationNormalizer(
            observation_size, settings.normalize_observations, settings.observation_clip
        )
    return Agent(
        policy,
        value_network,
        optimizer,
        normalizer,
        observation_space=observation_space,
        action_space=action_space,
        settings=settings,
    )


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

    Raises
    ------
    ValueError
        If the tensors do not hold the same B samples, at least one.
    """

    observations: Tensor
    actions: Tensor
    advantages: Tensor
    value_targets: Tensor
    explained_variance: float

    def __post_init__(self) -> None:
        require_samples(
            self.observations,
            actions=self.actions,
            advantages=self.advantages,
            value_targets=self.value_targets,
        )

    @property
    def values(self) -> Tensor:
        """The critic's values before the update, shape (B,), up to rounding."""
        return self.value_targets - self.advantages


def make_batch(rollout: Rollout, value_network: ValueNetwork, settings: Settings) -> Batch:
    """Advantages and value targets of a rollout, by the critic as it is *before* the update.

    A critic fitted first would have seen the very returns it is meant to be compared with, and
    would push the advantages towards zero (chapter 2).

    Raises
    ------
    ValueError
        If the rollout holds no valid step.
    """
    if not rollout.valid.any():
        raise ValueError(
            f"the rollout is empty: all of its {rollout.valid.size} steps only reset environments; "
            "a longer horizon leaves room for decisions"
        )
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


def require_policy_samples(
    policy: Policy, observations: Tensor, actions: Tensor, advantages: Tensor
) -> None:
    """Raise a ValueError unless these are B finite samples that the policy can have produced."""
    width = policy.net.sizes[0]
    require_samples(observations, width, actions=actions, advantages=advantages)
    samples = dict(observations=observations, actions=actions, advantages=advantages)
    for name, x in samples.items():
        if not torch.isfinite(x).all():
            raise ValueError(f"{name} are not finite")


def require_finite(**quantities: Tensor | float) -> None:
    """Raise a FloatingPointError that names the first quantity holding NaN or infinity."""
    for name, x in quantities.items():
        if isinstance(x, Tensor):
            x = x.item() if x.ndim == 0 else x.detach().abs().max().item()
        if not math.isfinite(x):
            raise FloatingPointError(f"{name} is not finite")


def explained_variance(values: ArrayLike, targets: ArrayLike) -> float:
    """How much of the targets' variance the critic explains, Eq. (9.5).

    Parameters
    ----------
    values, targets : array_like, shape (B,)

    Returns
    -------
    float, at most 1
        NaN if the targets are all equal, up to the rounding of the larger of the two arrays.

    Raises
    ------
    ValueError
        If the shapes differ, or there is no sample.
    """
    values, targets = _floats(values), _floats(targets)
    require_same_shape(values=values, targets=targets)
    if values.size == 0:
        raise ValueError("explained_variance needs at least one sample, values are empty")
    if not varies(targets, size=np.abs(values).max()):
        return math.nan
    unexplained = np.var(targets - values, dtype=np.float64)
    return float(1.0 - unexplained / np.var(targets, dtype=np.float64))


def _floats(x: ArrayLike) -> NDArray:
    """An array of the floats that came; whole numbers as float64, lest differences wrap round."""
    x = np.asarray(x)
    return x if x.dtype.kind == "f" else x.astype(np.float64)
