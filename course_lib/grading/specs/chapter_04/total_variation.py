"""Task 4.1: the total variation between two policies."""

import numpy as np

from ...catalogue import catalogue
from ...spec import Probe, Spec
from ..chapter_03.worlds import draw_policies

SIZES = {
    "one state, three actions": (1, 3),
    "two states, four actions": (2, 4),
    "four states, three actions": (4, 3),
    "five states, two actions": (5, 2),
    "in state 0 the policies never take the same action": (3, 4),
}


def probes(generator):
    """Return pairs of policies that differ in every state."""
    calls = []
    for title, (states, actions) in SIZES.items():
        old, new = draw_policies(generator, states, actions)
        if "never" in title:
            old[0], new[0] = [0.3, 0.0, 0.7, 0.0], [0.0, 0.4, 0.0, 0.6]
        calls.append(Probe(title, (old, new)))
    return calls


def oracle(old, new):
    """Return the definition: the largest difference in the probability of any set of actions."""
    states, actions = old.shape
    answer = np.zeros(states)
    for subset in range(2**actions):
        inside = np.array([subset >> a & 1 for a in range(actions)])
        answer = np.maximum(answer, old @ inside - new @ inside)
    return answer


def variant(old, new, *, half="once", norm="absolute", over="actions", axis="actions"):
    """Return the distance from what one policy takes more often, with options for mistakes."""
    difference = old - new
    with np.errstate(all="ignore"):
        sizes = {
            "absolute": np.maximum(difference, 0.0) + np.maximum(-difference, 0.0),
            "signed": difference,
            "square": difference**2,
            "relative": np.abs(new / old - 1),
        }[norm]
    if axis == "states":
        sizes = sizes.T
    answer = {
        "actions": sizes.sum(axis=1),
        "mean": sizes.mean(axis=1),
        "max": 2 * sizes.max(axis=1),
        "root": np.sqrt((sizes**2).sum(axis=1)),
    }[over]
    if axis == "mean over states":
        answer = answer.mean()
    if axis == "max over states":
        answer = answer.max()
    return answer / {"once": 2, "never": 1, "twice": 4}[half]


MISTAKES = catalogue(
    """
    half_missing: half="never"
        Your distances are too large by the factor 2. Every bit of probability that leaves one
        action arrives at another, and you count it twice. The largest distance, between policies
        that never take the same action, is 1.
    half_twice: half="twice"
        Your distances are half as large as they should be. What one policy takes more often adds up
        to the whole total variation; only the sum over all differences is halved. Policies that
        never take the same action are 1 apart.
    signed_sum: norm="signed"
        Your answer is 0 in every state. The differences of two distributions sum to 0, whatever
        they are. What must happen to each difference before it is added?
    mean_over_actions: over="mean"
        Your distances are too small by the number of actions: you take a mean over them. The
        differences of one state add up.
    largest_difference: over="max"
        You take the largest difference of a single action. Total variation is the largest
        difference of any set of actions. With two actions the two agree; look at a probe with more.
    squared_differences: norm="square"
        You add up squared differences. The bounds of this chapter square the total variation, but
        only once it is complete. Differences of probabilities are summed by their size.
    euclidean_distance: over="root"
        You measure the straight line between two rows: a root of squares. The largest total
        variation, between policies that never take the same action, must be 1.
    ratios_not_weighted: norm="relative"
        You add up how far the ratios new / old are from 1 with equal weight. Half the mean of that
        is right, but it is a mean under the old policy: how often does each action occur?
    over_states: axis="states"
        You add up over the states, one number per action. A policy's row holds the actions of one
        state: an answer has one number per row.
    mean_over_states: axis="mean over states"
        You return the mean over the states. One number per state is asked for: one bound of this
        chapter takes their mean, another their maximum.
    max_over_states: axis="max over states"
        You return the largest distance over the states, TRPO's alpha. One number per state is asked
        for: one bound of this chapter takes their maximum, another their mean.
    """
)

SPEC = Spec(
    name="total_variation",
    exercise="04_monotonic_improvement",
    parameters=("old", "new"),
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
    rows="state",
)
