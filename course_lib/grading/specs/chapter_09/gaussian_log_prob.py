"""Task 9.1: the log-density of a diagonal Gaussian policy."""

import numpy as np

from ...catalogue import catalogue
from ...sandbox.tools import gradient, tensor
from ...spec import Probe, Spec
from ..draws import signed

EXERCISE = "09_trpo_in_practice"
SCENES = {  # states, action dimensions, whether log sigma depends on the state
    "two states, one action dimension": (2, 1, False),
    "three states, two action dimensions": (3, 2, False),
    "five states, three action dimensions": (5, 3, False),
    "log sigma depends on the state": (4, 2, True),
}
EXTREMES = {  # states, dimensions, mean of log sigma, standard deviations off the mean
    "a narrow policy, log sigma about -25": (3, 2, -25.0, 1.0),
    "a wide policy, log sigma about 6": (2, 3, 6.0, 1.0),
    "twelve dimensions, 40 standard deviations off the mean": (2, 12, 0.0, 40.0),
}


def harness(function, mean, log_std, actions):
    """Return the log-densities and their gradients."""
    mean, log_std = tensor(mean, True), tensor(log_std, True)
    log_probs = function(mean, log_std, tensor(actions))
    return log_probs, gradient(log_probs, mean), gradient(log_probs, log_std)


def probes(generator):
    """Return means, log sigmas of both signs, and actions on both sides of [-1, 1]."""
    calls = []
    for title, (states, size, own) in SCENES.items():
        mean = generator.integers(-15, 16, size=(states, size)) / 10
        shape = (states, size) if own else (size,)
        log_std = generator.choice([-1.0, 1.0], size=shape) * generator.integers(2, 8, shape) / 10
        shift = generator.choice([-1.0, 1.0], size=mean.shape) * generator.integers(3, 13, size)
        actions = np.round(mean + shift / 10, 1)
        actions[0, 0] = 1.7 if generator.random() < 0.5 else -1.6  # never inside [-1, 1]
        calls.append(Probe(title, (mean, log_std, actions)))
    for title, (states, size, middle, away) in EXTREMES.items():
        log_std = middle + signed(generator, 2, 12, size)
        actions = away * signed(generator, 8, 13, (states, size)) * np.exp(log_std)
        calls.append(Probe(title, (np.zeros(actions.shape), log_std, actions)))
    return calls


def oracle(mean, log_std, actions):
    """Return logarithms of densities, and gradients worked out on paper."""
    sigma = np.broadcast_to(np.exp(log_std), mean.shape)
    exponents = -((actions - mean) ** 2) / (2 * sigma**2)
    heights = np.log(1 / np.sqrt(2 * np.pi * sigma**2))
    by_mean = (actions - mean) / sigma**2
    by_log_std = (actions - mean) ** 2 / sigma**2 - 1.0
    if log_std.ndim == 1:
        by_log_std = by_log_std.sum(axis=0)
    return (exponents + heights).sum(axis=1), by_mean, by_log_std


def variant(
    mean, log_std, actions, *, sigma="exp", half=0.5, constant="each dimension", width="minus",
    reduce="sum", clipped=False, power=2, output="log", cut="nothing",
):  # fmt: skip
    """Return the sum of three terms, with options that commit mistakes."""
    if cut == "mean":
        mean = mean.detach()
    if cut == "log_std":
        log_std = log_std.detach()
    if clipped:
        actions = actions.clamp(-1.0, 1.0)
    if sigma == "softplus":
        log_std = (1.0 + log_std.exp()).log()
    scale = {"variance": 0.5, "log_std squared": 2.0}.get(sigma, 1.0)
    width_term = log_std * {"minus": -scale, "plus": scale, "missing": 0.0}[width]
    if sigma == "itself":  # NaN where it is negative
        spread, width_term = log_std, -log_std.log()
    else:
        spread = (scale * log_std).exp()
    pieces = -half * (actions - mean) ** 2 / spread**power + width_term
    two_pi = float(np.log(2.0 * np.pi))
    pieces = pieces - {"each dimension": 0.5, "not halved": 1.0}.get(constant, 0.0) * two_pi
    total = pieces.mean(dim=1) if reduce == "mean" else pieces.sum(dim=1)
    total = total - (0.5 * two_pi if constant == "once" else 0.0)
    return total.exp() if output == "density" else total


MISTAKES = catalogue(
    """
    sigma_as_variance: sigma="variance"
        You take exp(log_std) for the variance. It is the standard deviation. A multivariate normal
        in a library wants the covariance as its second argument, and this is how it happens. Where
        log_std is 0 the two agree.
    sigma_squared_twice: sigma="log_std squared"
        You take exp(log_std) squared for the standard deviation. It is the standard deviation
        itself; only inside the exponent of the density is it squared, once.
    softplus: sigma="softplus"
        You turn log_std into the standard deviation by a softplus. The argument is a logarithm.
        Which function undoes a logarithm?
    log_std_as_sigma: sigma="itself"
        You use log_std as the standard deviation. Where it is negative your answer is NaN, as a
        standard deviation can't be negative. The argument is its logarithm.
    sigma_not_squared: power=1
        The squared distance is divided by sigma, not by its square. The quotient should have no
        unit. The gradient with respect to the mean shows it too.
    half_missing: half=1.0
        The squared distance enters with weight 1. In the density's exponent it is halved. The
        gradient with respect to the mean is twice the right one.
    log_sigma_missing: width="missing"
        The term with log_std alone is missing. A narrower Gaussian is higher at its centre, since
        its integral is 1. Without that term the policy can raise every log-probability by widening
        sigma for ever.
    log_sigma_added: width="plus"
        The term with log_std alone has the wrong sign. A wider Gaussian is lower at its centre.
        Only the value and the gradient with respect to `log_std` show it.
    two_pi_missing: constant="missing"
        The constant with 2 pi is missing. Ratios of probabilities would not notice, but the
        log-density is off by 0.919 per action dimension.
    two_pi_once: constant="once"
        The constant with 2 pi is counted once per state. It belongs to every action dimension: the
        probe with one dimension is right, the others are not.
    two_pi_not_halved: constant="not halved"
        The constant with 2 pi is twice too large. The density divides by the square root of 2 pi.
        What does a square root become under a logarithm?
    mean_over_dimensions: reduce="mean"
        You average over the action dimensions. The dimensions are independent, so their densities
        are multiplied, and logarithms add up. The probe with one dimension is right.
    action_clipped: clipped=True
        You clip the actions to [-1, 1] first. The policy drew the unclipped action, and that is the
        one whose density the gradient needs. The environment does the clipping. Only states with an
        action outside that range are off.
    density: output="density"
        You return the density, not its logarithm. A log-density may have any sign; all your numbers
        are positive.
    mean_detached: cut="mean"
        The numbers are right, but no gradient reaches `mean`. The policy's network would never
        learn where to act.
    log_std_detached: cut="log_std"
        The numbers are right, but no gradient reaches `log_std`. The policy could never become more
        or less random.
    """
)

SPEC = Spec(
    name="gaussian_log_prob",
    exercise=EXERCISE,
    parameters=("mean", "log_std", "actions"),
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
    harness=harness,
    parts=(
        "log-density",
        "gradient with respect to `mean`",
        "gradient with respect to `log_std`",
    ),
    rows="state",
)
