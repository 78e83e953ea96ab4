"""The natural policy gradient: a step in the metric of the KL, taken on trust (chapter 5)."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import torch
from torch.autograd import grad

from ..advantages import normalize
from ..conjugate_gradient import conjugate_gradient
from ..kinds import Count, NotNegative, Positive, Range
from ..natural import natural_step, undamped_curvature
from ..network_fisher import network_fisher_operator
from ..parameters import assign, flatten
from .agent import Agent, Batch, require_finite
from .reinforce import policy_gradient_loss
from .settings import Settings
from .updates import fit_critic, policy_change


@dataclass(frozen=True, repr=False)
class NPGSettings(Settings):
    """Settings of the natural gradient, beside those that all algorithms share.

    ``learning_rate`` is the critic's.

    Attributes
    ----------
    max_kl : float
        delta_KL: the quadratic model of the KL reaches this with every step. Nothing checks that
        the KL itself does.
    step_size : float or None
        Take this multiple of F^-1 g instead, and let the KL be what it will.
    damping, cg_iterations, cg_tolerance
        As in `trpo.TRPOSettings`.
    critic_epochs, minibatch_size : int
        Passes over each rollout that fit the critic, and samples per gradient step.
    normalize_advantages : bool
        Give the rollout's advantages mean 0 and standard deviation 1.
    """

    max_kl: Positive = 0.01
    step_size: Positive | None = None
    damping: NotNegative = 0.1
    cg_iterations: Count = 10
    cg_tolerance: Annotated[float, Range(0, 1, high_open=True)] = 1e-10
    critic_epochs: Count = 10
    minibatch_size: Count = 256
    normalize_advantages: bool = True

    adam_for_policy: ClassVar[bool] = False


def update(
    agent: Agent, batch: Batch, settings: NPGSettings, rng: np.random.Generator
) -> dict[str, float]:
    """Move the policy along F^-1 g, then fit the critic; parameters as in `ppo.update`.

    References
    ----------
    Kakade (2001), "A natural policy gradient".
    """
    advantages = batch.advantages
    if settings.normalize_advantages:
        advantages = torch.from_numpy(normalize(advantages.numpy()))
    parameters = list(agent.policy.parameters())
    new = agent.policy(batch.observations)
    old = new.detach()
    policy_loss = policy_gradient_loss(new.log_prob(batch.actions), advantages)
    require_finite(policy_loss=policy_loss)
    gradient = -flatten(grad(policy_loss, parameters))
    require_finite(policy_gradient=gradient)

    fisher = network_fisher_operator(agent.policy, batch.observations, settings.damping, old)
    solution = conjugate_gradient(fisher, gradient, settings.cg_iterations, settings.cg_tolerance)
    x = solution.x
    curvature = undamped_curvature(x, gradient - solution.residual, settings.damping)
    if settings.step_size is not None:
        step = settings.step_size * x
    elif curvature > 0:
        step = natural_step(x, curvature, settings.max_kl)
    else:  # no gradient: all advantages are zero
        step = torch.zeros_like(x)
    assign(parameters, flatten(parameters).detach() + step)

    with torch.no_grad():
        changes = policy_change(old, agent.policy(batch.observations), batch.actions)
    critic = fit_critic(agent, batch, settings, rng)
    return {
        "policy_loss": policy_loss.item(),
        **critic,
        **changes,
        "expected_improvement": (gradient @ step).item(),
        "cg_iterations": float(solution.iterations),
        "cg_residual": solution.relative_residual,
    }
