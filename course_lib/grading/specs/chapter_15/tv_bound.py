"""Task 15.8: how far the token-level surrogate can be from the truth."""

import numpy as np

from ...catalogue import catalogue
from ...spec import Probe, Spec

SHAPES = {
    "two steps, two prefixes, three tokens": (2, 2, 3),
    "three steps, two prefixes, four tokens": (3, 2, 4),
    "one step": (1, 3, 4),
    "five steps, three prefixes": (5, 3, 3),
    "six steps, one prefix, two tokens": (6, 1, 2),
    "the policies agree at the first step": (3, 2, 5),
    "200 steps": (200, 1, 3),
}


def probes(generator):
    """Return next-token probabilities of two policies at the prefixes of each length."""
    calls = []
    for title, shape in SHAPES.items():
        old, new = generator.dirichlet(np.full(shape[-1], 2.0), (2, *shape[:2]))
        if "agree" in title:
            new[0] = old[0]
        calls.append(Probe(title, (old, new)))
    near = 0.999 * old[:4] + 0.001 * new[:4]
    return [*calls, Probe("policies very near", (old[:4], near), 1e-6)]


def oracle(old, new):
    """Return the double sum over pairs of different steps, distances from what is taken more often."""
    alphas = [
        max(np.maximum(b - a, 0).sum() for a, b in zip(*at, strict=True))
        for at in zip(old, new, strict=True)
    ]
    return sum(x * y for i, x in enumerate(alphas) for j, y in enumerate(alphas) if i != j)


def variant(old, new, *, half=0.5, over="max", steps="before", factor=2.0, distance="tv"):
    """Return it from a running sum, with options that commit mistakes."""
    size = np.abs(new - old).sum(-1) if distance == "tv" else np.abs(new - old).max(-1) * 2
    if distance == "kl":
        size = 2 * (old * np.log(old / new)).sum(-1)
    per_step = half * (size.mean(1) if over == "mean" else size.max(1))
    if over == "sum":
        per_step = half * size.sum(1)
    if over == "all steps":
        per_step = 0 * per_step + per_step.max()
    earlier = np.cumsum(per_step) - (0 if steps == "with its own" else per_step)
    if steps == "last only":
        earlier = np.concatenate([[0.0], per_step[:-1]])
    return factor * float(per_step @ earlier)


MISTAKES = catalogue(
    """
    half_missing: half=1.0
        Your bound is four times too large: total variation is half the sum of the absolute
        differences, and it enters twice.
    mean_over_prefixes: over="mean"
        You average over the prefixes. A bound has to hold at the worst of them.
    sum_over_prefixes: over="sum"
        You add up the prefixes of a step. The largest total variation among them is asked for.
    largest_of_all_steps: over="all steps"
        You use one number, the largest of all steps, for each step. That is a bound too, and a
        looser one: each step has its own.
    own_step_counted: steps="with its own"
        You let a step disturb itself. What counts at a step is how far the steps before it have
        moved the prefixes: with a single step the surrogate is exact.
    last_step_only: steps="last only"
        You count the step before only. The prefixes of a step have been moved by all earlier ones.
    factor_two_missing: factor=1.0
        Your bound is half of what it should be. The mean advantage at a prefix may lie anywhere
        between minus and plus its total variation: how wide is that?
    largest_difference: distance="max"
        You take the largest difference in the probability of a single token. Total variation is
        that of the worst set of tokens.
    kl_for_tv: distance="kl"
        You take the KL in place of the total variation. By Pinsker its root would do, not the KL.
    """
)

SPEC = Spec(
    name="tv_bound",
    exercise="15_language_models",
    parameters=("old", "new"),
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
)
