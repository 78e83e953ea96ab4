"""Backtracking along a step until it improves the objective and stays in the region (chapter 8)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import SupportsFloat

import torch
from torch import Tensor

from .parameters import assign, flatten, unflatten


@dataclass(frozen=True)
class LineSearchResult:
    """What a line search did.

    Attributes
    ----------
    accepted : bool
        Whether the parameters were moved. If not, they are what they were before, bit for bit.
    fraction : float
        The share of the full step that was taken; 0 if none was accepted.
    steps : int
        Trials made.
    improvement, expected, kl : float
        Of the last trial, which is the accepted one if there is one: actual improvement of the
        objective, improvement by the linear model, KL to the old policy. NaN if none was made.
    reason : str
        ``"accepted"``; or why the last trial was rejected: ``"kl"`` (outside the region),
        ``"improvement"`` (too small), ``"not finite"``; or ``"not an ascent direction"`` (the
        linear model expects no improvement, so nothing was tried).
    """

    accepted: bool
    fraction: float
    steps: int
    improvement: float
    expected: float
    kl: float
    reason: str


def backtracking_line_search(
    evaluate: Callable[[], tuple[SupportsFloat, SupportsFloat]],
    parameters: Sequence[Tensor],
    full_step: Tensor,
    expected_improvement: float,
    max_kl: float,
    backtrack_factor: float = 0.8,
    max_steps: int = 10,
    accept_ratio: float = 0.1,
) -> LineSearchResult:
    """Take the largest of the fractions 1, kappa, kappa^2, ... of a step that passes two tests.

    With fraction f: the objective improves by more than ``accept_ratio * f * expected_improvement``
    (Armijo's condition, for maximisation), and the KL is at most max_kl. The expectation is
    proportional to f; it does not shrink twice.

    Parameters
    ----------
    evaluate : callable
        Returns, for the parameters as they are now, the improvement of the objective over the
        start and the KL to the old policy.
    parameters : sequence of Tensor
        Moved in place. Restored bit for bit if no trial passes, or if ``evaluate`` raises.
    full_step : Tensor, shape (P,)
    expected_improvement : float
        Gradient times full_step: the linear model at fraction 1.
    max_kl : float, positive
        delta_KL in nats.
    backtrack_factor : float in (0, 1)
        kappa.
    max_steps : int, at least 1
        Most trials, the full step among them.
    accept_ratio : float in [0, 1)
        Share of the expected improvement that is asked for.

    Returns
    -------
    LineSearchResult

    Raises
    ------
    ValueError
        If a setting is out of range, or full_step is not finite or of the wrong size.

    References
    ----------
    Schulman et al. (2015), arXiv:1502.05477, appendix C; Nocedal and Wright (2006), section 3.1.
    """
    if not (max_kl > 0 and 0 < backtrack_factor < 1 and max_steps >= 1 and 0 <= accept_ratio < 1):
        raise ValueError(
            "needed: max_kl > 0, 0 < backtrack_factor < 1, max_steps >= 1, 0 <= accept_ratio < 1; "
            f"given: {max_kl!r}, {backtrack_factor!r}, {max_steps!r}, {accept_ratio!r}"
        )
    if not torch.isfinite(full_step).all():
        raise ValueError("full_step is not finite: look at the gradient and the solver before it")
    unflatten(full_step, parameters)  # a step of the wrong size stops here
    if not expected_improvement > 0:
        nan = math.nan
        return LineSearchResult(False, 0.0, 0, nan, nan, nan, "not an ascent direction")

    start = flatten(parameters).detach()
    accepted = False
    try:
        for j in range(max_steps):
            fraction = backtrack_factor**j
            expected = fraction * expected_improvement
            assign(parameters, start + fraction * full_step)
            improvement, kl = map(float, evaluate())
            if not (math.isfinite(improvement) and math.isfinite(kl)):
                reason = "not finite"
            elif kl > max_kl:
                reason = "kl"
            elif improvement <= accept_ratio * expected:
                reason = "improvement"
            else:
                reason, accepted = "accepted", True
                break
    finally:
        if not accepted:
            assign(parameters, start)
    return LineSearchResult(
        accepted, fraction if accepted else 0.0, j + 1, improvement, expected, kl, reason
    )
