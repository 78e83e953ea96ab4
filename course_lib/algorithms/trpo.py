"""Trust region policy optimisation, single path (chapters 8 and 9)."""

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.autograd import grad

from ..advantages import normalize
from ..conjugate_gradient import ConjugateGradientResult, conjugate_gradient
from ..kinds import Count, NotNegative, Positive, Range
from ..line_search import LineSearchResult, backtracking_line_search
from ..natural import natural_step, undamped_curvature
from ..network_fisher import network_fisher_operator
from ..parameters import flatten
from ..policies import Policy
from ..surrogate import kl_divergence, surrogate
from .agent import Agent, Batch, require_finite, require_policy_samples
from .settings import Settings
from .updates import fit_critic, policy_change


@dataclass(frozen=True, repr=False)
class TRPOSettings(Settings):
    """Settings of TRPO, beside those that all algorithms share.

    ``learning_rate``, ``max_grad_norm`` and their like are the critic's: the policy moves by the
    trust region alone.

    Attributes
    ----------
    max_kl : float
        delta_KL: bound on the exact mean KL(old || new) over the rollout, in nats.
    anneal_max_kl : bool
        Let the bound fall linearly to 0 over the whole run (no paper's; `results/trpo-radius` has runs).
    damping : float
        Added to the Fisher matrix's diagonal for the solver.
    cg_iterations, cg_tolerance
        Most conjugate-gradient iterations, and the relative residual that ends them early.
    backtrack_factor, backtrack_steps, accept_ratio
        The line search's kappa, its most trials, and the share of the expected improvement that it
        asks for.
    critic_epochs, minibatch_size : int
        Passes over each rollout that fit the critic, and samples per gradient step.
    normalize_advantages : bool
        Give the rollout's advantages mean 0 and standard deviation 1.
    """

    max_kl: Positive = 0.01
    anneal_max_kl: bool = False
    damping: NotNegative = 0.1
    cg_iterations: Count = 10
    cg_tolerance: Annotated[float, Range(0, 1, high_open=True)] = 1e-10
    backtrack_factor: Annotated[float, Range(0, 1, low_open=True, high_open=True)] = 0.8
    backtrack_steps: Count = 10
    accept_ratio: Annotated[float, Range(0, 1, high_open=True)] = 0.1
    critic_epochs: Count = 10
    minibatch_size: Count = 256
    normalize_advantages: bool = True

    adam_for_policy: ClassVar[bool] = False

    def at(self, remaining: float) -> "TRPOSettings":
        """These settings when a share ``remaining`` of the run, in (0, 1], is still to come."""
        settings = super().at(remaining)
        return replace(settings, max_kl=self.max_kl * remaining) if self.anneal_max_kl else settings


@dataclass(frozen=True)
class PolicyStep:
    """One TRPO step of a policy, with everything chapter 8 looks at.

    Attributes
    ----------
    gradient : Tensor, shape (P,)
        g, the surrogate's gradient at the old parameters.
    solution : ConjugateGradientResult
        Of (F + damping I) x = g.
    curvature : float
        x^T F x of the solution, undamped; 0 if g is zero.
    full_step : Tensor, shape (P,)
        x scaled to the trust region's radius in the quadratic model; zeros if g is zero.
    search : LineSearchResult
        What the line search made of it: accepted or not and why, actual improvement, KL.
    """

    gradient: Tensor
    solution: ConjugateGradientResult
    curvature: float
    full_step: Tensor
    search: LineSearchResult


