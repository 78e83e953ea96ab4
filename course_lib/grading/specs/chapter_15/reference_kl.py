"""Task 15.4: three estimates of the KL to a reference, token by token, as a loss."""

import math

import numpy as np

from ...catalogue import catalogue
from ...sandbox.tools import gradient, tensor
from ...spec import Probe, Spec
from .answers import tokens

CASES = {
    "one answer of three tokens, k1": (1, 3, "k1", 0.0),
    "one answer of three tokens, k2": (1, 3, "k2", 0.0),
    "one answer of three tokens, k3": (1, 3, "k3", 0.0),
    "two answers, k1": (2, 4, "k1", 0.0),
    "three answers, k2, log-probabilities around -900": (3, 2, "k2", -900.0),
    "three answers, k3": (3, 2, "k3", 0.0),
    "two answers, k3, log-probabilities around -900": (2, 3, "k3", -900.0),
}


def harness(function, log_probs, reference_log_probs, estimator):
    """Return the estimates and the gradient of their sum."""
    new = tensor(log_probs, True)
    found = function(new, tensor(reference_log_probs), estimator)
    return None if found is None else (found, gradient(found, new))


def probes(generator):
    """Return log-ratios of both signs, small and large."""
    calls = []
    for title, (answers, places, estimator, shift) in CASES.items():
        new, ref, _ = tokens(generator, [places] * answers, places)
        new[0, 0], new[-1, -1] = ref[0, 0] + 1.25, ref[-1, -1] - 0.75  # both signs are there
        new, ref = np.round(8 * (new + shift)) / 8, np.round(8 * (ref + shift)) / 8
        calls.append(Probe(title, (new, ref, estimator)))
    far = np.array([[9.0, -9.0, 4.0, -4.0]])
    for name in ("k1", "k2", "k3"):
        title = f"{name}, policies far apart"
        calls.append(Probe(title, (far - 12.0, 0 * far - 12.0, name)))
        same = np.array([[-1.0, -0.5]])
        calls.append(Probe(f"{name}, the policy is the reference", (same, same.copy(), name)))
    tiny = np.array([[1.0, -2.0, 3.0]]) * 2.0**-12
    calls.append(Probe("k2, policies very near", (tiny - 1.0, 0 * tiny - 1.0, "k2"), 1e-7))
    return calls


def oracle(log_probs, reference_log_probs, estimator):
    """Return each token's estimate and its slope, from the ratio reference over policy."""
    values, slopes = np.zeros(log_probs.shape), np.zeros(log_probs.shape)
    for place in np.ndindex(log_probs.shape):
        r = math.exp(reference_log_probs[place] - log_probs[place])
        values[place], slopes[place] = {
            "k1": (-math.log(r), 1.0),
            "k2": (math.log(r) ** 2 / 2, -math.log(r)),
            "k3": (r - 1 - math.log(r), 1 - r),
        }[estimator]
    return values, slopes


def variant(
    log_probs, reference_log_probs, estimator, *, direction="policy, reference", k1="right",
    k2="half", k3="right", weigh="nothing", cut="nothing", ratio="of logarithms",
):  # fmt: skip
    """Return it by autograd, with options that commit mistakes."""
    import torch

    x = log_probs - reference_log_probs
    if direction == "reference, policy":
        x = -x
    r = (-x).exp()
    if ratio == "of probabilities":
        r = reference_log_probs.exp() / log_probs.exp()
    if cut == "ratio":
        r = r.detach()
    if estimator == "k1":
        terms = {"right": x, "sign": -x, "size": x.abs()}[k1]
    elif estimator == "k2":
        terms = {"half": x**2 / 2, "whole": x**2, "size": x.abs() / 2}[k2]
    else:
        terms = {
            "right": r - 1 + x,
            "reversed": torch.exp(x) - 1 - x,
            "without 1": r + x,
            "minus": r - 1 - x,
            "negative": 1 - r - x,
            "ratio only": r - 1,
        }[k3]
    if weigh == "policy":
        terms = log_probs.exp() * terms
    if weigh == "importance":
        terms = torch.exp(log_probs - log_probs.detach()) * terms
    if weigh == "length":
        terms = terms / terms.shape[-1]
    return terms.detach() if cut == "everything" else terms


MISTAKES = catalogue(
    """
    direction_reversed: direction="reference, policy"
        You take reference minus policy in all three. The answers were drawn by the policy, so the
        KL is that from the policy to the reference: k1 must be positive on average.
    k3_reversed: k3="reversed"
        Your k3 has the ratio the wrong way round. For tokens that the policy drew, the ratio whose
        mean is 1 is reference over policy; yours has no mean that is known. k1 and k2 are right.
    k1_sign: k1="sign"
        Your k1 has the wrong sign. On average a policy finds its own tokens likelier than the
        reference does, and there k1 should be positive.
    k1_absolute: k1="size"
        Your k1 takes absolute values. A single token may count negative: only because both signs
        occur is the mean right.
    k2_not_halved: k2="whole"
        Your k2 is twice as large as it should be, and so is its gradient.
    k2_not_squared: k2="size"
        Your k2 holds half the absolute log-ratio; the formula has its square.
    k3_without_1: k3="without 1"
        Your k3 is too large by 1. For two equal policies every estimate is 0.
    k3_log_subtracted: k3="minus"
        Your k3 subtracts the log-ratio, where policy over reference has to be added. Near 0 the two
        parts should nearly cancel; yours add up.
    k3_negative: k3="negative"
        Your k3 is never positive. It measures how far an exponential lies above its tangent.
    k3_log_missing: k3="ratio only"
        Your k3 is the ratio less 1, which is 0 on average whatever the policies are. Which term
        gives it the KL as its mean?
    weighed_by_the_policy: weigh="policy"
        You weigh each token by its probability. The tokens were drawn by the policy, so likely ones
        occur more often already.
    importance_ratio_added: weigh="importance"
        The estimates are right, their gradients are not: you multiply by a ratio that is 1 and has
        a gradient of its own. That is the repair this chapter discusses; the task asks for the
        estimator alone.
    averaged_over_the_answer: weigh="length"
        You divide by the number of tokens. One estimate per token is asked for; who averages
        decides how.
    ratio_detached: cut="ratio"
        The estimates are right, but your k3 treats its ratio as a constant. Its gradient is then
        that of k1, whose mean is 0.
    everything_detached: cut="everything"
        The estimates are right, but they carry no gradient to the policy: as a loss they would do
        nothing.
    probabilities_underflow: ratio="of probabilities"
        You turn both log-probabilities into probabilities and divide then. Around -900 both are 0
        for a computer, and 0 / 0 is no number. Subtract the logarithms before any exponential.
    always_k1: ignores(estimator='k1')
        You return k1 whatever estimator is asked for. See the second and the third probe.
    always_k2: ignores(estimator='k2')
        You return k2 whatever estimator is asked for. See the first and the third probe.
    always_k3: ignores(estimator='k3')
        You return k3 whatever estimator is asked for. See the first two probes.
    """
)

SPEC = Spec(
    name="reference_kl",
    exercise="15_language_models",
    parameters=("log_probs", "reference_log_probs", "estimator"),
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
    harness=harness,
    parts=("estimates", "gradient with respect to `log_probs`"),
    rows="answer",
)
