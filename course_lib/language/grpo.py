"""GRPO: PPO's clipped ratio with the group's advantages, and its variants (chapter 15)."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..checks import require_same_shape, require_shape
from .groups import grpo_advantages
from .learner import Learner, minibatches, step_size
from .ratios import log_ratio_for_tokens
from .reference import reference_kl
from .sampling import Batch, next_token_log_probs, of_tokens


@dataclass(frozen=True)
class GRPO:
    """Settings.

    Attributes
    ----------
    prompts, group : int
        N prompts and G answers to each in a batch.
    epochs, pieces : int
        Passes over a batch, and minibatches in each.
    clip_low, clip_high : float
        The ratio counts within [1 - clip_low, 1 + clip_high]; infinite ones switch the clip off.
        DAPO raises ``clip_high`` to .28.
    ratio : {"token", "product", "mean"}
        See `ratios`; "mean" is GSPO.
    divide : bool
        By the group's deviation; without it this is Dr. GRPO.
    beta, estimator : float, str
        Weight and kind of the KL to the reference, as a loss.
    max_kl : float
        No further pass once the mean KL(old || new) of a token exceeds it.
    max_tv : float
        Tokens whose distribution has moved further than this in total variation, and whose ratio
        would move on, have no gradient.
    """

    name: ClassVar[str] = "grpo"
    prompts: int = 32
    group: int = 8
    learning_rate: float = 5e-4
    epochs: int = 2
    pieces: int = 2
    clip_low: float = 0.2
    clip_high: float = 0.2
    ratio: str = "token"
    divide: bool = True
    beta: float = 0.0
    estimator: str = "k3"
    max_kl: float = float("inf")
    max_tv: float = 1.0


def grpo_update(learner: Learner, batch: Batch, settings: GRPO) -> None:
    """Several passes over one batch of answers."""
    advantages = grpo_advantages(batch.rewards, settings.divide).view(-1, 1)
    for epoch, rows in minibatches(
        len(advantages), settings.epochs, settings.pieces, learner.generator
    ):
        if left_the_region(learner, batch, settings, epoch):
            return
        learner.step(_loss(learner, batch, rows, advantages[rows], settings))


def _loss(
    learner: Learner, batch: Batch, rows: Tensor, advantages: Tensor, settings: GRPO
) -> Tensor:
    """The clipped loss of a minibatch, and the penalty for leaving the reference."""
    prompts, answers, old = batch.take(rows)
    new = next_token_log_probs(learner.policy, prompts, answers)
    log_probs, old_log_probs = of_tokens(new, answers), of_tokens(old, answers)
    mask = torch.ones_like(answers, dtype=torch.bool)
    log_ratio = log_ratio_for_tokens(log_probs, old_log_probs, mask, settings.ratio)
    if settings.max_tv < 1.0:
        mask = mask & within_total_variation(new, old, log_ratio, advantages, settings.max_tv)
    loss = clipped_loss(log_ratio, advantages, mask, settings.clip_low, settings.clip_high)
    if settings.beta:
        with torch.no_grad():
            reference = of_tokens(
                next_token_log_probs(learner.reference, prompts, answers), answers
            )
        loss = loss + settings.beta * reference_kl(log_probs, reference, settings.estimator).mean()
    return loss


def clipped_loss(
    log_ratio: Tensor, advantages: Tensor, mask: Tensor, clip_low: float, clip_high: float
) -> Tensor:
    """PPO's clipped objective with its sign turned, all answers' tokens alike, Eq. (15.5).

    Parameters
    ----------
    log_ratio, mask : Tensor, shape (B, T)
    advantages : Tensor, shape (B, 1) or (B, T)
        One for each answer, or for each token: data.
    clip_low, clip_high : float, at least 0

    Returns
    -------
    Tensor, scalar
        The sum over the tokens in the mask, divided by B T: a constant, so that no answer counts
        more for being short.

    Raises
    ------
    ValueError
        If shapes do not fit, or a clip range is below 0.
    """
    require_same_shape(log_ratio=log_ratio, mask=mask)
    B, T = log_ratio.shape
    require_shape("advantages", advantages, (B, 1), (B, T), hint="one row per answer")
    gain = _clipped_gain(log_ratio, advantages.detach(), clip_low, clip_high)
    return -gain.masked_fill(~mask.bool(), 0.0).mean()


def grpo_loss(
    log_probs: Tensor,
    old_log_probs: Tensor,
    advantages: Tensor,
    mask: Tensor,
    clip_low: float,
    clip_high: float,
) -> Tensor:
    """GRPO's loss as published: each answer's mean over its own tokens, then the mean of answers.

    Parameters
    ----------
    log_probs, old_log_probs : Tensor, shape (B, T)
    advantages : Tensor, shape (B,)
    mask : Tensor, shape (B, T)
        True for the tokens of an answer, at least one each.
    clip_low, clip_high : float, at least 0

    Returns
    -------
    Tensor, scalar
        To be minimised. An answer's length divides its gradient: see `groups.length_drift`.

    Raises
    ------
    ValueError
        If the shapes differ, or a clip range is below 0.

    References
    ----------
    Shao et al. (2024), arXiv:2402.03300, Eq. (3), without the KL; Yu et al. (2025),
    arXiv:2503.14476, for two clip ranges.
    """
    require_same_shape(log_probs=log_probs, old_log_probs=old_log_probs, mask=mask)
    require_same_shape(advantages=advantages, answers=log_probs[:, 0])
    mask = mask.bool()
    log_ratio = (log_probs - old_log_probs).masked_fill(~mask, 0.0)
    gain = _clipped_gain(log_ratio, advantages.detach()[:, None], clip_low, clip_high)
    return -((gain * mask).sum(-1) / mask.sum(-1)).mean()


def _clipped_gain(
    log_ratio: Tensor, advantages: Tensor, clip_low: float, clip_high: float
) -> Tensor:
    """min(r A, clip(r, 1 - clip_low, 1 + clip_high) A) of each token, shape (B, T)."""
    if not (clip_low >= 0 and clip_high >= 0):
        raise ValueError(f"clip ranges must be at least 0, not {clip_low!r} and {clip_high!r}")
    # Far beyond the upper edge a good token's ratio has no gradient. Held there in logs, because
    # one that overflows would have 0 times infinity.
    beyond = log_ratio.clamp(max=math.log1p(clip_high) + 1.0)
    ratio = torch.where(advantages >= 0, beyond, log_ratio).exp()
    clipped = ratio.clamp(1 - clip_low, 1 + clip_high)
    return torch.minimum(ratio * advantages, clipped * advantages)


def within_total_variation(
    new: Tensor, old: Tensor, log_ratio: Tensor, advantages: Tensor, max_tv: float
) -> Tensor:
    """Which tokens may still move: their distribution is near, or the step would bring it back.

    Parameters
    ----------
    new, old : Tensor, shape (B, T, V)
        Log-probabilities of all tokens.
    log_ratio : Tensor, shape (B, T)
    advantages : Tensor, shape (B, 1)
    max_tv : float in [0, 1]

    Returns
    -------
    Tensor of bool, shape (B, T)
    """
    tv = 0.5 * (new.detach().exp() - old.exp()).abs().sum(-1)
    outward = log_ratio.detach() * advantages > 0
    return (tv <= max_tv) | ~outward


def left_the_region(learner: Learner, batch: Batch, settings: GRPO, epoch: int) -> bool:
    """Whether the KL stop ends the passes before this one; looked at only where there is one."""
    if epoch == 0 or settings.max_kl == float("inf"):
        return False
    return step_size(learner.policy, batch)["kl"] > settings.max_kl
