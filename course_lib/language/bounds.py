"""How far a token-level surrogate can be from the truth (chapter 15)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from .enumeration import Tree, prefix_probabilities


def tv_bound(max_tv: Sequence[float] | Tensor) -> Tensor:
    """Bound on ``|J(new) - L(new)|`` for rewards in [0, 1], Eq. (15.11).

    Parameters
    ----------
    max_tv : sequence of float, shape (T,) or (T, ...)
        alpha_t: the largest total variation between the policies' next-token distributions, over
        the prefixes of length t - 1 (t counts from 1).

    Returns
    -------
    Tensor, scalar or of shape (...)
        2 sum_t alpha_t sum_{tau<t} alpha_tau. With one alpha for all of them, T (T-1) alpha^2.

    Raises
    ------
    ValueError
        If a total variation lies outside [0, 1].

    References
    ----------
    The argument of Achiam et al. (2017), arXiv:1705.10528, for T steps and gamma = 1.
    """
    alpha = torch.as_tensor(max_tv, dtype=torch.float64)
    if not ((alpha >= 0) & (alpha <= 1 + 1e-12)).all():
        raise ValueError(f"a total variation lies in [0, 1]; given: {max_tv}")
    before = alpha.cumsum(0) - alpha
    return 2.0 * (alpha * before).sum(0)


def largest_tv(old: Tree, new: Tree) -> Tensor:
    """alpha_t of each prompt: the largest total variation at any prefix, shape (T, N)."""
    return torch.stack(
        [(0.5 * (a.exp() - b.exp()).abs().sum(-1)).amax(-1) for a, b in zip(old, new, strict=True)]
    )


def visitation_bound(old: Tree, new: Tree) -> Tensor:
    """The same bound with how far the prefixes really moved: 2 sum_t alpha_t TV(d_old, d_new).

    Returns
    -------
    Tensor, shape (N,)
        Eq. (15.12). Never larger than `tv_bound`.
    """
    moved = [
        0.5 * (p - q).abs().sum(-1)
        for p, q in zip(prefix_probabilities(old), prefix_probabilities(new), strict=True)
    ]
    return 2.0 * (largest_tv(old, new) * torch.stack(moved)).sum(0)
