"""A task with answers that can be verified and enumerated: addition of two numbers (chapter 15)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

#: A token's number is its place here.
VOCABULARY = "0123456789+="


@dataclass(frozen=True)
class Task:
    """Prompts, each with its one right answer.

    Attributes
    ----------
    prompts : Tensor of int64, shape (N, P)
    answers : Tensor of int64, shape (N, T)
    vocabulary : int
        Number of tokens, V: an answer is one of V**T.
    """

    prompts: Tensor
    answers: Tensor
    vocabulary: int = len(VOCABULARY)

    def __len__(self) -> int:
        """The number of prompts, N."""
        return len(self.prompts)

    @property
    def answer_length(self) -> int:
        """T."""
        return self.answers.shape[1]

    @property
    def length(self) -> int:
        """Tokens that a model has to read: the prompt, and all of the answer but its last token."""
        return self.prompts.shape[1] + self.answer_length - 1

    def take(self, rows: Tensor | Sequence[int] | slice) -> "Task":
        """The task with these prompts only."""
        return Task(self.prompts[rows], self.answers[rows], self.vocabulary)


def addition(digits: int = 2) -> Task:
    """All sums of two numbers of so many digits: ``37+58=`` has the answer ``095``.

    Parameters
    ----------
    digits : int, 1 or 2

    Returns
    -------
    Task
        100**digits prompts, sorted; the answer has one digit more.

    Raises
    ------
    ValueError
        If there are no digits, or so many that the prompts cannot be listed.
    """
    if digits not in (1, 2):
        raise ValueError(f"digits must be 1 or 2, not {digits!r}: all prompts are listed")
    pairs = [(a, b) for a in range(10**digits) for b in range(10**digits)]
    prompts = torch.tensor([encode(f"{a:0{digits}}+{b:0{digits}}=") for a, b in pairs])
    return Task(prompts, torch.tensor([encode(f"{a + b:0{digits + 1}}") for a, b in pairs]))


def split(task: Task, held_out: int, seed: int = 0) -> tuple[Task, Task]:
    """A training part and a part that is never trained on, in random order.

    Raises
    ------
    ValueError
        If one of the two would be empty.
    """
    if not 0 < held_out < len(task):
        raise ValueError(f"held_out must lie between 1 and {len(task) - 1}, not {held_out!r}")
    order = torch.randperm(len(task), generator=torch.Generator().manual_seed(seed))
    return task.take(order[held_out:]), task.take(order[:held_out])


def encode(text: str) -> list[int]:
    """Tokens of a text.

    Raises
    ------
    ValueError
        If a character is no token.
    """
    if unknown := set(text) - set(VOCABULARY):
        raise ValueError(f"{text!r} holds {sorted(unknown)}; the tokens are {VOCABULARY}")
    return [VOCABULARY.index(character) for character in text]


def decode(tokens: Tensor) -> str:
    """The text of a row of tokens."""
    return "".join(VOCABULARY[int(token)] for token in tokens)
