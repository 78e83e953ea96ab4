"""What every update of chapter 15 starts from, and what they share."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .sampling import Batch, next_token_log_probs, of_tokens


@dataclass
class Learner:
    """A policy in training.

    Attributes
    ----------
    policy, reference : nn.Module
        The reference never moves: the policy that training started from.
    optimizer : torch.optim.Optimizer
    generator : torch.Generator
        Draws minibatches.
    critic : nn.Module, optional
        PPO's, with its optimizer.
    """

    policy: nn.Module
    reference: nn.Module
    optimizer: torch.optim.Optimizer
    generator: torch.Generator
    critic: nn.Module | None = None
    critic_optimizer: torch.optim.Optimizer | None = None

    def step(self, loss: Tensor) -> None:
        """One step of the policy down a loss."""
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.policy.parameters(), 1.0)
        self.optimizer.step()


def minibatches(
    size: int, epochs: int, pieces: int, generator: torch.Generator
) -> Iterator[tuple[int, Tensor]]:
    """Each epoch's number with the rows of each of its minibatches, in random order."""
    for epoch in range(epochs):
        for rows in torch.randperm(size, generator=generator).tensor_split(pieces):
            yield epoch, rows


@torch.no_grad()
def step_size(policy: nn.Module, batch: Batch) -> dict[str, float]:
    """How far the policy has moved from the one that drew a batch.

    Returns
    -------
    dict
        ``kl``: mean KL(old || new) of a token, exact at the prefixes drawn; ``tv``: the largest
        total variation among them; ``ratio``: the largest ratio of a token, or of its inverse.
    """
    new = next_token_log_probs(policy, batch.prompts, batch.answers)
    old = batch.old
    log_ratio = of_tokens(new - old, batch.answers)
    return {
        "kl": (old.exp() * (old - new)).sum(-1).mean().item(),
        "tv": (0.5 * (new.exp() - old.exp()).abs().sum(-1)).max().item(),
        "ratio": log_ratio.abs().max().exp().item(),
    }
