"""Task 5.1: KL(old || new) of diagonal Gaussians."""

import math

import numpy as np

from ...catalogue import catalogue
from ...sandbox.tools import gradient, tensor
from ...spec import Probe, Spec
from ..draws import signed

# Shape of the means, then whether each log sigma is shared by all states.
SCENES = {
    "one state, one dimension": ((1, 1), False, False),
    "four states, one dimension": ((4, 1), False, False),
    "one state, three dimensions": ((1, 3), False, False),
    "three states, two dimensions": ((3, 2), False, False),
    "five states that share their log sigmas": ((5, 3), True, True),
    "old log sigmas shared, new ones given per state": ((4, 3), True, False),
}


EXTREMES = {-24.0: 1e-10, -6.0: 1e-3, 6.0: 300.0, 12.0: 1e5}  # log sigma: distance of the means


def harness(function, old_mean, old_log_std, new_mean, new_log_std):
    """Return the KL of every state, and the gradients of their sum."""
    old = tensor(old_mean), tensor(old_log_std)
    new = tensor(new_mean, True), tensor(new_log_std, True)
    kl = function(*old, *new)
    return kl, gradient(kl, new[0]), gradient(kl, new[1])


def probes(generator):
    """Return pairs of Gaussians that differ everywhere, and one pair that is equal."""

    def means(shape):
        return generator.integers(-20, 21, size=shape) / 10

    def log_stds(shape):
        return signed(generator, 1, 9, shape)

    calls = []
    for title, (shape, *shared) in SCENES.items():
        old_mean = means(shape)
        moved = signed(generator, 3, 15, shape)
        old, new = (log_stds(shape[1:] if common else shape) for common in shared)
        # Every sigma changes: some grow and some shrink.
        new = np.where(np.abs(new - old) < 0.25, np.round(old + 0.6, 1), new)
        calls.append(Probe(title, (old_mean, old, old_mean + moved, new)))
    mean, log_std = means((3, 2)), log_stds((3, 2))
    same = mean, log_std, mean.copy(), log_std.copy()
    calls.append(Probe("old and new are equal, so the KL is 0", same, 0.1))
    for centre, size in EXTREMES.items():
        shift, offset = signed(generator, 3, 15, (2, 4)), signed(generator, 1, 9, (2, 4))
        arguments = 0.0 * shift, centre + offset / 4, size * shift, centre - offset / 5
        calls.append(
            Probe(f"log sigmas around {centre:g}, means {size:g} apart", arguments, extreme=True)
        )
    wide = np.zeros((1, 2)), np.array([[-6.0, 6.0]]), np.array([[0.3, 0.0]]), np.array([-3.0, 3.5])
    return [*calls, Probe("one sigma grows by e^3, one shrinks by e^2.5", wide)]


def oracle(old_mean, old_log_std, new_mean, new_log_std):
    """Return the integral of p (log p - log q) on paper, entry by entry, and its derivatives."""
    states, dimensions = old_mean.shape
    kl, by_mean, by_log_std = (
        np.zeros(states),
        np.zeros(new_mean.shape),
        np.zeros(new_log_std.shape),
    )
    for s in range(states):
        for d in range(dimensions):
            at = (s, d) if new_log_std.ndim == 2 else (d,)
            sigma = math.exp(old_log_std[(s, d) if old_log_std.ndim == 2 else (d,)])
            tau = math.exp(new_log_std[at])
            shift = old_mean[s, d] - new_mean[s, d]
            # E_p (x - new mean)^2 is the old variance plus the shift squared.
            spread = (sigma**2 + shift**2) / tau**2
            kl[s] += math.log(tau / sigma) + spread / 2 - 0.5
            by_mean[s, d] = -shift / tau**2
            by_log_std[at] += 1.0 - spread
    return kl, by_mean, by_log_std


def variant(
    old_mean,
    old_log_std,
    new_mean,
    new_log_std,
    *,
    order="old new",
    scale="log std",
    power=2.0,
    log_ratio="new over old",
    shift="squared",
    divide="new",
    half="both",
    spread="both",
    constant="per dimension",
    output="per state",
    cut="nothing",
):  # fmt: skip
    """Return cross-entropy minus entropy by autograd, with options that commit mistakes."""
    import torch

    if cut == "log std":
        new_log_std = new_log_std.detach()
    if cut == "mean":
        new_mean = new_mean.detach()
    if order == "new old":
        old_mean, old_log_std, new_mean, new_log_std = new_mean, new_log_std, old_mean, old_log_std
    if scale == "log variance":
        old_log_std, new_log_std = old_log_std / 2, new_log_std / 2
    old, new = torch.exp(power * old_log_std), torch.exp(power * new_log_std)
    distance = old_mean - new_mean
    distance = {
        "squared": distance**2, "plain": distance, "absolute": distance.abs(), "none": 0 * distance
    }[shift]  # fmt: skip
    divisor = {"new": new, "old": old, "nothing": torch.ones_like(new)}
    ratio = {"both": old / new, "shift": 0 * old, "over old": torch.ones_like(old)}[spread]
    terms = (ratio + distance / divisor[divide]) * (1.0 if half == "none" else 0.5)
    terms = terms + {"new over old": 1.0, "old over new": -1.0, "none": 0.0, "halved": 0.5}[
        log_ratio
    ] * (new_log_std - old_log_std)
    if constant == "per dimension":
        terms = terms - 0.5
    kl = terms.sum(dim=-1) - (0.5 if constant == "once" else 0.0)
    kl = {
        "per state": lambda: kl,
        "mean over states": lambda: kl.mean(),
        "sum over states": lambda: kl.sum(),
        "mean over dimensions": lambda: terms.mean(dim=-1),
        "per dimension": lambda: terms,
        "over states only": lambda: terms.sum(dim=0),
        "minus": lambda: -kl,
    }[output]()
    return kl.detach() if cut == "all" else kl


