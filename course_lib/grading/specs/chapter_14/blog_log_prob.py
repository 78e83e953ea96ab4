"""Task 14.3: repair the log-probability of a blog post."""

from typing import TYPE_CHECKING

import numpy as np

from ...catalogue import catalogue
from ...sandbox.tools import gradient, tensor
from ...spec import Probe, Spec
from ..draws import signed

if TYPE_CHECKING:  # `printed` is only compared with, never called: the judge does not need torch
    import torch

LOG_2PI = np.log(2 * np.pi)
SHAPES = {
    "two states, one action dimension": (2, 1),
    "three states, two dimensions": (3, 2),
    "one state, three dimensions": (1, 3),
    "five states, four dimensions": (5, 4),
}


def printed(actions, mean, log_std):
    """Return log-densities in which the standard deviation stands in a variance's place."""
    std = torch.exp(log_std)
    policy = torch.distributions.MultivariateNormal(mean, torch.diag(std))
    return policy.log_prob(actions)


def harness(function, actions, mean, log_std):
    """Return the log-densities, and the gradients of their sum."""
    mean, log_std = tensor(mean, True), tensor(log_std, True)
    log_probs = function(tensor(actions), mean, log_std)
    return log_probs, gradient(log_probs, mean), gradient(log_probs, log_std)


def probes(generator):
    """Return actions off their means, and log sigmas of both signs that are not 0."""
    calls = []
    for title, (states, dims) in SHAPES.items():
        mean = generator.integers(-30, 30, size=(states, dims)) / 10
        signs = generator.choice([-1.0, 1.0], size=(states, dims))
        actions = mean + signs * generator.integers(4, 15, size=(states, dims)) / 10
        signs = generator.permutation(np.where(np.arange(dims) % 2, 1.0, -1.0))
        log_std = signs * generator.integers(3, 8, size=dims) / 10
        calls.append(Probe(title, (actions, mean, log_std)))
    for title, middle, away in (
        ("a narrow policy, log sigma about -25", -25.0, 1.0),
        ("a wide policy, log sigma about 6", 6.0, 1.0),
        ("actions 40 standard deviations off the mean", 0.0, 40.0),
    ):
        log_std = middle + signed(generator, 2, 12, 3)
        actions = away * signed(generator, 8, 13, (2, 3)) * np.exp(log_std)
        calls.append(Probe(title, (actions, np.zeros((2, 3)), log_std)))
    return calls


def oracle(actions, mean, log_std):
    """Return the product of one-dimensional densities as a sum of logarithms, and its slopes."""
    values, by_mean, by_log_std = np.zeros(len(mean)), np.zeros(mean.shape), np.zeros(log_std.shape)
    for s, i in np.ndindex(mean.shape):
        sigma, distance = np.exp(log_std[i]), actions[s, i] - mean[s, i]
        values[s] += -(distance**2) / (2 * sigma**2) - np.log(sigma * np.sqrt(2 * np.pi))
        by_mean[s, i] = distance / sigma**2
        by_log_std[i] += distance**2 / sigma**2 - 1
    return values, by_mean, by_log_std


def variant(
    actions,
    mean,
    log_std,
    *,
    power=1.0,
    dims="sum",
    constant=1.0,
    width=1.0,
    square=0.5,
    sign=1.0,
    cut="nothing",
    output="log",
):
    """Return log-densities written out, with options that commit mistakes.

    The deviation that is used is exp(power * log_std), so that one half takes sigma for a
    variance, and two takes a variance for sigma.
    """
    if cut == "log_std":
        log_std = log_std.detach()
    log_sigma = power * log_std
    z = (actions - mean) / log_sigma.exp()
    terms = -square * z * z - width * log_sigma - constant * LOG_2PI / 2
    if dims == "each":
        answer = terms
    elif dims == "over states":
        answer = terms.sum(dim=0)
    elif dims == "all":
        answer = terms.sum()
    else:
        answer = terms.mean(dim=1) if dims == "mean" else terms.sum(dim=1)
    if output == "density":
        answer = answer.exp()
    return sign * (answer.detach() if cut == "everything" else answer)


MISTAKES = catalogue(
    """
    deviation_as_covariance: power=0.5
        Your policy still has the variance sigma where it should have sigma squared: it is the fault
        of the blog post. An action one sigma from its mean must lose exactly one half against the
        mean itself. What does the distribution expect as its second argument?
    variance_as_deviation: power=2.0
        Your policy has the deviation sigma squared. It looks as if two repairs were made at once:
        one changed the number, the other the kind of number that the distribution expects. One of
        them is enough.
    root_for_square: power=0.25
        You take the root of sigma, so your variance is further from the right one than the printed
        one was. A covariance matrix holds the square of the deviation.
    deviation_as_precision: power=-0.5
        You hand sigma over as a precision, which is one over a variance. Where log sigma is
        positive, your policy is narrow. Which of the three ways to describe a Gaussian's width is a
        deviation?
    variance_as_precision: power=-1.0
        You hand the variance over as a precision, which is its inverse: where log sigma is
        positive, your policy is narrow, and the other way round.
    deviation_one: power=0.0
        log_std has no effect: your deviation is 1 in every dimension, and the gradient that should
        train it is 0.
    not_summed: dims="each"
        Your answer has one number per dimension. The densities of independent dimensions are
        multiplied, so their logarithms form one sum per state. A distribution of single numbers
        does not do that by itself.
    mean_over_dimensions: dims="mean"
        You average over the action dimensions. The density of independent dimensions is a product,
        whose logarithm is a sum. With one dimension you are right.
    summed_over_states: dims="over states"
        You sum over the states: your answer has one number per action dimension. Asked for is one
        number per state. Which axis counts dimensions?
    summed_over_everything: dims="all"
        You sum over the states as well and return a single number. Each action has its own
        log-probability, or no ratio could be formed from it.
    constant_missing: constant=0.0
        All your numbers are too large by 0.919 per action dimension: half the logarithm of 2 pi is
        missing. It cancels in a ratio, but not in an entropy.
    width_missing: width=0.0
        The term with log sigma is missing. Without it a wider policy costs nothing, and its
        gradient makes sigma grow for ever.
    half_missing: square=1.0
        The squared distance counts twice. In the exponent of a Gaussian stands one half of it: one
        sigma away from the mean the logarithm falls by one half.
    sign: sign=-1.0
        All your numbers have the wrong sign: you return minus the log-probability, which is a loss.
    density: output="density"
        You return densities. The ratio of two policies is formed from their logarithms, because
        densities of many dimensions run out of range.
    log_std_detached: cut="log_std"
        The numbers are right, but log_std has no gradient: the policy's width could never be
        learned. Which of your steps leaves the graph?
    everything_detached: cut="everything"
        The numbers are right, but neither the mean nor log_std has a gradient: nothing could be
        learned. NumPy, `.data` and `torch.no_grad()` all leave the graph.
    """
)

SPEC = Spec(
    name="blog_log_prob",
    exercise="14_reading_code",
    parameters=("actions", "mean", "log_std"),
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
    harness=harness,
    parts=(
        "log-probabilities",
        "gradient with respect to `mean`",
        "gradient with respect to `log_std`",
    ),
    rows="state",
    printed=printed,
)
