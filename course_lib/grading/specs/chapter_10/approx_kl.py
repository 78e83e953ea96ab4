"""Task 10.3: three estimates of the KL from log-probabilities."""

import math

import numpy as np

from ...catalogue import catalogue
from ...sandbox.tools import tensor
from ...spec import Probe, Spec
from ..draws import signed

CASES = {
    "two actions, k1": (2, "k1", 0.0),
    "two actions, k2": (2, "k2", 0.0),
    "two actions, k3": (2, "k3", 0.0),
    "five actions, default estimator": (5, None, 0.0),
    "four actions, k1, log-densities above 0": (4, "k1", 4.0),
    "three actions, k2, log-densities above 0": (3, "k2", 4.0),
    "seven actions, k3, log-densities above 0": (7, "k3", 4.0),
    "four actions, k3, log-probabilities around -900": (4, "k3", -900.0),
}


def harness(function, log_probs, old_log_probs, *estimator):
    """Call it with tensors; nobody asks for a gradient."""
    return function(tensor(log_probs), tensor(old_log_probs), *estimator)


def probes(generator):
    """Return log-ratios of both signs and of different sizes."""
    calls = []
    for title, (size, estimator, shift) in CASES.items():
        old = shift - generator.integers(20, 36, size) / 10
        log_ratios = generator.permutation(np.arange(2, 12))[:size] / 10
        log_ratios[1::2] *= -1
        log_ratios[0] += 0.6  # the log-ratios do not cancel
        last = () if estimator is None else (estimator,)
        if shift < -100:  # eighths are exact in float32 even there
            old, log_ratios = np.round(8 * old) / 8, np.round(8 * log_ratios) / 8
        calls.append(Probe(title, (old + log_ratios, old, *last)))
    far = np.array([24.0, -25.0, 9.0, -4.0]) + generator.integers(0, 4, 4) / 4
    old = -generator.integers(30, 50, 300) / 8
    many = generator.integers(-9, 12, 300) / 8
    for name in ("k1", "k2", "k3"):
        size = "24" if name == "k3" else "-25"
        calls += [
            Probe(f"{name}, log-ratios as far as {size}", (old[:4] + far, old[:4], name)),
            Probe(f"{name}, 300 actions", (old + many, old, name)),
        ]
    tiny = signed(generator, 2, 9, 3, unit=1) * 2.0**-30
    tiny[0] = -(2.0**-25)  # more than the two others together: they do not cancel
    tiny_k1 = Probe("k1, log-ratios of about 1e-8", (tiny, 0 * tiny, "k1"), 1e-9)
    return [*calls, tiny_k1, Probe("k2, the same", (tiny, 0 * tiny, "k2"), 1e-17)]


def oracle(log_probs, old_log_probs, estimator="k3"):
    """Return the mean of the definition over the actions, from the probabilities themselves."""
    terms = []
    for new, old in zip(log_probs, old_log_probs, strict=True):
        ratio = math.exp(new - old)
        if estimator == "k1":
            terms.append(math.log(1 / ratio))
        elif estimator == "k2":
            terms.append(math.log(ratio) ** 2 / 2)
        else:
            terms.append(ratio - 1 - math.log(ratio))
    return math.fsum(terms) / len(terms)


def variant(
    log_probs, old_log_probs, estimator=None, *, default="k3", average="mean", direction="old, new",
    k1="minus log", k2="half", k3="right", weigh="nothing",
    ratio="of logarithms",
):  # fmt: skip
    """Return the estimate from the log-ratios, with options that commit mistakes."""
    estimator = estimator or default
    x = log_probs - old_log_probs
    if direction == "new, old":
        x = -x
    if average == "before":
        x = x.mean().reshape(1)
    if estimator == "k1":
        terms = {"minus log": -x, "log": x, "size": x.abs()}[k1]
    elif estimator == "k2":
        terms = {
            "half": 0.5 * x**2,
            "whole": x**2,
            "size": 0.5 * x.abs(),
            "square of the mean": 0.5 * x.mean().reshape(1) ** 2,
        }[k2]
    else:
        r = log_probs.exp() / old_log_probs.exp() if ratio == "of probabilities" else x.exp()
        terms = {
            "right": r - 1 - x,
            "without 1": x.exp() - x,
            "negative": x - (x.exp() - 1),
            "inverted": (-x).exp() - 1 + x,
            "plus": x.exp() - 1 + x,
        }[k3]
    if weigh == "old probability":
        terms = old_log_probs.exp() * terms
    if weigh == "new probability":
        terms = log_probs.exp() * terms
    if weigh == "ratio":
        terms = (log_probs - old_log_probs).exp() * terms
    return terms.sum() if average == "sum" else terms.mean()