def trpo_policy_step(
    policy: Policy,
    observations: Tensor,
    actions: Tensor,
    advantages: Tensor,
    *,
    max_kl: float = 0.01,
    damping: float = 0.1,
    cg_iterations: int = 10,
    cg_tolerance: float = 1e-10,
    backtrack_factor: float = 0.8,
    backtrack_steps: int = 10,
    accept_ratio: float = 0.1,
) -> PolicyStep:
    """Maximise the surrogate within a KL ball: gradient, conjugate gradients, scale, line search.

    Parameters
    ----------
    policy : CategoricalPolicy or GaussianPolicy
        The old policy, moved in place to the new one, or left as it was bit for bit.
    observations : Tensor, shape (B, O)
    actions : Tensor, shape (B,) int64 or (B, d)
        Drawn from the old policy in these states.
    advantages : Tensor, shape (B,)
        Multiplying them by a positive constant does not change the step; adding one does, as a rule.
    max_kl : float, positive
        delta_KL: bound on the mean KL(old || new) over the batch, in nats.
    damping : float, at least 0
        Added to F's diagonal for the solver. It shortens no step: the length is set by F alone.
    cg_iterations, cg_tolerance
        See `conjugate_gradient`.
    backtrack_factor, backtrack_steps, accept_ratio
        See `backtracking_line_search`.

    Returns
    -------
    PolicyStep

    Raises
    ------
    ValueError
        If shapes do not fit, a setting is out of range, or a sample, a gradient or a product is not
        finite.

    References
    ----------
    Schulman et al. (2015), arXiv:1502.05477, section 6 and appendix C.
    """
    require_policy_samples(policy, observations, actions, advantages)
    parameters = list(policy.parameters())
    new = policy(observations)  # still equal to the old policy, but with a gradient
    old = new.detach()
    objective = surrogate(new.log_prob(actions), old.log_prob(actions), advantages)
    gradient = flatten(grad(objective, parameters))

    fisher = network_fisher_operator(policy, observations, damping, old)
    solution = conjugate_gradient(fisher, gradient, cg_iterations, cg_tolerance)
    x = solution.x
    # The residual gives (F + damping I) x without another product.
    curvature = undamped_curvature(x, gradient - solution.residual, damping)
    # Without a gradient (all advantages zero) there is nowhere to go; the line search says so.
    full_step = natural_step(x, curvature, max_kl) if curvature > 0 else torch.zeros_like(x)

    # In float64, or a small step's improvement and KL would be rounding. The old policy's ratios
    # are 1, so its surrogate is the mean advantage.
    exact_old, before = old.double(), advantages.double().mean()
    old_log_probs = exact_old.log_prob(actions)

    @torch.no_grad()
    def evaluate() -> tuple[Tensor, Tensor]:
        new = policy(observations).double()
        improvement = surrogate(new.log_prob(actions), old_log_probs, advantages) - before
        return improvement, kl_divergence(exact_old, new)

    search = backtracking_line_search(
        evaluate,
        parameters,
        full_step,
        (gradient.double() @ full_step.double()).item(),
        max_kl,
        backtrack_factor,
        backtrack_steps,
        accept_ratio,
    )
    return PolicyStep(gradient, solution, curvature, full_step, search)


def update(
    agent: Agent, batch: Batch, settings: TRPOSettings, rng: np.random.Generator
) -> dict[str, float]:
    """One trust-region step of the policy, then the critic's fit; parameters as in `ppo.update`."""
    advantages = batch.advantages
    if settings.normalize_advantages:
        advantages = torch.from_numpy(normalize(advantages.numpy()))
    require_finite(advantages=advantages)
    with torch.no_grad():
        old = agent.policy(batch.observations)
    step = trpo_policy_step(
        agent.policy,
        batch.observations,
        batch.actions,
        advantages,
        max_kl=settings.max_kl,
        damping=settings.damping,
        cg_iterations=settings.cg_iterations,
        cg_tolerance=settings.cg_tolerance,
        backtrack_factor=settings.backtrack_factor,
        backtrack_steps=settings.backtrack_steps,
        accept_ratio=settings.accept_ratio,
    )
    with torch.no_grad():
        changes = policy_change(old, agent.policy(batch.observations), batch.actions)
    critic = fit_critic(agent, batch, settings, rng)
    return {
        **critic,
        **changes,
        "accepted": float(step.search.accepted),
        "step_fraction": step.search.fraction,
        "expected_improvement": step.search.expected,
        "improvement": step.search.improvement,
        "cg_iterations": float(step.solution.iterations),
        "cg_residual": step.solution.relative_residual,
    }
