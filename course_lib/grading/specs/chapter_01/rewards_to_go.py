"""Task 1.1: the discounted rewards-to-go of one episode."""

import numpy as np

from ...catalogue import catalogue
from ...spec import Probe, Spec
from ..draws import signed

LENGTHS = {  # steps, gamma, scale of the rewards
    "three steps": (3, 0.5, 1.0),
    "one step only": (1, 0.9, 1.0),
    "six steps": (6, 0.9, 1.0),
    "gamma is 1": (4, 1.0, 1.0),
    "twelve steps": (12, 0.8, 1.0),
    "gamma is 0, rewards around a million": (5, 0.0, 1e6),
    "gamma is 1, rewards around 1e-9": (7, 1.0, 1e-9),
    "1050 steps, gamma is 0.999": (1050, 0.999, 1.0),
    "500 steps, gamma is 0.2": (500, 0.2, 1.0),
}


def probes(generator):
    """Return one episode per length, with rewards of both signs."""
    calls = []
    for title, (steps, gamma, scale) in LENGTHS.items():
        calls.append(
            Probe(
                title,
                (signed(generator, 5, 40, steps) * scale, gamma),
                scale,
                scale != 1 or steps > 99,
            )
        )
    while True:
        whole = generator.integers(1, 10, size=6)
        late, early = (
            variant(whole, 0.7, memory=memory)
            for memory in ("of the rewards", "of the rewards, read back")
        )
        if (late != early).any():  # cut at the end, or at every step and carried on
            break
    return [*calls, Probe("rewards are whole numbers, in an array of integers", (whole, 0.7))]


def oracle(rewards, gamma):
    """Return the definition's sum, written out for every step."""
    weights = float(gamma) ** np.arange(len(rewards))
    return np.array([weights[: len(rewards) - t] @ rewards[t:] for t in range(len(rewards))])


def variant(
    rewards, gamma, *, decay="gamma", own="kept", order="backward", output="each", memory="floats"
):
    """Return the sums by recursion, with options that commit mistakes."""
    factor = {"gamma": gamma, "one": 1.0, "none": 0.0}[decay]
    answer, total = np.zeros(len(rewards)), 0.0
    if memory != "floats":
        answer = np.zeros_like(rewards)
    steps = range(len(rewards)) if order == "forward" else reversed(range(len(rewards)))
    for t in steps:
        total = rewards[t] + factor * total
        answer[t] = total if own == "kept" else total - rewards[t]
        if memory == "of the rewards, read back":
            total = answer[t]
    if output == "whole return":
        return np.full(len(rewards), answer[0])
    if output == "from time 0":
        return answer * gamma ** np.arange(len(rewards))
    if output == "twice":
        return np.array([gamma * total for total in answer])
    return answer


def from_the_start(rewards, gamma):
    """Discount by the time since the start, then sum to the end, over gamma^0."""
    discounted = rewards * gamma ** np.arange(len(rewards))
    return np.full(len(rewards), discounted.sum()) - np.cumsum(discounted) + rewards


def by_division(rewards, gamma):
    """Discount from the start, sum to the end, and divide by the discount of the step."""
    powers = float(gamma) ** np.arange(len(rewards))
    with np.errstate(all="ignore"):
        return np.cumsum((powers * rewards)[::-1])[::-1] / powers


MISTAKES = catalogue(
    """
    not_discounted: decay="one"
        Later rewards enter with full weight. The last entry is right, and the error grows with the
        number of steps that follow. What does a reward one step later cost?
    rewards_only: decay="none"
        You return the rewards themselves: nothing of the later ones arrives. If your loop does add
        the sum of the steps behind it, ask in which order the entries are filled.
    sums_the_past: order="forward"
        Entry t of yours collects the rewards up to step t: the first entry is its own reward and
        the last one holds everything. An action cannot change what came before it. Which end of the
        episode can be filled first?
    whole_return: output="whole return"
        All your entries are equal: each is the return of the whole episode. The first entry is
        right. From the second on, rewards are counted that came before the action.
    discounted_from_the_start: output="from time 0"
        The first entry is right, entry t is too small by the factor gamma to the power t. You count
        the discount from the start of the episode. In a reward-to-go the reward of step t itself
        has weight 1.
    own_reward_missing: own="left out"
        The reward of step t itself is missing from entry t, so the last entry is 0. The reward that
        an action earns at once is part of what it is judged by.
    one_discount_too_many: output="twice"
        All your entries are too small by one factor gamma: the reward of step t is discounted
        already. Compare the last entry with the last reward.
    integer_array: memory="of the rewards"
    integer_array_read_back: memory="of the rewards, read back"
        Where the rewards are integers your entries are too: the decimals are cut off. An array made
        like another one, or that array itself, keeps its type. The sums need an array of floats.
    divided_by_a_power_of_gamma: by_division
        You divide by gamma to the power t. In a long episode that power has vanished, and so it has
        where gamma is 0: you divide 0 by 0. No entry needs a division.
    sum_of_discounted_without_division: from_the_start
        The first and the last entry are right, those between are not: you discount from the start
        of the episode and then sum what is left, so the later rewards of entry t carry a factor
        gamma to the power t too many.
    """,
    from_the_start,
    by_division,
)

SPEC = Spec(
    name="rewards_to_go",
    exercise="01_policy_gradients",
    parameters=("rewards", "gamma"),
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
)
