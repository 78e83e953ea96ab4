"""Task 9.2: how much of the targets' variance the critic explains."""

import math

import numpy as np

from ...catalogue import Mistake, catalogue
from ...spec import Probe, Spec
from ..draws import signed
from .gaussian_log_prob import EXERCISE

SCENES = {  # length, slope of the values against the targets, noise, offset of the values
    "three states": (3, 0.7, 0.6, 0.3),
    "eight states, a good critic": (8, 0.9, 0.3, -0.2),
    "the critic is off by a constant": (6, 1.0, 0.2, 4.0),
    "the critic is worse than a constant": (5, -1.5, 1.0, 1.0),
    "twenty states, a critic with little spread": (20, 0.2, 0.1, 0.0),
    "all targets are equal": (4, 0.0, 2.0, 0.5),
}


def probes(generator):
    """Return values and targets with a spread that differs."""
    calls = []
    for title, (size, slope, noise, offset) in SCENES.items():
        targets = generator.permutation(np.arange(size)) * 0.8 + generator.integers(-30, 31) / 10
        targets = targets + generator.integers(-3, 4, size) / 10
        if title.startswith("all"):  # equal in a way that leaves a variance of 0, not of 1e-32
            targets = np.full(size, generator.choice([-1.0, 1.0]) * generator.integers(5, 13) / 4)
        signs = generator.choice([-1.0, 1.0], size)
        values = slope * targets + offset + noise * signs * generator.integers(5, 16, size) / 10
        if len(set(signs)) == 1:
            values[0] -= 2.0 * noise
        calls.append(Probe(title, (np.round(values, 2), np.round(targets, 2))))
    steps = generator.permutation(40) - 20.0
    values = 0.5 * steps + signed(generator, 2, 9, 40, unit=1)
    far = 2.0**30 + np.stack([values, steps])[:, :8] / 8
    return [
        *calls,
        Probe("all numbers are about 1e-12", (1e-12 * values, 1e-12 * steps)),
        Probe("all numbers are about 1e9 and differ by about 1", tuple(far)),
        Probe("a critic whose errors are huge", (100 * values[:5], steps[:5])),
    ]


def oracle(values, targets):
    """Return one minus a quotient of two sums of squared pairwise differences."""
    errors = [float(t - v) for v, t in zip(values, targets, strict=True)]
    left = math.fsum((a - b) ** 2 for a in errors for b in errors)
    whole = math.fsum(float(a - b) ** 2 for a in targets for b in targets)
    return np.array(1.0 - left / whole if whole > 0 else np.nan)


def variant(
    values, targets, *, spread="variance", below="targets", complement=True, centred=True,
    constant=np.nan, epsilon=0.0,
):  # fmt: skip
    """Return the quotient from moments, with options that commit mistakes."""
    errors = targets - values
    left = np.mean((errors - (errors.mean() if centred else 0.0)) ** 2)
    base = {"targets": targets, "values": values}[below]
    whole = np.mean((base - base.mean()) ** 2) + epsilon
    if whole == 0:
        return constant
    ratio = left / whole
    if spread == "deviation":
        ratio = np.sqrt(max(ratio, 0.0))
    return 1.0 - ratio if complement else ratio


def variance_ratio(values, targets):
    """Compare the spread of the values with that of the targets."""
    whole = np.var(targets)
    return np.var(values) / whole if whole > 0 else np.nan


def squared_correlation(values, targets):
    """Return the squared correlation."""
    if np.ptp(targets) == 0:
        return np.nan
    return np.corrcoef(values, targets)[0, 1] ** 2


MISTAKES = (
    *catalogue(
        """
    r_squared: centred=False
        You divide the mean squared error, not the variance of the error. An error that is the same
        in all states has no variance. Look at the probe whose critic is off by a constant: it
        explains nearly everything.
    values_below: below="values"
        You divide by the variance of the values. The targets are what is to be explained. Were the
        arguments swapped? A critic that predicts a constant would make you divide by 0.
    unexplained: complement=False
        You return the share that is not explained. A perfect critic should get 1, and 0 is what a
        constant gets. Yours is the other way round.
    deviations: spread="deviation"
        You divide standard deviations. The name says variance. Where the critic halves the
        deviation of the error, three quarters of the variance are explained.
    variance_of_the_values: variance_ratio
        You compare the variance of the values with that of the targets. That says how much the
        critic varies, not whether it varies with the targets. Look at the probe whose critic is
        worse than a constant.
    squared_correlation: squared_correlation
        You return the squared correlation. It forgives a wrong scale and even a wrong sign, and is
        never negative. Look at the probe whose critic is worse than a constant.
    zero_for_constant_targets: constant=0.0
        Where all targets are equal you return 0. There is no variance to explain, so no share of it
        either. The contract answers with NaN, which no plot mistakes for a bad critic.
    one_for_constant_targets: constant=1.0
        Where all targets are equal you return 1. That looks like a perfect critic, and this one is
        wrong in every state. The contract answers with NaN.
    """,
        variance_ratio,
        squared_correlation,
    ),
    Mistake(
        "infinite_for_constant_targets",
        "Where all targets are equal you return minus infinity: a positive number is divided by 0. "
        "The contract answers with NaN there. Which case has to be asked for first?",
        {"constant": -np.inf},
    ),
    *catalogue(
        """
    epsilon: epsilon=1e-08
        You add a small number to the divisor. Where all targets are equal the answer becomes a huge
        negative number that ruins every plot. The contract answers with NaN there.
    """
    ),
)

SPEC = Spec(
    name="explained_variance",
    exercise=EXERCISE,
    parameters=("values", "targets"),
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
)
