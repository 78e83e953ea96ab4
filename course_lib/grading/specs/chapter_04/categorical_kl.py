"""Task 4.2: the KL divergence between two categorical policies."""

import math

import numpy as np

from ...catalogue import Mistake, catalogue
from ...spec import Probe, Spec
from ..chapter_03.worlds import draw_of_many, draw_policies

SIZES = {
    "one state, three actions": (1, 3),
    "four states, two actions": (4, 2),
    "three states, five actions": (3, 5),
    "the old policy never takes action 1 in state 0": (2, 4),
    "in state 2 neither policy takes action 0": (5, 3),
    "the new policy rules out action 1 in state 0": (3, 4),
    "the new policy takes action 0 with probability 1e-15 in state 1": (2, 3),
    "the old policy takes action 0 with probability 9e-7, the new one with 1e-15": (1, 3),
    "both policies are the same, and certain in state 1": (3, 4),
    "seventeen actions": (2, 17),
}
EPSILONS = (1e-6, 1e-8, 1e-9, 1e-10, 1e-12)


def move(policy, state, source, target):
    """Let a policy take one action in another's place."""
    policy[state, target] += policy[state, source]
    policy[state, source] = 0.0


def probes(generator):
    """Return pairs of policies; in some of them an action is never taken."""
    calls = []
    for title, (states, actions) in SIZES.items():
        draw = draw_policies if actions < 10 else draw_of_many
        old, new = draw(generator, states, actions)
        if "old policy never" in title:
            move(old, 0, 1, 2)
        if "neither" in title:
            move(old, 2, 0, 1)
            move(new, 2, 0, 2)
        if "rules out" in title:
            move(new, 0, 1, 3)
        if "1e-15 in state 1" in title:
            old[1] = [0.9, 0.04, 0.06]
            new[1] = [1e-15, new[1, 0] + new[1, 1], new[1, 2]]
        if "9e-7" in title:
            old = np.array([[9e-7, 0.25, 0.75 - 9e-7]])
            new = np.array([[1e-15, 0.25, 0.75]])
        if "the same" in title:
            old[1] = [0.0, 0.0, 1.0, 0.0]
            new = old.copy()
        unit = 0.05 if "9e-7" in title else 0.1 if "the same" in title else 1.0
        calls.append(Probe(title, (old, new), unit, extreme="1e-15" in title))
    return calls


def oracle(old, new):
    """Return the sum of the definition, action by action, with its two limits written out."""
    answer = []
    for p, q in zip(old.tolist(), new.tolist(), strict=True):
        total = 0.0
        for before, after in zip(p, q, strict=True):
            if before == 0.0:
                continue
            total += before * (math.log(before) - math.log(after)) if after > 0 else math.inf
        answer.append(total)
    return np.array(answer)


def variant(
    old, new, *, direction="old to new", base="e", over="sum", axis="actions", sign=1.0,
    weigh="first", zeros="right", compare="ratio",
):  # fmt: skip
    """Return cross-entropy minus entropy, with options that commit mistakes."""
    if direction == "symmetric":
        options = {"base": base, "over": over, "axis": axis, "sign": sign}
        options |= {"weigh": weigh, "zeros": zeros, "compare": compare}
        return (variant(old, new, **options) + variant(new, old, **options)) / 2
    first, second = (new, old) if direction == "new to old" else (old, new)
    if isinstance(zeros, float):
        first, second = first + zeros, second + zeros
    with np.errstate(all="ignore"):
        weights = np.ones(first.shape) if weigh == "nothing" else first
        cross, own = -weights * np.log(second), -weights * np.log(first)
        terms = {"ratio": cross - own, "cross-entropy": cross}[compare]
        if weigh == "nothing":
            terms = np.where(first == second, 0.0, terms)
        if zeros == "right":
            infinite = (first > 0) & (second == 0)
            terms = np.where(first == 0, 0.0, np.where(infinite, np.inf, terms))
        if zeros == "skipped":
            terms = np.where((first == 0) | (second == 0), 0.0, terms)
        if base == "two":
            terms = terms / np.log(2)
        if axis == "states":
            terms = terms.T
        answer = sign * (terms.sum(axis=1) if over == "sum" else terms.mean(axis=1))
        if axis == "mean over states":
            return answer.mean()
        return answer.max() if axis == "max over states" else answer


def infinity_replaced(old, new):
    """Replace NaN by 0, and with it infinity by the largest number that there is."""
    with np.errstate(all="ignore"):
        return np.nan_to_num(old * np.log(old / new)).sum(axis=1)


def kept_above(epsilon):
    """Return the mistake of adding a small number, or clipping to it: the two hardly differ."""
    return Mistake(
        f"kept_above_{epsilon:.0e}",
        f"You keep the probabilities above about {epsilon:.0e}, so the logarithm of 0 never "
        "occurs. Then the KL of a policy that rules out an action is a number that depends on "
        "this choice alone. It is infinite, and that should stay visible.",
        {"zeros": epsilon},
    )


MISTAKES = (
    *catalogue(
        """
    reversed: direction="new to old"
        You return KL(new || old). The two directions are different numbers: here the old policy
        weighs the logarithms, because its actions are what a batch holds. Where the new policy
        rules out an action that the old one takes, yours is finite and should be infinite.
    symmetric: direction="symmetric"
        You return the mean of both directions. KL is not symmetric, and the bounds of this book use
        KL(old || new) alone: only the old policy's probabilities weigh the logarithms.
    sign: sign=-1.0
        Your numbers have the wrong sign. A KL divergence is never negative; it is 0 where the two
        policies agree. Which one stands above in the ratio?
    zeros_give_nan: zeros="nothing done"
        Where the old policy never takes an action you get NaN: 0 times the logarithm of 0. Such an
        action adds nothing, as p log p goes to 0 with p. The probes without zeros are right.
    zeros_skipped: zeros="skipped"
        You skip every action with a zero in it. That is right where the old policy never takes it.
        Where the new policy alone rules it out, the KL is infinite: one sample of the old policy
        could prove that it was not the new one.
    infinity_replaced: infinity_replaced
        `nan_to_num` does two things. It puts 0 for NaN, which is right where the old policy never
        takes an action. But it also puts the largest float for infinity, and the KL of a policy
        that rules out an action should stay infinite.
    """,
        infinity_replaced,
    ),
    *(kept_above(epsilon) for epsilon in EPSILONS),
    *catalogue(
        """
    not_weighted: weigh="nothing"
        You add up the logarithms of the ratios with equal weight. KL is an expectation: how often
        does the old policy take each action? Some of your numbers are negative.
    cross_entropy: compare="cross-entropy"
        You return the cross-entropy. It is not 0 where the two policies agree: the entropy of the
        old policy is still inside.
    base_two: base="two"
        Your numbers are too large by 1 / ln 2, about 1.44: they are in bits. The constants of
        Pinsker's inequality, and the book, are in nats.
    mean_over_actions: over="mean"
        Your numbers are too small by the number of actions: you take a mean over them. The
        probabilities are the weights of the average already; their terms add up.
    over_states: axis="states"
        You add up over the states, one number per action. A policy's row holds the actions of one
        state: an answer has one number per row.
    mean_over_states: axis="mean over states"
        You return the mean over the states. One number per state is asked for: TRPO's theory takes
        their maximum, its practice their mean.
    max_over_states: axis="max over states"
        You return the largest KL over the states. One number per state is asked for: TRPO's theory
        takes their maximum, its practice their mean.
    """
    ),
)

SPEC = Spec(
    name="categorical_kl",
    exercise="04_monotonic_improvement",
    parameters=("old", "new"),
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
    rows="state",
)
