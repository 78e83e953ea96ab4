"""Every answer to a prompt, with its probability: no sample, no error (chapter 15).

A decoder gives the distribution of the next token after every prefix. V tokens and T places make
1 + V + ... + V^(T-1) prefixes: 157 for three places and the twelve tokens of addition, where there
are 1,728 answers. Everything below is differentiable and exact up to rounding.
"""

import itertools

import torch
from torch import Tensor, nn

from ..kinds import Count, checked
from .sampling import next_token_log_probs

#: Log-probabilities of the next token after every prefix: entry t has shape (N, V^t, V).
Tree = list[Tensor]


def answer_tree(model: nn.Module, prompts: Tensor, length: int, vocabulary: int) -> Tree:
    """A policy on all prefixes of all answers to N prompts.

    One forward pass over all prefixes of length T - 1 gives those of the shorter ones too.

    Parameters
    ----------
    prompts : Tensor of int64, shape (N, P)
    length, vocabulary : int, at least 1
        T and V.

    Returns
    -------
    list of T Tensors
        Entry t has shape (N, V^t, V); prefixes stand in the order of counting.

    Raises
    ------
    ValueError
        If length or vocabulary is not positive.
    """
    length, V = checked("length", length, Count), checked("vocabulary", vocabulary, Count)
    N = len(prompts)
    prefixes = torch.tensor([*itertools.product(range(V), repeat=length - 1)], dtype=torch.int64)
    P = len(prefixes)
    # What stands at the last place conditions nothing.
    answers = torch.cat([prefixes, torch.zeros(P, 1, dtype=torch.int64)], dim=1)
    log_probs = next_token_log_probs(
        model, prompts.repeat_interleave(P, dim=0), answers.repeat(N, 1)
    ).view(N, P, length, V)
    return [log_probs[:, :: V ** (length - 1 - t), t] for t in range(length)]


def prefix_probabilities(tree: Tree) -> list[Tensor]:
    """How likely the policy writes each prefix: entry t has shape (N, V^t), and sums to 1."""
    reached = [torch.ones_like(tree[0][..., 0])]
    for level in tree[:-1]:
        reached.append((reached[-1][..., None] * level.exp()).flatten(1))
    return reached


def answer_log_probs(tree: Tree) -> Tensor:
    """Log-probabilities of all answers, shape (N, V^T), Eq. (15.1)."""
    total = torch.zeros_like(tree[0][..., 0])
    for level in tree:
        total = (total[..., None] + level).flatten(1)
    return total


def correct(answers: Tensor, vocabulary: int) -> Tensor:
    """The reward of every answer: 1 at the right one. (N, T) to (N, V^T), float64."""
    place = torch.zeros(len(answers), dtype=torch.int64)
    for token in answers.T:
        place = place * vocabulary + token
    size = vocabulary ** answers.shape[1]
    return torch.nn.functional.one_hot(place, size).double()


def sequence_kl(old: Tree, new: Tree) -> Tensor:
    """KL(old || new) of whole answers, from their probabilities: shape (N,)."""
    log_old, log_new = answer_log_probs(old), answer_log_probs(new)
    return (log_old.exp() * (log_old - log_new)).sum(-1)


def chained_kl(old: Tree, new: Tree) -> Tensor:
    """The same by the chain rule, Eq. (15.7): the KL at every prefix, as often as old meets it."""
    return sum(
        (reached * (a.exp() * (a - b)).sum(-1)).sum(-1)
        for reached, a, b in zip(prefix_probabilities(old), old, new, strict=True)
    )  # type: ignore[return-value]  # a sum of tensors


def sequence_tv(old: Tree, new: Tree) -> Tensor:
    """Total variation between whole answers: shape (N,)."""
    return 0.5 * (answer_log_probs(old).exp() - answer_log_probs(new).exp()).abs().sum(-1)


def expected_reward(tree: Tree, rewards: Tensor) -> Tensor:
    """J of each prompt, (N,): the rewards of all answers (N, V^T), weighed."""
    return (answer_log_probs(tree).exp() * rewards).sum(-1)


def token_surrogate(old: Tree, new: Tree, rewards: Tensor) -> Tensor:
    """The surrogate of token ratios, Eq. (15.10): J(old) + E_old of sum_t (r_t - 1) times reward.

    The new policy chooses each token, but prefixes come from the old one.

    Returns
    -------
    Tensor, shape (N,)
    """
    # Q of every prefix and token, from the end: what old earns if it goes on from there.
    N = len(rewards)
    worth, total = rewards, expected_reward(old, rewards)
    for reached, a, b in zip(prefix_probabilities(old)[::-1], old[::-1], new[::-1], strict=True):
        q = worth.view(N, -1, a.shape[-1])
        total = total + (reached * ((b.exp() - a.exp()) * q).sum(-1)).sum(-1)
        worth = (a.exp() * q).sum(-1)
    return total
