"""Task 9.4: the vine's estimate from sampled actions."""

import numpy as np

from ...catalogue import catalogue
from ...sandbox.tools import tensor
from ...spec import Probe, Spec
from ..draws import signed
from .gaussian_log_prob import EXERCISE

SHAPES = {
    "one state, two actions": ((1, 2), 0.0),
    "three states, four actions": ((3, 4), 0.0),
    "five states, three actions": ((5, 3), 0.0),
    "actions of many dimensions: log-densities around -900": ((2, 3), -900.0),
}


def harness(function, log_probs, proposal_log_probs, q_values):
    """Return the estimates and their gradient with respect to the new log-probabilities."""
    import torch

    log_probs = tensor(log_probs, True)
    estimates = function(log_probs, tensor(proposal_log_probs), tensor(q_values))
    if not isinstance(estimates, torch.Tensor) or not estimates.requires_grad:
        return estimates, None
    # States weigh differently, so that a gradient cannot wander from one to another.
    weights = 1.0 + torch.arange(estimates.numel(), dtype=estimates.dtype)
    total = (weights * estimates.reshape(-1)).sum()
    (slope,) = torch.autograd.grad(total, log_probs, allow_unused=True)
    return estimates, slope


def probes(generator):
    """Return log-probabilities with ratios on both sides of 1, and Q-values far from 0."""
    calls = []
    for title, (shape, offset) in SHAPES.items():
        proposal = -generator.integers(3, 25, size=shape) / 10 + offset
        log_ratios = generator.permuted(
            np.tile(np.linspace(-0.9, 0.7, shape[1]), (shape[0], 1)), axis=1
        )
        log_ratios = log_ratios + generator.integers(-3, 4, size=shape) / 10
        q_values = generator.integers(-30, 31, size=shape) / 10 + 3.7
        q_values[0, 0] = -2.3
        calls.append(Probe(title, (np.round(proposal + log_ratios, 1), proposal, q_values)))
    q_values = 1e6 * signed(generator, 5, 30, (3, 3))
    rest = generator.integers(0, 4, size=(3, 3)) / 4  # exact in float32
    for title, ratios in {
        "ratios from e^-12 to e^12": generator.permuted(
            [[-12, 12, 11], [5, 4, -7], [3, 8, 7]], axis=1
        ),
        "all ratios of a state about e^28, or e^-28": np.outer([-28, 28, -27], [1, 1, 1]),
    }.items():
        calls.append(Probe(title, (rest + ratios - 2.0, np.full((3, 3), -2.0), q_values)))
    return calls


def oracle(log_probs, proposal_log_probs, q_values):
    """Return quotients of two sums, and the quotient rule's gradient."""
    estimates, slope = np.zeros(len(q_values)), np.zeros(q_values.shape)
    for n in range(len(q_values)):
        w = [float(np.exp(a - b)) for a, b in zip(log_probs[n], proposal_log_probs[n], strict=True)]
        above = sum(x * q for x, q in zip(w, q_values[n], strict=True))
        estimates[n] = above / sum(w)
        for k in range(len(w)):
            by_weight = (q_values[n, k] * sum(w) - above) / sum(w) ** 2
            slope[n, k] = (n + 1) * w[k] * by_weight
    return estimates, slope


def variant(
    log_probs, proposal_log_probs, q_values, *, weigh="ratio", divide="sum", normaliser="follows",
    baseline=False, sign=1.0, cut="nothing",
):  # fmt: skip
    """Return weighted sums over normalisers, with options that commit mistakes."""
    log_ratio = log_probs - proposal_log_probs
    weights = {
        "ratio": lambda: log_ratio.exp(),
        "inverted": lambda: (-log_ratio).exp(),
        "policy": lambda: (log_probs - log_probs.detach().max(1, keepdim=True).values).exp(),
        "log ratio": lambda: log_ratio,
        "exp of ratio": lambda: log_ratio.exp().exp(),
        "quotient": lambda: log_probs.exp() / proposal_log_probs.exp(),
    }[weigh]()
    if cut == "weights":
        weights = weights.detach()
    if baseline:
        q_values = q_values - q_values.mean(dim=1, keepdim=True)
    count = q_values.shape[1]
    below = {
        "sum": weights.sum(dim=1, keepdim=True),
        "count": count,
        "sum and count": count * weights.sum(dim=1, keepdim=True),
        "everything": weights.sum() / len(q_values),
        "one": 1.0,
    }[divide]
    if normaliser == "cut" and divide != "count":
        below = below.detach() if hasattr(below, "detach") else below
    answer = sign * (weights / below * q_values).sum(dim=1)
    return answer.detach() if cut == "answer" else answer


MISTAKES = catalogue(
    """
    divided_by_the_count: divide="count"
        You divide by the number of actions: the ordinary importance-sampling mean. The
        self-normalised estimate divides by the sum of the weights. Check: if all Q-values of a
        state are 5, its estimate should be 5.
    not_divided: divide="one"
        You add up weight times Q and divide by nothing. With more actions per state your estimate
        grows. Check: if all Q-values of a state are 5, its estimate should be 5.
    divided_twice: divide="sum and count"
        Your estimates are too small by the number of actions: normalised weights sum to 1 and are
        averaged once more. A weighted mean with such weights is a sum.
    normalised_over_all_states: divide="everything"
        You normalise the weights over all states together. Every state has its own estimate, whose
        weights sum to 1. The first probe, with one state, is right.
    ratio_inverted: weigh="inverted"
        Your weights are proposal over policy. An action that the new policy favours should count
        more than it was drawn, not less.
    proposal_ignored: weigh="policy"
        Your weights are the new policy's probabilities alone. An action that was drawn often
        because the proposal favours it counts twice then. Where do the log-probabilities of the
        proposal enter?
    log_ratios_as_weights: weigh="log ratio"
        You weigh by log-ratios. They can be negative or add up to nearly 0, and weights should be
        positive. A difference of logarithms is the logarithm of what?
    exponential_twice: weigh="exp of ratio"
        You take the exponential twice: a softmax of ratios. A softmax exponentiates its argument by
        itself. Large ratios count far too much.
    quotient_of_zeros: weigh="quotient"
        You exponentiate both log-probabilities and divide. Around -900 both are 0 in floating point
        and the quotient is NaN. Densities of many dimensions are that small, their ratio is not.
        Subtract before you exponentiate.
    normaliser_detached: normaliser="cut"
        Your estimates are right, their gradient is not: the sum of the weights is cut off. It
        depends on the policy too. With it, adding a constant to all Q-values leaves the gradient
        alone, and so no baseline is needed.
    centred: baseline=True
        You subtract the mean of the Q-values first. The gradient is right, for this estimator does
        not feel a constant there. Its value does.
    sign: sign=-1.0
        Your estimates have the wrong sign, as a loss would. The surrogate is to be maximised.
        Whoever hands it to an optimiser adds the minus.
    detached: cut="answer"
        Your estimates are the right numbers, but they have no gradient. Only the proposal and the
        Q-values are data here; the new policy's log-probabilities are not.
    """
)

SPEC = Spec(
    name="self_normalised_surrogate",
    exercise=EXERCISE,
    parameters=("log_probs", "proposal_log_probs", "q_values"),
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
    harness=harness,
    parts=("surrogate", "gradient with respect to `log_probs`"),
    rows="state",
)
