"""Task 15.1: each answer against the others."""

import numpy as np

from ...catalogue import catalogue
from ...spec import Probe, Spec
from .answers import groups


def probes(generator):
    """Return groups of rewards."""
    return [Probe(title, (rewards,)) for title, rewards in groups(generator).items()]


def oracle(rewards):
    """Return the mean difference to every other answer of the group."""
    N, G = rewards.shape
    answer = np.zeros((N, G))
    for n, i, j in np.ndindex(N, G, G):
        answer[n, i] += (rewards[n, i] - rewards[n, j]) / (G - 1)
    return answer


def variant(
    rewards, *, baseline="others", divide="others", group="prompt", sign=1.0, scale="none"
):  # fmt: skip
    """Return rewards less a baseline from sums, with options that commit mistakes."""
    x = rewards if group == "prompt" else rewards.T if group == "place" else rewards.reshape(1, -1)
    G = max(x.shape[1], 2)
    total = x.sum(1, keepdims=True)
    others = {
        "others": (total - x) / (G - 1 if divide == "others" else G),
        "all": 0 * x + total / G,
        "best": 0 * x + x.max(1, keepdims=True),
        "median": 0 * x + np.median(x, axis=1, keepdims=True),
    }[baseline]
    answer = sign * (x - others)
    if scale == "deviation":
        answer = answer / (x.std(1, keepdims=True) + 1e-6)
    return answer.T if group == "place" else answer.reshape(rewards.shape)


MISTAKES = catalogue(
    """
    own_reward_in_the_baseline: baseline="all"
        Your baseline is the mean of the whole group, with the answer's own reward in it. All your
        advantages are too small by one factor, and the estimate of the gradient with them. What
        does "leave one out" leave out?
    divided_by_the_whole_group: divide="all"
        You add up the rewards of the others and divide by the size of the whole group. With all
        rewards equal the advantages must be 0; yours are not. How many are the others?
    baseline_of_the_batch: group="batch"
        Your baseline comes from the answers to all prompts. An easy prompt then makes the answers
        to a hard one look bad. Only answers to the same prompt, one row, are compared.
    compared_across_prompts: group="place"
        You average down the columns, over prompts. Answers to one prompt stand in one row.
    sign: sign=-1.0
        Your signs are all wrong: an answer that is better than the others needs a positive
        advantage.
    divided_by_the_deviation: scale="deviation"
        You also divide by the group's deviation. That is GRPO, the next task. RLOO keeps the scale
        of the rewards, see the prompts of very different scale.
    best_as_baseline: baseline="best"
        Your baseline is the best reward of the group, so no advantage is positive. The baseline is
        a mean, and it must not depend on the answer it is for.
    median_as_baseline: baseline="median"
        Your baseline is the group's median. RLOO takes the mean of the other answers' rewards.
    """
)

SPEC = Spec(
    name="rloo_advantages",
    exercise="15_language_models",
    parameters=("rewards",),
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
    rows="prompt",
)
