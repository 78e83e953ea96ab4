"""A run of chapter 15: batch after batch from a policy, and the exact J on the way."""

import copy
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from .grpo import GRPO, grpo_update
from .learner import Learner, step_size
from .ppo import PPO, ppo_update
from .rloo import RLOO, rloo_update
from .sampling import Batch, draw_batch, exact_accuracy, greedy_accuracy, next_token_log_probs
from .task import Task
from .transformer import Decoder
from .trpo import TRPO, trpo_update

Settings = RLOO | GRPO | PPO | TRPO
UPDATES: dict[str, Any] = {
    "rloo": rloo_update, "grpo": grpo_update, "ppo": ppo_update, "trpo": trpo_update,
}  # fmt: skip


@dataclass
class Run:
    """What a run left behind.

    Attributes
    ----------
    samples, accuracy : list
        Answers drawn so far, and the exact J on held-out prompts then; the first before training.
    greedy : float
        Exact match of greedy decoding at the end.
    steps : list of dict
        For each batch, how far its update moved (`learner.step_size`), and the share of right
        answers in it (``reward``).
    seconds : float
        CPU seconds, without the measurements.
    policy : nn.Module
    """

    policy: nn.Module
    samples: list[int] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    greedy: float = 0.0
    steps: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0


def improve(
    start: nn.Module,
    train: Task,
    held_out: Task,
    settings: Settings,
    batches: int,
    seed: int = 0,
    measured: int = 10,
    lag: int = 0,
    remember_sampler: bool = True,
) -> Run:
    """Train a copy of a policy on rewards alone.

    Parameters
    ----------
    start : nn.Module
        The policy to begin with, and the reference.
    train, held_out : Task
        Prompts to learn from, and those whose exact J is measured.
    settings : RLOO, GRPO, PPO or TRPO
    batches : int
        Updates; each draws ``settings.prompts * settings.group`` answers.
    seed : int
        Of everything random in the run.
    measured : int
        J is measured so many times on the way, evenly.
    lag : int
        Answers come from the oldest of the last so many policies; 0 and 1 are the policy itself.
    remember_sampler : bool
        Without it the old log-probabilities are those of the policy as it is before the update,
        whoever drew the answers.

    Raises
    ------
    ValueError
        If a number is out of range.
    """
    if batches < 1 or lag < 0 or not 1 <= measured <= batches:
        raise ValueError(
            f"need 1 <= measured <= batches and lag >= 0, not {measured}, {batches}, {lag}"
        )
    learner = new_learner(start, train, settings, seed)
    policy, run = learner.policy, Run(learner.policy)
    samplers = deque([copy.deepcopy(policy)] if lag else [], maxlen=max(1, lag))
    _measure(run, held_out, 0)
    for number in range(1, batches + 1):
        begun = time.process_time()
        sampler = samplers[0] if lag else policy
        batch = draw_batch(sampler, train, settings.prompts, settings.group, learner.generator)
        if lag and not remember_sampler:
            batch = as_if_drawn_by(policy, batch)
        UPDATES[settings.name](learner, batch, settings)
        if lag:
            samplers.append(copy.deepcopy(policy))
        run.seconds += time.process_time() - begun
        run.steps.append({**step_size(policy, batch), "reward": batch.rewards.mean().item()})
        if number * measured // batches > (number - 1) * measured // batches:
            _measure(run, held_out, number * settings.prompts * settings.group)
    run.greedy = greedy_accuracy(policy, held_out)
    return run


def new_learner(start: nn.Module, task: Task, settings: Settings, seed: int) -> Learner:
    """A copy of a policy with its optimizer, and a new critic where there has to be one."""
    policy = copy.deepcopy(start)
    adam = torch.optim.Adam(policy.parameters(), lr=getattr(settings, "learning_rate", 0.0))
    generator = torch.Generator().manual_seed(seed)
    learner = Learner(policy, copy.deepcopy(start).requires_grad_(False), adam, generator)
    if isinstance(settings, PPO):
        learner.critic = Decoder(
            task.vocabulary, task.length, width=32, layers=1, outputs=1, seed=seed
        )
        learner.critic_optimizer = torch.optim.Adam(
            learner.critic.parameters(), lr=settings.critic_learning_rate
        )
    return learner


@torch.no_grad()
def as_if_drawn_by(policy: nn.Module, batch: Batch) -> Batch:
    """The batch with this policy's log-probabilities for the sampler's: what forgetting does."""
    old = next_token_log_probs(policy, batch.prompts, batch.answers)
    return Batch(batch.prompts, batch.answers, batch.rewards, old)


def _measure(run: Run, held_out: Task, samples: int) -> None:
    run.samples.append(samples)
    run.accuracy.append(exact_accuracy(run.policy, held_out))
