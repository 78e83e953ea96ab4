"""RLOO: the policy gradient, with the other answers to the same prompt as baseline (chapter 15)."""

from dataclasses import dataclass
from typing import ClassVar

from .groups import rloo_advantages
from .learner import Learner
from .sampling import Batch, next_token_log_probs, of_tokens


@dataclass(frozen=True)
class RLOO:
    """Settings: N prompts and G answers to each in a batch, one gradient step on it."""

    name: ClassVar[str] = "rloo"
    prompts: int = 32
    group: int = 8
    learning_rate: float = 5e-4


def rloo_update(learner: Learner, batch: Batch, settings: RLOO) -> None:
    """One step up the gradient of J, estimated without bias, Eqs. (15.2) and (15.3)."""
    advantages = rloo_advantages(batch.rewards).flatten()
    log_probs = next_token_log_probs(learner.policy, batch.prompts, batch.answers)
    answers = of_tokens(log_probs, batch.answers).sum(-1)
    learner.step(-(advantages * answers).mean())
