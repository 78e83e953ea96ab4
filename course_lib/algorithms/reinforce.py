"""REINFORCE: the policy gradient from sampled returns, with or without a baseline (chapter 1)."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..advantages import normalize
from ..checks import require_same_shape
from ..kinds import NotNegative, Share
from .agent import Agent, Batch, require_finite
from .settings import Settings
from .updates import gradient_step, policy_change, value_loss


@dataclass(frozen=True, repr=False)
class ReinforceSettings(Settings):
    """Settings of REINFORCE, beside those that all algorithms share.

    Attributes
    ----------
    gae_lambda : float
        1 by default: returns as they were sampled. Only where the rollout's end or a time limit
        cuts an episode does the critic stand in for the rest.
    baseline : bool
        Weigh log-probabilities by return minus value rather than by the return itself.
    normalize_advantages : bool
        Give the weights mean 0 and standard deviation 1. The mean is a baseline too, so this is
        off unless asked for.
    value_coef : float
        Weight of the value loss.
    """

    gae_lambda: Share = 1.0
    baseline: bool = True
    normalize_advantages: bool = False
    value_coef: NotNegative = 0.5


def policy_gradient_loss(log_probs: Tensor, weights: Tensor) -> Tensor:
    """Minus the mean of log pi(a|s) times Psi, whose gradient estimates minus that of J, Eq. (1.6).

    Three things stand between the two. The policy gradient sums over the steps of an episode, and
    the mean over B steps divides by the mean length of the episodes. For gamma < 1 it weighs step t
    by gamma^t, which is left out here. And Psi is unbiased only as far as rewards reach: where an
    episode is cut, the critic's value in it carries the critic's error.

    Parameters
    ----------
    log_probs : Tensor, shape (B,)
        Log-probabilities of the actions taken, with a gradient.
    weights : Tensor, shape (B,)
        Psi: returns, returns minus a baseline, or advantages. Constants, never differentiated.

    Returns
    -------
    Tensor, scalar
        Only its gradient means something; its value is not minus the return.

    Raises
    ------
    ValueError
        If the shapes differ: (B,) against (B, 1) would broadcast to (B, B).

    References
    ----------
    Williams (1992), doi:10.1007/BF00992696; Schulman et al. (2016), arXiv:1506.02438, Eq. (1).
    """
    require_same_shape(log_probs=log_probs, weights=weights)
    return -(log_probs * weights.detach()).mean()


def update(
    agent: Agent, batch: Batch, settings: ReinforceSettings, rng: np.random.Generator
) -> dict[str, float]:
    """One gradient step on the whole rollout; parameters as in `ppo.update`, ``rng`` is not used."""
    weights = batch.advantages if settings.baseline else batch.value_targets
    if settings.normalize_advantages:
        weights = torch.from_numpy(normalize(weights.numpy()))
    new = agent.policy(batch.observations)
    old = new.detach()
    policy_loss = policy_gradient_loss(new.log_prob(batch.actions), weights)
    critic_loss = value_loss(agent.value_network(batch.observations), batch.value_targets)
    require_finite(policy_loss=policy_loss, value_loss=critic_loss)
    loss = policy_loss + settings.value_coef * critic_loss
    grad_norm = gradient_step(agent, loss, settings.max_grad_norm)

    with torch.no_grad():
        changes = policy_change(old, agent.policy(batch.observations), batch.actions)
    return {
        "policy_loss": policy_loss.item(),
        "value_loss": critic_loss.item(),
        "grad_norm": grad_norm,
        **changes,
    }
