"""Proximal policy optimisation with an adaptive KL penalty (chapter 10)."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..advantages import normalize
from ..distributions import Distribution
from ..kinds import Count, NotNegative, Positive
from ..surrogate import kl_divergence, surrogate
from .agent import Agent, Batch, require_finite
from .settings import Settings
from .updates import gradient_step, policy_change, value_loss


@dataclass(frozen=True, repr=False)
class PPOPenaltySettings(Settings):
    """Settings of PPO-penalty, beside those that all algorithms share.

    Attributes
    ----------
    epochs, minibatch_size : int
        Passes over each rollout, and samples per gradient step.
    target_kl : float
        The mean KL(old || new), in nats, that beta steers every update towards.
    initial_beta : float
        beta before the first update; the agent carries it from then on.
    entropy_coef, value_coef : float
        Weights of the entropy bonus and of the value loss.
    normalize_advantages : bool
        Give the rollout's advantages mean 0 and standard deviation 1.
    """

    epochs: Count = 10
    minibatch_size: Count = 64
    target_kl: Positive = 0.01
    initial_beta: Positive = 1.0
    entropy_coef: float = 0.0
    value_coef: NotNegative = 0.5
    normalize_advantages: bool = True


def ppo_penalty_loss(
    old: Distribution, new: Distribution, actions: Tensor, advantages: Tensor, beta: float
) -> Tensor:
    """Minus the surrogate, plus beta times the mean KL, Eq. (10.2).

    Parameters
    ----------
    old, new : Distribution
        Of the same B states; ``old`` detached.
    actions : Tensor, shape (B,) or (B, d)
    advantages : Tensor, shape (B,)
    beta : float, positive

    Returns
    -------
    Tensor, scalar

    Raises
    ------
    ValueError
        If shapes do not fit, or beta is not positive.

    References
    ----------
    Schulman et al. (2017), arXiv:1707.06347, Eq. (8).
    """
    if not beta > 0:
        raise ValueError(f"beta must be positive, not {beta!r}")
    gain = surrogate(new.log_prob(actions), old.log_prob(actions), advantages)
    return beta * kl_divergence(old, new) - gain


def adapt_beta(beta: float, kl: float, target_kl: float) -> float:
    """Double beta if the KL exceeded 1.5 targets, halve it if below target / 1.5, Eq. (10.3).

    Parameters
    ----------
    beta : float, positive
    kl : float, at least 0
        What the update moved, in nats; 0 halves beta and infinity doubles it.
    target_kl : float, positive

    Returns
    -------
    float, positive
        Kept within [1e-6, 1e6], so that a long run of updates in one direction can be undone.

    Raises
    ------
    ValueError
        If beta or target_kl is not positive, or kl is NaN.

    References
    ----------
    Schulman et al. (2017), arXiv:1707.06347, section 4.
    """
    if not (beta > 0 and target_kl > 0) or kl != kl:
        raise ValueError(
            f"needed: beta > 0, target_kl > 0 and a KL that is a number; given: {beta!r}, "
            f"{target_kl!r}, {kl!r}"
        )
    if kl > 1.5 * target_kl:
        beta *= 2.0
    elif kl < target_kl / 1.5:
        beta /= 2.0
    return min(max(beta, 1e-6), 1e6)


def update(
    agent: Agent, batch: Batch, settings: PPOPenaltySettings, rng: np.random.Generator
) -> dict[str, float]:
    """Epochs of minibatch steps on the penalised loss, then beta; parameters as in `ppo.update`."""
    beta = agent.state.setdefault("beta", settings.initial_beta)
    with torch.no_grad():
        old = agent.policy(batch.observations)
    advantages, old_values = batch.advantages, batch.values
    if settings.normalize_advantages:
        advantages = torch.from_numpy(normalize(advantages.numpy()))

    losses = []
    for _ in range(settings.epochs):
        permutation = torch.from_numpy(rng.permutation(len(advantages)))
        for index in permutation.split(settings.minibatch_size):
            observations = batch.observations[index]
            new = agent.policy(observations)
            policy_loss = ppo_penalty_loss(
                old[index], new, batch.actions[index], advantages[index], beta
            )
            critic_loss = value_loss(
                agent.value_network(observations),
                batch.value_targets[index],
                old_values[index],
                settings.value_clip_range,
            )
            entropy = new.entropy().mean()
            require_finite(policy_loss=policy_loss, value_loss=critic_loss)
            loss = policy_loss + settings.value_coef * critic_loss - settings.entropy_coef * entropy
            grad_norm = gradient_step(agent, loss, settings.max_grad_norm)
            losses.append((policy_loss.item(), critic_loss.item(), grad_norm))

    with torch.no_grad():
        changes = policy_change(old, agent.policy(batch.observations), batch.actions)
    agent.state["beta"] = adapt_beta(beta, changes["kl"], settings.target_kl)
    mean_policy_loss, mean_value_loss, mean_grad_norm = np.mean(losses, axis=0).tolist()
    return {
        "policy_loss": mean_policy_loss,
        "value_loss": mean_value_loss,
        "grad_norm": mean_grad_norm,
        **changes,
        "beta": beta,
    }
