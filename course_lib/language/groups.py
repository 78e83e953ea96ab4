"""Advantages from several answers to one prompt, without a critic (chapter 15).

And what dividing by the group's deviation does to the objective, exactly.
"""

import math

import torch
from torch import Tensor

from ..checks import exceeds_rounding, require_shape
from ..kinds import NotNegative, checked


def rloo_advantages(rewards: Tensor) -> Tensor:
    """Each answer's reward less the mean reward of the others, Eq. (15.3).

    Parameters
    ----------
    rewards : Tensor, shape (N, G)
        Of G answers to each of N prompts, drawn from one policy; G at least 2.

    Returns
    -------
    Tensor, shape (N, G)

    Raises
    ------
    ValueError
        If rewards has another shape, or a group holds one answer only.

    References
    ----------
    Ahmadian et al. (2024), arXiv:2402.14740, section 3; Kool et al. (2019).
    """
    _check_groups(rewards)
    others = (rewards.sum(1, keepdim=True) - rewards) / (rewards.shape[1] - 1)
    return rewards - others


def grpo_advantages(rewards: Tensor, divide: bool = True, epsilon: float = 1e-6) -> Tensor:
    """Rewards, centred in their group and divided by its deviation, Eq. (15.4).

    Parameters
    ----------
    rewards : Tensor, shape (N, G)
        As in `rloo_advantages`.
    divide : bool
        Whether to divide; Dr. GRPO does not.
    epsilon : float, at least 0
        Added to the deviation. A group whose rewards are equal, up to the rounding of their dtype,
        has advantages of 0.

    Returns
    -------
    Tensor, shape (N, G)
        The deviation is that of the group itself, which divides by G.

    Raises
    ------
    ValueError
        As in `rloo_advantages`, or if epsilon is negative.

    References
    ----------
    Shao et al. (2024), arXiv:2402.03300, section 4.1; Liu et al. (2025), arXiv:2503.20783.
    """
    _check_groups(rewards)
    epsilon = checked("epsilon", epsilon, NotNegative)
    if not rewards.is_floating_point():
        rewards = rewards.to(torch.get_default_dtype())
    centred = rewards - rewards.mean(1, keepdim=True)
    deviation = rewards.std(1, correction=0, keepdim=True)
    size = rewards.abs().amax(1, keepdim=True)
    spread = deviation.detach().numpy()
    real = exceeds_rounding(spread, size.detach().numpy(), spread.dtype)
    advantages = centred / (deviation + epsilon) if divide else centred
    return torch.where(torch.from_numpy(real), advantages, 0.0)


def std_weight(p: float, group: int) -> float:
    """What dividing by the deviation multiplies a prompt's gradient by, Eq. (15.13).

    The expected gradient of group-normalised advantages is w grad p, with w = E[sigma] / (p (1-p))
    and sigma the deviation of a group's rewards, of which a binomial number are 1.

    Parameters
    ----------
    p : float in (0, 1)
        Probability of a right answer to the prompt.
    group : int, at least 2
        G. As it grows, w goes to 1 / sqrt(p (1-p)).

    Returns
    -------
    float
        Without the division it would be (G-1)/G for every prompt.

    Raises
    ------
    ValueError
        If p or the group is out of range.
    """
    if not (0.0 < p < 1.0 and group >= 2):
        raise ValueError(f"need 0 < p < 1 and a group of at least 2, not p = {p!r}, {group!r}")
    shares = (
        math.comb(group, k) * p**k * (1 - p) ** (group - k) * math.sqrt(k * (group - k))
        for k in range(1, group)
    )
    return math.fsum(shares) / group / (p * (1 - p))


def length_drift(stop: float) -> float:
    """How dividing by length moves the logit of a filler token, per unit of advantage, Eq. (15.15).

    The policy writes fillers until it stops, each time with probability ``stop``; the advantage
    does not depend on the length. Undivided, the expected gradient is 0.

    Parameters
    ----------
    stop : float in (0, 1)
        s, one over the mean length.

    Returns
    -------
    float
        s - s ln(1/s) / (1-s): negative, so that answers with negative advantages grow longer.

    Raises
    ------
    ValueError
        If s is out of range.
    """
    if not 0.0 < stop < 1.0:
        raise ValueError(f"stop must lie between 0 and 1, not {stop!r}")
    return stop + stop * math.log(stop) / (1.0 - stop)


def _check_groups(rewards: Tensor) -> None:
    require_shape("rewards", rewards, (-1, -1), hint="one row per prompt, one column per answer")
    if rewards.shape[1] < 2:
        raise ValueError("a group needs at least 2 answers: one alone has nothing to compare with")
