"""The two action distributions, in closed form: categorical and diagonal Gaussian.

``torch.distributions`` gives the same numbers and checks more, at several times the cost. These
classes hold what a policy network puts out for B states and know the formulas of chapters 5 and 10.
The tests compare every method with ``torch.distributions``.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .checks import require_same_shape, require_shape

LOG_2PI = math.log(2.0 * math.pi)


@dataclass(frozen=True)
class Categorical:
    """A choice between K actions in each of B states.

    Parameters
    ----------
    logits : Tensor, shape (B, K)
        Unnormalised log-probabilities; -inf for an action that is impossible in that state.

    Raises
    ------
    ValueError
        If the logits are not (B, K); from the methods, if something does not fit them.
    """

    logits: Tensor

    def __post_init__(self) -> None:
        require_shape("logits", self.logits, (-1, -1), hint="(B, K), a row for each state")

    @property
    def log_probs(self) -> Tensor:
        """Normalised log-probabilities of all actions, shape (B, K)."""
        return torch.log_softmax(self.logits, dim=-1)

    def log_prob(self, actions: Tensor) -> Tensor:
        """Log-probability of the given actions (B,), int64; shape (B,)."""
        return _chosen(self.log_probs, actions)

    def entropy(self) -> Tensor:
        """Entropy in nats, shape (B,), between 0 and log K."""
        log_probs = self.log_probs
        probs = log_probs.exp()
        return -(probs * _where_possible(probs, log_probs)).sum(-1)

    def kl(self, new: "Categorical") -> Tensor:
        """KL(self || new) in nats, shape (B,), never negative up to rounding.

        Infinite where new rules out what self does not. Summed in float64: the terms nearly cancel,
        and what float32 leaves of a KL below 1e-7 means nothing.
        """
        require_same_shape(logits=self.logits, new_logits=new.logits)
        log_probs, new_log_probs = self.double().log_probs, new.double().log_probs
        probs = log_probs.exp()
        kl = (probs * _where_possible(probs, log_probs - new_log_probs)).sum(-1)
        return kl.to(self.logits.dtype)

    def outputs(self) -> tuple[Tensor]:
        """The network outputs that parametrise it: the logits."""
        return (self.logits,)

    def fisher_product(self, tangents: Tensor) -> tuple[Tensor]:
        """Hessian of the states' mean of ``self.kl(new)``, by new's logits, times tangents.

        M u = p * (u - sum(p u)) / B per state: M = (diag(p) - p p^T) / B, which does not feel a
        shift of all logits. Shapes (B, K).
        """
        require_same_shape(logits=self.logits, tangents=tangents)
        probs = self.log_probs.exp()
        centred = tangents - (probs * tangents).sum(-1, keepdim=True)
        return (probs * centred / len(probs),)

    def __getitem__(self, index: Tensor) -> "Categorical":
        """The distributions of some of the states."""
        return Categorical(self.logits[index])

    def detach(self) -> "Categorical":
        """The same distribution, without a gradient."""
        return Categorical(self.logits.detach())

    def double(self) -> "Categorical":
        """The same distribution in float64, with its gradient."""
        return Categorical(self.logits.double())


@dataclass(frozen=True)
class DiagonalGaussian:
    """Independent normal actions of d dimensions in each of B states.

    Parameters
    ----------
    mean : Tensor, shape (B, d)
        Mean of each action dimension, in the action's own units.
    log_std : Tensor, shape (d,) or (B, d)
        Logarithm of the standard deviation (not of the variance).

    Raises
    ------
    ValueError
        If the two do not fit; from the methods, if something does not fit them.
    """

    mean: Tensor
    log_std: Tensor

    def __post_init__(self) -> None:
        require_shape("mean", self.mean, (-1, -1), hint="(B, d), a row for each state")
        B, d = self.mean.shape
        require_shape("log_std", self.log_std, (d,), (B, d), hint="the means are (B, d)")

    def log_prob(self, actions: Tensor) -> Tensor:
        """Log-density at the given actions (B, d), summed over dimensions; shape (B,)."""
        hint = "a row for each state; with d = 1, actions (B,) need unsqueeze(-1)"
        require_shape("actions", actions, tuple(self.mean.shape), hint=hint)
        z = (actions - self.mean) * (-self.log_std).exp()
        return (-0.5 * (z.square() + LOG_2PI) - self.log_std).sum(-1)

    def entropy(self) -> Tensor:
        """Differential entropy in nats, shape (B,); negative for narrow Gaussians."""
        return (self.log_std + 0.5 * (LOG_2PI + 1.0)).expand_as(self.mean).sum(-1)

    def kl(self, new: "DiagonalGaussian") -> Tensor:
        """KL(self || new) in nats, shape (B,), never negative up to rounding.

        Summed in float64, as in `Categorical.kl`.
        """
        require_same_shape(mean=self.mean, new_mean=new.mean)
        old, new = self.double(), new.double()
        variance_ratio = (2.0 * (old.log_std - new.log_std)).exp()
        shift = (old.mean - new.mean) * (-new.log_std).exp()
        kl = 0.5 * (variance_ratio + shift.square() - 1.0) + new.log_std - old.log_std
        return kl.sum(-1).to(self.mean.dtype)

    def outputs(self) -> tuple[Tensor, Tensor]:
        """The network outputs and parameters that parametrise it: mean and log sigma."""
        return self.mean, self.log_std

    def fisher_product(self, mean: Tensor, log_std: Tensor) -> tuple[Tensor, Tensor]:
        """Hessian of the states' mean of ``self.kl(new)``, by new's outputs, times tangents.

        Per state and dimension M = diag(1 / sigma^2, 2) / B for (mean, log sigma). A log sigma of
        shape (d,) is shared by all B states, so their B shares of 2 / B add up to 2.
        """
        require_same_shape(mean=self.mean, tangent=mean)
        require_same_shape(log_std=self.log_std, tangent=log_std)
        B = len(self.mean)
        shared = self.log_std.dim() < self.mean.dim()
        return mean * ((-2.0 * self.log_std).exp() / B), log_std * (2.0 if shared else 2.0 / B)

    def __getitem__(self, index: Tensor) -> "DiagonalGaussian":
        """The distributions of some of the states."""
        shared = self.log_std.dim() < self.mean.dim()
        return DiagonalGaussian(self.mean[index], self.log_std if shared else self.log_std[index])

    def detach(self) -> "DiagonalGaussian":
        """The same distribution, without a gradient."""
        return DiagonalGaussian(self.mean.detach(), self.log_std.detach())

    def double(self) -> "DiagonalGaussian":
        """The same distribution in float64, with its gradient."""
        return DiagonalGaussian(self.mean.double(), self.log_std.double())


Distribution = Categorical | DiagonalGaussian


def _where_possible(probs: Tensor, x: Tensor) -> Tensor:
    """x, but 0 where the probability is 0: 0 log 0 counts as 0, and has no gradient."""
    return x.masked_fill(probs == 0, 0.0)


def _chosen(log_probs: Tensor, actions: Tensor) -> Tensor:
    """The entry of each row (B, K) that an action (B,) chooses."""
    B, K = log_probs.shape
    require_shape("actions", actions, (B,), hint=f"one choice for each of {B} states")
    if actions.dtype != torch.int64:
        raise ValueError(f"actions choose by number and must be int64, not {actions.dtype}")
    try:
        return log_probs.gather(-1, actions.unsqueeze(-1)).squeeze(-1)
    except RuntimeError as error:  # asked for only now: looking at all actions first takes time
        raise ValueError(f"actions must lie between 0 and {K - 1}: {error}") from error
