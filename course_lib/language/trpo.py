"""TRPO on a transformer (chapter 15): chapter 8's step, with chapter 6's products by autograd."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..conjugate_gradient import conjugate_gradient
from ..fisher import double_backprop_operator
from ..line_search import backtracking_line_search
from ..natural import natural_step, undamped_curvature
from ..parameters import flatten
from .groups import grpo_advantages
from .learner import Learner
from .sampling import Batch, next_token_log_probs, of_tokens


@dataclass(frozen=True)
class TRPO:
    """Settings: ``max_kl`` bounds the mean KL(old || new) of a token."""

    name: ClassVar[str] = "trpo"
    prompts: int = 32
    group: int = 8
    max_kl: float = 0.02
    damping: float = 0.01
    cg_iterations: int = 8
    fisher_share: int = 4  # one answer in so many enters the products


def trpo_update(learner: Learner, batch: Batch, settings: TRPO) -> None:
    """The longest step along the natural gradient that the KL and the surrogate admit."""
    advantages = grpo_advantages(batch.rewards, divide=False).view(-1, 1)
    parameters = list(learner.policy.parameters())
    old = of_tokens(batch.old, batch.answers)

    def surrogate_and_kl(share: int = 1) -> tuple[Tensor, Tensor]:
        new = next_token_log_probs(learner.policy, batch.prompts[::share], batch.answers[::share])
        ratio = (of_tokens(new, batch.answers[::share]) - old[::share]).exp()
        before = batch.old[::share]
        kl = (before.exp() * (before - new)).sum(-1).mean()
        return (ratio * advantages[::share]).sum(-1).mean(), kl

    gain, _ = surrogate_and_kl()
    gradient = flatten(torch.autograd.grad(gain, parameters))
    if not gradient.any():
        return  # every group agrees: there is nothing to learn from this batch
    _, kl = surrogate_and_kl(settings.fisher_share)
    product = double_backprop_operator(kl, parameters, settings.damping)
    solution = conjugate_gradient(product, gradient, settings.cg_iterations)
    x, damped = solution.x, gradient - solution.residual
    step = natural_step(x, undamped_curvature(x, damped, settings.damping), settings.max_kl)

    @torch.no_grad()
    def evaluate() -> tuple[Tensor, Tensor]:
        moved, kl = surrogate_and_kl()
        return moved - gain, kl

    expected = (gradient @ step).item()
    backtracking_line_search(evaluate, parameters, step, expected, settings.max_kl)
