"""Whose gradient each use of a KL estimator follows, by enumeration (chapter 15)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..parameters import flatten
from .enumeration import Tree, answer_log_probs, prefix_probabilities, sequence_kl
from .reference import reference_kl


def expected_token_loss(
    policy: Tree, reference: Tree, sampler: Tree, estimator: str, weighted: bool = False
) -> Tensor:
    """Expectation of the summed token estimates over answers of a sampler, to be differentiated.

    Parameters
    ----------
    policy, reference, sampler : list of Tensor
        See `enumeration.answer_tree`; a gradient flows into ``policy`` alone. On-policy, the
        sampler is the policy itself, detached.
    estimator : {"k1", "k2", "k3"}
    weighted : bool
        Multiply each token's estimate by its ratio, policy over sampler, with its gradient.

    Returns
    -------
    Tensor, scalar
        The mean over prompts.
    """
    total = torch.zeros(())
    reached = prefix_probabilities(sampler)
    for d, new, ref, old in zip(reached, policy, reference, sampler, strict=True):
        terms = reference_kl(new, ref.detach(), estimator)
        drawn = new.exp() if weighted else old.detach().exp()  # old times the ratio is new
        total = total + (d.detach()[..., None] * drawn * terms).flatten(1).sum(-1).mean()
    return total


def expected_reward_loss(
    policy: Tree, reference: Tree, sampler: Tree, estimator: str, weighted: bool = False
) -> Tensor:
    """Expectation of score times estimate: the penalty stands in the reward of whole answers.

    Weighted, an answer counts with its own ratio, the product of its tokens'.
    """
    log_new, log_old = answer_log_probs(policy), answer_log_probs(sampler).detach()
    estimate = torch.zeros_like(policy[0][..., 0])
    for new, ref in zip(policy, reference, strict=True):
        terms = reference_kl(new, ref, estimator).detach()
        estimate = (estimate[..., None] + terms).flatten(1)
    drawn = log_new.exp().detach() if weighted else log_old.exp()
    return (drawn * log_new * estimate).sum(-1).mean()


def gradient_of(loss: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    """The gradient as one vector; parameters that the loss does not reach have 0."""
    found = torch.autograd.grad(loss, parameters, allow_unused=True, retain_graph=True)
    return flatten(
        [torch.zeros_like(p) if g is None else g for g, p in zip(found, parameters, strict=True)]
    )


def gradient_table(
    policy: Tree, reference: Tree, sampler: Tree, parameters: Sequence[Tensor]
) -> dict[str, dict[str, float]]:
    """Every use of an estimator against the exact gradients of both KLs.

    Returns
    -------
    dict
        Use -> ``norm`` (its gradient's, as a multiple of that of KL(policy || reference)),
        ``cos_reverse`` and ``error_reverse`` (cosine with that gradient, and relative distance
        from it), ``cos_forward`` and ``error_forward`` (with that of KL(reference || policy)).
        A gradient of 0 has cosine NaN.
    """
    fixed = [level.detach() for level in reference]
    reverse = gradient_of(sequence_kl(policy, fixed).mean(), parameters)
    forward = gradient_of(sequence_kl(fixed, policy).mean(), parameters)
    losses = {}
    for k in ("k1", "k2", "k3"):
        losses[f"{k} as a loss"] = expected_token_loss(policy, fixed, sampler, k)
        losses[f"{k} times the ratio"] = expected_token_loss(policy, fixed, sampler, k, True)
        losses[f"{k} in the reward"] = expected_reward_loss(policy, fixed, sampler, k)
    losses["k1 in the reward times the ratio"] = expected_reward_loss(
        policy, fixed, sampler, "k1", True
    )
    rows = {}
    for name, loss in losses.items():
        g = gradient_of(loss, parameters)
        rows[name] = {"norm": (g.norm() / reverse.norm()).item()}
        for side, exact in (("reverse", reverse), ("forward", forward)):
            tiny = g.norm() < 1e-10 * exact.norm()
            cosine = torch.nan if tiny else (g @ exact / g.norm() / exact.norm()).item()
            rows[name][f"cos_{side}"] = cosine
            rows[name][f"error_{side}"] = ((g - exact).norm() / exact.norm()).item()
    return rows
