"""What the tasks of chapter 15 draw: rewards of groups, and tokens of answers of unequal length."""

import numpy as np

from ..draws import signed


def groups(generator):
    """Return titles and rewards: right and wrong, of any size, far from 0, all the same."""
    right = np.array([[1.0, 0, 0, 0], [1, 1, 0, 1], [0, 1, 1, 0]])
    return {
        "three prompts, four answers, right or wrong": generator.permuted(right, axis=1),
        "two prompts, five answers, rewards of any size": signed(generator, 1, 40, (2, 5)),
        "groups of two": np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 1.0]]),
        "one prompt, six answers": signed(generator, 1, 30, (1, 6)),
        "in the first group all rewards are the same": np.array([[1.0] * 3, [0.0, 1.0, 0.0]]),
        "four prompts of very different scale": signed(generator, 2, 9, (4, 3))
        * np.array([[1.0], [10.0], [0.1], [100.0]]),
        "rewards around 1000": 1000 + signed(generator, 1, 30, (3, 4)),
        "one right answer among 100": np.eye(2, 100),
    }


def tokens(generator, lengths, places, spread=10):
    """Return new and old log-probabilities and a mask; what lies beyond an answer is far off."""
    shape = len(lengths), places
    old = -generator.integers(3, 30, shape) / 10
    new = old + signed(generator, 1, spread, shape)
    new[:, 0] += 0.05 * np.arange(1, len(lengths) + 1)  # sums do not cancel
    mask = np.arange(places) < np.array(lengths)[:, None]
    new[~mask], old[~mask] = -7.0, -2.5
    return new, old, mask


LENGTHS = {
    "three answers of unequal length": ([4, 2, 3], 4),
    "one answer": ([3], 3),
    "two answers of one token": ([1, 1], 3),
    "five answers": ([5, 1, 3, 6, 2], 6),
    "no answer is padded": ([4, 4], 4),
}