MISTAKES = catalogue(
    """
    log_ratio_reversed: direction="new, old"
        Your log-ratio is old minus new. In k2 that makes no difference, in k1 it turns the sign,
        and k3 becomes an estimate of nothing. The ratio is new over old, as in the surrogate.
    k1_sign: k1="log"
        Your k1 has the wrong sign; the others are right. The actions come from the old policy, and
        on average they are less likely under the new one. Which sign makes the KL positive?
    k1_absolute: k1="size"
        Your k1 takes absolute values. The estimate of a single action may be negative: only because
        both signs occur is the average right. The absolute values are far too large.
    k2_not_halved: k2="whole"
        Your k2 is twice as large as it should be. To second order, the KL is half a squared
        distance.
    k2_not_squared: k2="size"
        Your k2 holds half the absolute log-ratio; the formula has its square. Take policies half as
        far apart: the KL falls to about a quarter.
    k2_square_of_the_mean: k2="square of the mean"
        Your k2 squares the mean of the log-ratios. Log-ratios of opposite sign then cancel, and two
        different policies can look equal. Each log-ratio is squared by itself.
    probabilities_underflow: ratio="of probabilities"
        You turn both log-probabilities into probabilities and divide then. Around -900 both are 0
        for a computer, and 0 / 0 is no number. What must be done to the logarithms, before any
        exponential is taken?
    k3_without_1: k3="without 1"
        Your k3 is too large by 1. For two equal policies every estimate is 0; yours is 1.
    k3_negative: k3="negative"
        Your k3 is never positive. Its terms measure how far the exponential lies above its tangent,
        and it always lies above. What is subtracted from what?
    k3_inverted: k3="inverted"
        Your k3 uses the ratio the wrong way round: that form belongs to actions drawn from the new
        policy. Here the old one drew them. Your k1 and k2 are right.
    k3_log_added: k3="plus"
        Your k3 adds the log-ratio. Near 0, the exponential minus 1 is the log-ratio itself, so the
        two should nearly cancel. Yours add up.
    weighed_by_the_old_policy: weigh="old probability"
        You weigh each term by the probability of its action under the old policy. The actions were
        drawn from it, so likely actions occur more often already. A plain mean over the samples is
        the expectation.
    expectation_by_weights: weigh="old probability", average="sum"
        You add up probability times term. That is an expectation over a list of all actions, each
        of them once. Here the actions are samples: likely ones occur more often already, and a
        plain mean over them is the expectation.
    weighed_by_the_new_policy: weigh="new probability"
        You weigh each term by the probability of its action under the new policy. The actions were
        drawn from the old one. A plain mean over the samples is the expectation.
    importance_weights: weigh="ratio"
        You multiply each term by the ratio. Importance weights would be needed for an expectation
        under the new policy; KL(old || new) is one under the old policy, which drew the actions.
    sum_for_mean: average="sum"
        Your estimates are too large by the number of actions: they are sums. Twice as much data
        should not mean twice the KL.
    mean_before_estimate: average="before"
        You average the log-ratios first. For k1 that is the same. The other two are curved, and the
        square of a mean is not the mean of the squares: log-ratios of opposite sign must not
        cancel.
    default_k1: default="k1"
        Where no estimator is named you use k1. The default is k3. See the fourth probe.
    always_k1: ignores(estimator='k1')
        You return k1 whatever estimator is asked for. See the second and the third probe.
    always_k3: ignores(estimator='k3')
        You return k3 whatever estimator is asked for. See the first two probes.
    """
)

SPEC = Spec(
    name="approx_kl",
    exercise="10_ppo_objectives",
    parameters=("log_probs", "old_log_probs", "estimator"),
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
    harness=harness,
)
