"""The two action distributions, in closed form: categorical and diagonal Gaussian.

``torch.distributions`` gives the same numbers and checks more, at several times the cost. These
classes hold what a policy network puts out for B states and know the formulas of chapters 5 and 10.
The tests compare every method with ``torch.distributions``.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

LOG_2PI = math.log(2.0 * math.pi)


@dataclass(frozen=True)
class Categorical:
    """A choice between K actions in each of B states.

    Parameters
    ----------
    logits : Tensor, shape (B, K)
        Unnormalised log-probabilities.
    """

    logits: Tensor

    @property
    def log_probs(self) -> Tensor:
        """Normalised log-probabilities of all actions, shape (B, K)."""
        return torch.log_softmax(self.logits, dim=-1)

    def log_prob(self, actions: Tensor) -> Tensor:
        """Log-probability of the given actions (B,), int64; shape (B,)."""
        return self.log_probs.gather(-1, actions.unsqueeze(-1)).squeeze(-1)

    def entropy(self) -> Tensor:
        """Entropy in nats, shape (B,), between 0 and log K."""
        log_probs = self.log_probs
        return -(log_probs.exp() * log_probs).sum(-1)

    def kl(self, new: "Categorical") -> Tensor:
        """KL(self || new) in nats, shape (B,), never negative up to rounding."""
        log_probs = self.log_probs
        return (log_probs.exp() * (log_probs - new.log_probs)).sum(-1)

    def outputs(self) -> tuple[Tensor]:
        """The network outputs that parametrise it: the logits."""
        return (self.logits,)

    def fisher_product(self, tangents: Tensor) -> tuple[Tensor]:
        """Hessian of the states' mean of ``self.kl(new)``, by new's logits, times tangents.

        M u = p * (u - sum(p u)) / B per state: M = (diag(p) - p p^T) / B, which does not feel a
        shift of all logits. Shapes (B, K).
        """
        probs = self.log_probs.exp()
        centred = tangents - (probs * tangents).sum(-1, keepdim=True)
        return (probs * centred / len(probs),)

    def __getitem__(self, index: Tensor) -> "Categorical":
        """The distributions of some of the states."""
        return Categorical(self.logits[index])

    def detach(self) -> "Categorical":
        """The same distribution, without a gradient."""
        return Categorical(self.logits.detach())


@dataclass(frozen=True)
class DiagonalGaussian:
    """Independent normal actions of d dimensions in each of B states.

    Parameters
    ----------
    mean : Tensor, shape (B, d)
        Mean of each action dimension, in the action's own units.
    log_std : Tensor, shape (d,) or (B, d)
        Logarithm of the standard deviation (not of the variance).
    """

    mean: Tensor
    log_std: Tensor

    def log_prob(self, actions: Tensor) -> Tensor:
        """Log-density at the given actions (B, d), summed over dimensions; shape (B,)."""
        z = (actions - self.mean) * (-self.log_std).exp()
        return (-0.5 * (z.square() + LOG_2PI) - self.log_std).sum(-1)

    def entropy(self) -> Tensor:
        """Differential entropy in nats, shape (B,); negative for narrow Gaussians."""
        return (self.log_std + 0.5 * (LOG_2PI + 1.0)).expand_as(self.mean).sum(-1)

    def kl(self, new: "DiagonalGaussian") -> Tensor:
        """KL(self || new) in nats, shape (B,), never negative up to rounding."""
        variance_ratio = (2.0 * (self.log_std - new.log_std)).exp()
        shift = (self.mean - new.mean) * (-new.log_std).exp()
        return (0.5 * (variance_ratio + shift.square() - 1.0) + new.log_std - self.log_std).sum(-1)

    def outputs(self) -> tuple[Tensor, Tensor]:
        """The network outputs and parameters that parametrise it: mean and log sigma."""
        return self.mean, self.log_std

    def fisher_product(self, mean: Tensor, log_std: Tensor) -> tuple[Tensor, Tensor]:
        """Hessian of the states' mean of ``self.kl(new)``, by new's outputs, times tangents.

        Per state and dimension M = diag(1 / sigma^2, 2) / B for (mean, log sigma). A log sigma of
        shape (d,) is shared by all B states, so their B shares of 2 / B add up to 2.
        """
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


Distribution = Categorical | DiagonalGaussian
