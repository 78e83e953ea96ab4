"""PPO with a critic, on answers (chapter 15): tokens are steps, the reward comes at the end."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from ..advantages import gae, normalize
from .grpo import clipped_loss
from .learner import Learner, minibatches
from .sampling import Batch, next_token_log_probs, of_tokens


@dataclass(frozen=True)
class PPO:
    """Settings: as in `grpo.GRPO`. A critic needs no group: by default every prompt is another."""

    name: ClassVar[str] = "ppo"
    prompts: int = 256
    group: int = 1
    learning_rate: float = 5e-4
    critic_learning_rate: float = 1e-3
    epochs: int = 2
    pieces: int = 2
    clip_low: float = 0.2
    clip_high: float = 0.2
    gae_lambda: float = 1.0


def ppo_update(learner: Learner, batch: Batch, settings: PPO) -> None:
    """Several passes over one batch of answers, for the policy and for the critic."""
    if learner.critic is None or learner.critic_optimizer is None:
        raise ValueError("PPO needs a critic; this learner has none")
    advantages, targets = token_advantages(learner.critic, batch, settings.gae_lambda)
    for _, rows in minibatches(len(targets), settings.epochs, settings.pieces, learner.generator):
        prompts, answers, old = batch.take(rows)
        log_probs = of_tokens(next_token_log_probs(learner.policy, prompts, answers), answers)
        log_ratio = log_probs - of_tokens(old, answers)
        everywhere = torch.ones_like(answers, dtype=torch.bool)
        clips = settings.clip_low, settings.clip_high
        learner.step(clipped_loss(log_ratio, advantages[rows], everywhere, *clips))
        error = values_of(learner.critic, prompts, answers) - targets[rows]
        learner.critic_optimizer.zero_grad()
        error.square().mean().backward()
        learner.critic_optimizer.step()


def values_of(critic: nn.Module, prompts: Tensor, answers: Tensor) -> Tensor:
    """The critic's value before each token of the answers: (B, T)."""
    values = critic(torch.cat([prompts, answers[:, :-1]], dim=1)).squeeze(-1)
    return values[:, prompts.shape[1] - 1 :]


@torch.no_grad()
def token_advantages(critic: nn.Module, batch: Batch, gae_lambda: float) -> tuple[Tensor, Tensor]:
    """GAE with gamma = 1 over the tokens, normalised, and the critic's targets: (B, T) each."""
    values = values_of(critic, batch.prompts, batch.answers).T.numpy()
    rewards, last = np.zeros_like(values), np.zeros(values.shape, dtype=bool)
    rewards[-1], last[-1] = batch.rewards.flatten().numpy(), True
    following = np.vstack([values[1:], 0 * values[:1]])
    raw = gae(rewards, values, following, last, 0 * last, gamma=1.0, gae_lambda=gae_lambda)
    advantages, targets = normalize(raw), raw + values
    return torch.from_numpy(advantages.T.copy()), torch.from_numpy(targets.T.copy())
