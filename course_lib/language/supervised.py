"""Training on right answers, before any reward: what the policies of chapter 15 start from."""

import torch

from .sampling import exact_accuracy, next_token_log_probs, of_tokens
from .task import Task
from .transformer import Decoder


def pretrained(
    task: Task,
    accuracy: float = 0.3,
    batch: int = 128,
    learning_rate: float = 3e-3,
    seed: int = 0,
    most_steps: int = 1000,
) -> Decoder:
    """A decoder that has seen right answers until it knows some of the sums.

    It stops by its accuracy, not after a number of steps: how to carry is learned rather suddenly,
    at another step for every seed.

    Parameters
    ----------
    task : Task
        Prompts to learn from.
    accuracy : float in (0, 1)
        Stop when the exact J on 1,000 of them, looked at every tenth step, has reached this.
    batch : int
        Prompts in each gradient step, drawn with replacement.
    learning_rate : float
        Adam's.
    seed : int
        Of the weights and of the prompts that are drawn.
    most_steps : int
        Gradient steps; a multiple of 10, or the last of them are not looked at.

    Raises
    ------
    RuntimeError
        If so many steps were not enough.
    """
    model = Decoder(task.vocabulary, task.length, seed=seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    generator = torch.Generator().manual_seed(seed)
    looked_at = task.take(torch.randperm(len(task), generator=generator)[:1000])
    for step in range(most_steps + 1):
        if step % 10 == 0 and exact_accuracy(model, looked_at) >= accuracy:
            return model
        if step == most_steps:
            break
        rows = torch.randint(len(task), (batch,), generator=generator)
        prompts, answers = task.prompts[rows], task.answers[rows]
        log_probs = of_tokens(next_token_log_probs(model, prompts, answers), answers)
        optimizer.zero_grad()
        (-log_probs.sum(-1).mean()).backward()
        optimizer.step()
    raise RuntimeError(f"accuracy {accuracy} is not reached in {most_steps} steps")
