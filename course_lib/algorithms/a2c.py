"""Advantage actor-critic: one gradient step per rollout, with estimated advantages (chapter 1)."""

from dataclasses import dataclass

import numpy as np
import torch

from ..advantages import normalize
from ..kinds import NotNegative
from .agent import Agent, Batch, require_finite
from .reinforce import policy_gradient_loss
from .settings import Settings
from .updates import gradient_step, policy_change, value_loss


@dataclass(frozen=True, repr=False)
class A2CSettings(Settings):
    """Settings of A2C, beside those that all algorithms share.

    A rollout is used once, so short rollouts (a small ``horizon``) are what makes it learn.

    Attributes
    ----------
    entropy_coef, value_coef : float
        Weights of the entropy bonus and of the value loss.
    normalize_advantages : bool
        Give the rollout's advantages mean 0 and standard deviation 1.
    """

    entropy_coef: float = 0.0
    value_coef: NotNegative = 0.5
    normalize_advantages: bool = True


def update(
    agent: Agent, batch: Batch, settings: A2CSettings, rng: np.random.Generator
) -> dict[str, float]:
    """One gradient step on the whole rollout; parameters as in `ppo.update`, ``rng`` is not used.

    References
    ----------
    Mnih et al. (2016), arXiv:1602.01783, without the asynchrony and with GAE.
    """
    advantages = batch.advantages
    if settings.normalize_advantages:
        advantages = torch.from_numpy(normalize(advantages.numpy()))
    new = agent.policy(batch.observations)
    old = new.detach()
    policy_loss = policy_gradient_loss(new.log_prob(batch.actions), advantages)
    critic_loss = value_loss(agent.value_network(batch.observations), batch.value_targets)
    entropy = new.entropy().mean()
    require_finite(policy_loss=policy_loss, value_loss=critic_loss)
    loss = policy_loss + settings.value_coef * critic_loss - settings.entropy_coef * entropy
    grad_norm = gradient_step(agent, loss, settings.max_grad_norm)

    with torch.no_grad():
        changes = policy_change(old, agent.policy(batch.observations), batch.actions)
    return {
        "policy_loss": policy_loss.item(),
        "value_loss": critic_loss.item(),
        "grad_norm": grad_norm,
        **changes,
    }
