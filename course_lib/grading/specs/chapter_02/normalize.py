"""Task 2.5: normalised advantages."""

import math

import numpy as np

from ...catalogue import catalogue
from ...spec import Probe, Spec
from .residuals import EXERCISE

HALVES = np.array([[0.5], [-0.5], [0.0]])


def probes(generator):
    """Return arrays of several shapes, a constant one, and calls that give epsilon."""

    def numbers(*shape):
        # No two are equal, so the deviation is never 0 by accident.
        return generator.permutation(np.arange(-30, 60))[: np.prod(shape)].reshape(shape) / 10

    return [
        Probe("four steps of one environment, default epsilon", (numbers(4, 1),)),
        Probe("three steps of two environments, default epsilon", (numbers(3, 2),)),
        Probe("all numbers are equal to 3, default epsilon", (np.full((4, 2), 3.0),)),
        Probe("epsilon = 0.5", (numbers(3, 4), 0.5)),
        Probe("epsilon = 8, larger than the standard deviation", (numbers(2, 3), 8.0)),
        Probe("one number, epsilon = 0.25", (np.array([[1.5]]), 0.25)),
        Probe("a batch without the time axis, default epsilon", (numbers(7),)),
        Probe("numbers around 1e-7, default epsilon", (numbers(3, 2) * 1e-7,), extreme=True),
        Probe("numbers around 1e-10, epsilon is 0", (numbers(5, 1) * 1e-10, 0.0), extreme=True),
        Probe("numbers around a million, epsilon is 0", (numbers(11, 7) * 1e6, 0.0), extreme=True),
        # What a mean of squares minus a squared mean loses here, float32 keeps.
        Probe(
            "three numbers near four million, which differ by a half",
            (2.0**22 + HALVES,),
            extreme=True,
        ),
    ]


def oracle(x, epsilon=1e-8):
    """Return the definition, number by number, with exactly rounded sums."""
    numbers = [float(number) for number in np.ravel(x)]
    mean = math.fsum(numbers) / len(numbers)
    variance = math.fsum((number - mean) ** 2 for number in numbers) / len(numbers)
    spread = math.sqrt(variance) + epsilon
    return np.reshape([(number - mean) / spread for number in numbers], np.shape(x))


def variant(
    x, epsilon=1e-8, *, axis=None, ddof=0, center=True, spread="std + epsilon", use_epsilon=True,
    moment="central",
):  # fmt: skip
    """Return normalised numbers, with options that commit mistakes."""
    if axis is not None and axis >= x.ndim:
        axis = None
    keep = {"axis": axis, "keepdims": True}
    epsilon = epsilon if use_epsilon else 0.0
    mean = x.mean(**keep) if center else 0.0
    with np.errstate(all="ignore"):
        variance = ((x - x.mean(**keep)) ** 2).sum(**keep) / (np.ones_like(x).sum(**keep) - ddof)
        if moment == "squares":
            variance = np.maximum((x**2).mean(**keep) - x.mean(**keep) ** 2, 0.0)
        std = np.sqrt(variance)
        if spread == "std, then + epsilon":
            return (x - mean) / std + epsilon
        if spread == "mean over std":
            return x - mean / (std + epsilon)
        divisor = {
            "std + epsilon": std + epsilon,
            "sqrt(var + epsilon)": np.sqrt(variance + epsilon),
            "variance": variance + epsilon,
            "range": np.ptp(x, **keep) + epsilon,
            "one": 1.0,
            "larger": np.maximum(std, epsilon),
        }[spread]
        return (x - mean) / divisor


MISTAKES = catalogue(
    """
    sample_deviation: ddof=1
        All your numbers are a little too small, by one common factor: your standard deviation
        divides by the number of entries minus one. The task divides by the number of entries. NumPy
        and torch have different defaults here.
    per_environment: axis=0
        You normalise every environment by itself. Each column of yours has mean 0. The mean and the
        deviation are those of all entries together, so that one environment can be better than
        another.
    per_step: axis=1
        You normalise every time step by itself. Each row of yours has mean 0. The mean and the
        deviation are those of all entries together.
    not_centred: center=False
        The scale of your answer is right, but its mean is not 0. What should happen to the numbers
        before they are divided?
    not_scaled: spread="one"
        The mean of your answer is 0, its standard deviation is not 1. Shifting is done; what is
        still missing?
    variance_instead_of_deviation: spread="variance"
        You divide by the variance. Look at units: if the input is in metres, the variance is in
        square metres, and your answer should have no unit.
    variance_and_an_epsilon_of_its_own: ignores(epsilon=1e-06), spread="variance"
        You divide by the variance plus a small number of your own. Two things stand in the task
        instead: the standard deviation, which has the unit of the input, and the argument epsilon.
    range_instead_of_deviation: spread="range"
        You divide by the range, the largest minus the smallest number. The standard deviation of
        your answer is then not 1.
    no_epsilon: use_epsilon=False
        epsilon has no effect in your function. Where all numbers are equal you divide 0 by 0 and
        get NaN; with epsilon the answer there is 0.
    epsilon_ignored: ignores(epsilon=1e-08)
        Changing epsilon changes nothing in your answer: a small number of your own stands in its
        place. Whoever calls the function chooses epsilon. Where does the argument appear?
    epsilon_under_the_root: spread="sqrt(var + epsilon)"
        Your epsilon is added to the variance, before the square root. The formula adds it to the
        standard deviation. The probe with a large epsilon shows the difference.
    epsilon_outside: spread="std, then + epsilon"
        Your epsilon is added to the quotient, not to the divisor. Division comes before addition:
        read your expression as Python reads it.
    mean_divided_only: spread="mean over std"
        You divide the mean alone, not the difference. Division comes before subtraction: read your
        expression as Python reads it.
    squares_minus_squared_mean: moment="squares"
        Where the numbers are large beside their differences, your deviation is off: the mean of the
        squares and the square of the mean agree in nearly all their digits, and the difference
        keeps what is left. Subtract first, square then.
    epsilon_as_floor: spread="larger"
        You use epsilon as a lower bound of the standard deviation. The formula adds it. Both avoid
        a division by zero, but the probes with a large epsilon tell them apart.
    """
)

SPEC = Spec(
    name="normalize",
    exercise=EXERCISE,
    parameters=("x", "epsilon"),
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
)