def one_sum_over_all(old_mean, old_log_std, new_mean, new_log_std):
    """Sum the logarithms over the dimensions, and the rest over the states too."""
    log_ratio = new_log_std - old_log_std
    z = (old_mean - new_mean) / new_log_std.exp()
    return log_ratio.sum(dim=-1) + ((-2 * log_ratio).exp() + z**2 - 1).sum() / 2


MISTAKES = catalogue(
    """
    reversed: order="new old"
        You compute KL(new || old). The two directions agree where old and new are close, and differ
        where one is wider than the other. The book takes the expectation under the old policy,
        which collected the data. Under which of the two must it be taken?
    log_std_as_log_variance: scale="log variance"
        You read the log sigmas as logarithms of the variance. Where the means agree and one sigma
        is twice the other, yours is too small. What is the variance, if the logarithm of the
        standard deviation is given?
    sigma_not_squared: power=1.0
        Standard deviations stand where the variances belong, in the quotient of the two and under
        the squared distance of the means. Test it with old and new one unit apart and sigma 2 for
        both: the KL is 1/8 there.
    log_ratio_upside_down: log_ratio="old over new"
        The logarithm of the two sigmas has the wrong sign. A sign to remember: a new policy that is
        much wider than the old one must cost something, and only this term can grow then. Yours
        becomes negative.
    log_ratio_missing: log_ratio="none"
        The logarithm of the two sigmas is missing. Without it the widest new policy always looks
        closest: its value falls to minus one half, and no KL is negative.
    log_ratio_halved: log_ratio="halved"
        The difference of the log sigmas enters with the factor one half. That factor belongs to the
        logarithm of the variances. Is it sigma or sigma squared inside your logarithm?
    divided_by_the_old_variance: divide="old"
        You measure the distance of the means in units of the old sigma. The logarithm of the new
        density is what holds the new mean, so whose width stands under that distance?
    all_in_old_variances: divide="old", spread="over old"
        Everything is divided by the old variance, so the new sigma is in the logarithm alone. The
        logarithm of the new density is averaged, and in it every distance is measured in units of
        the new sigma.
    distance_not_divided: divide="nothing"
        The squared distance of the means is not divided by any variance. The same distance is far
        for a narrow policy and near for a wide one. The terms that hold the sigmas alone are right.
    distance_not_squared: shift="plain"
        The distance of the means enters as it is, without a square. The KL must not depend on the
        direction in which the mean moved: swap two means and look.
    absolute_distance: shift="absolute"
        The distance of the means enters by its absolute value, not by its square. A KL is flat at
        equal means: half the distance costs a quarter.
    means_missing: shift="none"
        The means have no effect, only the sigmas do. Two Gaussians of equal width around different
        means differ as well.
    old_variance_missing: spread="shift"
        The old variance is missing: only the distance of the means is divided by the new one. An
        action of the old policy also scatters around its own mean, and the new density has to cover
        that.
    one_half_missing: half="none"
        The quotient of variances and the squared distance enter with twice their weight. A
        Gaussian's exponent has a one half in front. With equal policies the KL must be 0; yours is
        one half per dimension.
    constant_missing: constant="none"
        Your KL is too large by one half per dimension. Put old and new equal: it must be 0 there.
        What does the quotient of the variances leave over?
    constant_once: constant="once"
        The constant one half is subtracted once per state. Every dimension has its own: with one
        dimension yours is right, with more it is too large.
    mean_over_dimensions: output="mean over dimensions"
        Your KL is too small by the number of action dimensions. For independent dimensions the
        log-densities add up, and so do the KLs. Only over states is there ever a mean.
    per_dimension: output="per dimension"
        You return one KL for every action dimension. The dimensions of an action are independent,
        so the KL of a state is their sum: one axis has to go.
    over_states: output="over states only"
        You add up the states and keep the dimensions. The axis that counts the states must survive:
        one number per row of the means.
    mean_over_states: output="mean over states"
        You return the mean over the states, one number. This function returns the KL of every
        state; whoever calls it takes the mean, and may want the largest as well.
    sum_over_everything: output="sum over states"
        You return one number, the sum over states and dimensions. Only the dimensions are summed
        here. Which axis does `sum` take if none is given?
    one_term_summed_over_states: one_sum_over_all
        One of your sums runs over everything: the logarithms are added up over the dimensions, the
        squares over the states too. With one state that is the same. Every sum needs the last axis
        alone, and shared log sigmas must not lose the axis of the states.
    sign: output="minus"
        All your values have the wrong sign. A KL is never negative: it is 0 for equal policies and
        positive for all others.
    detached: cut="all"
        The KL is the right number, but it has no gradient: a penalty made of it would change
        nothing. Look for `.detach()`, `.item()`, NumPy or `torch.no_grad()` on the new side.
    log_std_detached: cut="log std"
        The values are right, but no gradient reaches the new log sigmas. The policy could change
        its width at no cost. Where are they cut off?
    mean_detached: cut="mean"
        The values are right, but no gradient reaches the new means. Only the old policy counts as
        data here. Where are the new means cut off?
    """,
    one_sum_over_all,
)

SPEC = Spec(
    name="gaussian_kl",
    exercise="05_kl_geometry",
    parameters=("old_mean", "old_log_std", "new_mean", "new_log_std"),
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
    harness=harness,
    parts=(
        "KL",
        "gradient with respect to `new_mean`",
        "gradient with respect to `new_log_std`",
    ),
    rows="state",
)
