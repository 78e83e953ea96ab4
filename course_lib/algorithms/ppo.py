"""Proximal policy optimisation with the clipped objective (chapters 10 and 11)."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..advantages import normalize
from ..checks import require_same_shape
from ..kinds import Count, NotNegative, Positive
from ..surrogate import importance_ratio, kl_divergence
from .agent import Agent, Batch, require_finite
from .settings import Settings
from .updates import gradient_step, policy_change, value_loss


@dataclass(frozen=True, repr=False)
class PPOSettings(Settings):
    """Settings of PPO-clip, beside those that all algorithms share.

    Attributes
    ----------
    epochs : int
        Passes over each rollout.
    minibatch_size : int
        Samples per gradient step. Large minibatches cost far less time per sample on a CPU.
    clip_range : float
        epsilon: outside [1 - epsilon, 1 + epsilon] the ratio earns nothing more.
    entropy_coef, value_coef : float
        Weights of the entropy bonus (below 0: a price on noise) and of the value loss.
    max_kl : float or None
        Stop the epochs once the exact mean KL(old || new) over the rollout exceeds this; tested
        after every epoch. None never stops.
    normalize_advantages : bool
        Give the rollout's advantages mean 0 and standard deviation 1.
    """

    epochs: Count = 10
    minibatch_size: Count = 64
    clip_range: Positive = 0.2
    entropy_coef: float = 0.0
    value_coef: NotNegative = 0.5
    max_kl: Positive | None = None
    normalize_advantages: bool = True


def ppo_clip_loss(
    log_probs: Tensor, old_log_probs: Tensor, advantages: Tensor, clip_range: float
) -> Tensor:
    """The clipped surrogate with its sign turned, so that a descent step improves it, Eq. (10.4).

    Parameters
    ----------
    log_probs, old_log_probs : Tensor, shape (B,)
        Log-probabilities of the actions taken, under the new and the old policy.
    advantages : Tensor, shape (B,)
        Advantage estimates for the same steps.
    clip_range : float, positive
        epsilon.

    Returns
    -------
    Tensor, scalar
        Minus the mean of ``min(r A, clip(r, 1 - epsilon, 1 + epsilon) A)``.

    Raises
    ------
    ValueError
        If shapes differ or clip_range is not positive.

    References
    ----------
    Schulman et al. (2017), arXiv:1707.06347, Eq. (7).
    """
    low, high = _log_limits(clip_range)
    require_same_shape(log_probs=log_probs, old_log_probs=old_log_probs, advantages=advantages)
    log_ratio = log_probs - old_log_probs
    # The minimum is min(r, 1 + epsilon) A where A >= 0, and max(r, 1 - epsilon) A where A < 0. In
    # logs, because the gradient behind a clipped ratio that overflows would be 0 times infinity.
    at_most, at_least = log_ratio.clamp(max=high), log_ratio.clamp(min=low)
    ratio = torch.where(advantages >= 0, at_most, at_least).exp()
    return -(ratio * advantages).mean()


def _log_limits(clip_range: float) -> tuple[float, float]:
    """log(1 - epsilon), which is -inf for epsilon of 1 and more, and log(1 + epsilon)."""
    if not clip_range > 0:
        raise ValueError(f"clip_range must be positive, not {clip_range!r}")
    return (math.log1p(-clip_range) if clip_range < 1 else -math.inf), math.log1p(clip_range)


def update(
    agent: Agent, batch: Batch, settings: PPOSettings, rng: np.random.Generator
) -> dict[str, float]:
    """Improve policy and critic on one rollout: epochs of minibatch steps on the clipped loss.

    Parameters
    ----------
    agent : Agent
        Networks and optimiser, changed in place.
    batch : Batch
        The rollout's B samples with their advantages and value targets.
    settings : PPOSettings
    rng : numpy.random.Generator
        Shuffles the minibatches.

    Returns
    -------
    dict of float
        Diagnostics of the whole update; see `training.train.DIAGNOSTICS`.
    """
    with torch.no_grad():
        old = agent.policy(batch.observations)
        old_log_probs = old.log_prob(batch.actions)
    advantages, old_values = batch.advantages, batch.values
    if settings.normalize_advantages:
        advantages = torch.from_numpy(normalize(advantages.numpy()))

    losses = []  # one row per gradient step
    for epoch in range(1, settings.epochs + 1):
        permutation = torch.from_numpy(rng.permutation(len(advantages)))
        for index in permutation.split(settings.minibatch_size):
            observations = batch.observations[index]
            new = agent.policy(observations)
            policy_loss = ppo_clip_loss(
                new.log_prob(batch.actions[index]),
                old_log_probs[index],
                advantages[index],
                settings.clip_range,
            )
            critic_loss = value_loss(
                agent.value_network(observations),
                batch.value_targets[index],
                old_values[index],
                settings.value_clip_range,
            )
            require_finite(policy_loss=policy_loss, value_loss=critic_loss)
            loss = policy_loss + settings.value_coef * critic_loss
            if settings.entropy_coef != 0:
                loss = loss - settings.entropy_coef * new.entropy().mean()
            grad_norm = gradient_step(agent, loss, settings.max_grad_norm)
            losses.append((policy_loss.item(), critic_loss.item(), grad_norm))

        if settings.max_kl is None and epoch < settings.epochs:
            continue  # nobody asks how far the policy is
        with torch.no_grad():
            new = agent.policy(batch.observations)
        if settings.max_kl is not None and kl_divergence(old, new).item() > settings.max_kl:
            break

    ratio = importance_ratio(new.log_prob(batch.actions), old_log_probs)
    mean_policy_loss, mean_value_loss, mean_grad_norm = np.mean(losses, axis=0).tolist()
    return policy_change(old, new, batch.actions) | {
        "policy_loss": mean_policy_loss,
        "value_loss": mean_value_loss,
        "grad_norm": mean_grad_norm,
        "clip_fraction": ((ratio - 1.0).abs() > settings.clip_range).float().mean().item(),
        "epochs": float(epoch),
    }
