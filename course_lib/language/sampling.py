"""Answers drawn from a model, and how likely it finds answers (chapter 15)."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .task import Task


@dataclass(frozen=True)
class Batch:
    """Answers to N prompts, G to each: B = N G rows, a prompt's answers next to each other.

    Attributes
    ----------
    prompts : Tensor of int64, shape (B, P)
    answers : Tensor of int64, shape (B, T)
    rewards : Tensor, shape (N, G)
        1 for the right answer, 0 for any other.
    old : Tensor, shape (B, T, V)
        Log-probabilities of every token, under the policy that drew the answers.
    """

    prompts: Tensor
    answers: Tensor
    rewards: Tensor
    old: Tensor

    def take(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Prompts, answers and old log-probabilities of some rows."""
        return self.prompts[rows], self.answers[rows], self.old[rows]


def next_token_log_probs(model: nn.Module, prompts: Tensor, answers: Tensor) -> Tensor:
    """Log-probabilities of every token at every place of the answers, Eq. (15.1).

    Parameters
    ----------
    prompts : Tensor of int64, shape (B, P)
    answers : Tensor of int64, shape (B, T)
        Place t is conditioned on the answer's tokens before t; the last token conditions nothing.

    Returns
    -------
    Tensor, shape (B, T, V)
    """
    logits = model(torch.cat([prompts, answers[:, :-1]], dim=1))
    return logits[:, prompts.shape[1] - 1 :].log_softmax(-1)


def of_tokens(log_probs: Tensor, answers: Tensor) -> Tensor:
    """Those of the tokens that an answer holds: (B, T, V) and (B, T) to (B, T)."""
    return log_probs.gather(-1, answers[..., None]).squeeze(-1)


@torch.no_grad()
def draw_answers(
    model: nn.Module, prompts: Tensor, length: int, generator: torch.Generator
) -> Tensor:
    """One answer to each prompt, token by token: (B, P) to (B, T)."""
    tokens = prompts
    for _ in range(length):
        probabilities = model(tokens)[:, -1].softmax(-1)
        token = torch.multinomial(probabilities, 1, generator=generator)
        tokens = torch.cat([tokens, token], dim=1)
    return tokens[:, prompts.shape[1] :]


@torch.no_grad()
def draw_batch(
    model: nn.Module, task: Task, prompts: int, group: int, generator: torch.Generator
) -> Batch:
    """Draw prompts, answer each of them ``group`` times, and mark the answers.

    Raises
    ------
    ValueError
        If there are fewer prompts than asked for.
    """
    if prompts > len(task):
        raise ValueError(f"the task has {len(task)} prompts; a batch cannot hold {prompts}")
    rows = torch.randperm(len(task), generator=generator)[:prompts].repeat_interleave(group)
    asked = task.take(rows)
    answers = draw_answers(model, asked.prompts, task.answer_length, generator)
    rewards = (answers == asked.answers).all(-1).to(torch.get_default_dtype())
    old = next_token_log_probs(model, asked.prompts, answers)
    return Batch(asked.prompts, answers, rewards.view(prompts, group), old)


@torch.no_grad()
def exact_accuracy(model: nn.Module, task: Task) -> float:
    """J, exactly: the mean probability of the right answer. No sample is drawn."""
    log_probs = next_token_log_probs(model, task.prompts, task.answers)
    return of_tokens(log_probs, task.answers).sum(-1).exp().mean().item()


@torch.no_grad()
def greedy_accuracy(model: nn.Module, task: Task) -> float:
    """The share of prompts whose right answer is what the likeliest tokens spell."""
    likeliest = next_token_log_probs(model, task.prompts, task.answers).argmax(-1)
    # Right as a whole where every token is the likeliest after the right ones before it.
    return (likeliest == task.answers).all(-1).double().mean().item()
