"""Probability ratios of answers: of each token, of the whole, or its geometric mean (chapter 15)."""

from torch import Tensor

from ..checks import require_same_shape


def sequence_log_ratio(
    log_probs: Tensor, old_log_probs: Tensor, mask: Tensor, average: bool = False
) -> Tensor:
    """Logarithm of an answer's ratio, new over old, Eq. (15.9).

    Parameters
    ----------
    log_probs, old_log_probs : Tensor, shape (B, T)
        Of the tokens of B answers.
    mask : Tensor of bool or 0 and 1, shape (B, T)
        Which tokens belong to the answer; what stands in the others does not matter. At least one
        for each answer.
    average : bool
        Divide by the answer's length: the logarithm of the tokens' geometric mean, as in GSPO.
        That is no probability ratio: its exponential does not average to 1.

    Returns
    -------
    Tensor, shape (B,)

    Raises
    ------
    ValueError
        If the shapes differ.

    References
    ----------
    Zheng et al. (2025), arXiv:2507.18071, Eq. (7).
    """
    require_same_shape(log_probs=log_probs, old_log_probs=old_log_probs, mask=mask)
    total = (log_probs - old_log_probs).masked_fill(~mask.bool(), 0.0).sum(-1)
    return total / mask.sum(-1) if average else total


def log_ratio_for_tokens(
    log_probs: Tensor, old_log_probs: Tensor, mask: Tensor, kind: str
) -> Tensor:
    """The log-ratio that multiplies each token's advantage, shape (B, T).

    ``kind`` is "token" (PPO, GRPO), "product" (of the whole answer) or "mean" (GSPO).

    Raises
    ------
    ValueError
        If there is no such ratio, or the shapes differ.
    """
    require_same_shape(log_probs=log_probs, old_log_probs=old_log_probs, mask=mask)
    if kind == "token":
        return (log_probs - old_log_probs).masked_fill(~mask.bool(), 0.0)
    if kind not in ("product", "mean"):
        raise ValueError(f"ratio must be 'token', 'product' or 'mean', not {kind!r}")
    whole = sequence_log_ratio(log_probs, old_log_probs, mask, average=kind == "mean")
    return whole[:, None].expand_as(log_probs)
