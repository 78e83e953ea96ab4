"""Task 9.3: the vine's estimate where every action was tried."""

import numpy as np

from ...sandbox.tools import tensor
from ...spec import Mistake, Probe, Spec
from .gaussian_log_prob import EXERCISE

SHAPES = {
    "one state, two actions": (1, 2),
    "three states, two actions": (3, 2),
    "four states, five actions": (4, 5),
    "seven states, three actions": (7, 3),
}


def harness(function, probabilities, q_values):
    """Return the estimates and their gradient with respect to the logits."""
    import torch

    logits = torch.tensor(np.log(probabilities), requires_grad=True)
    estimates = function(torch.softmax(logits, dim=1), tensor(q_values))
    if not isinstance(estimates, torch.Tensor) or not estimates.requires_grad:
        return estimates, None
    # States weigh differently, so that a gradient cannot wander from one to another.
    weights = 1.0 + torch.arange(estimates.numel(), dtype=estimates.dtype)
    total = (weights * estimates.reshape(-1)).sum()
    (slope,) = torch.autograd.grad(total, logits, allow_unused=True)
    return estimates, slope


def probes(generator):
    """Return probabilities that sum to 1 and Q-values whose mean is far from 0."""
    calls = []
    for title, (states, actions) in SHAPES.items():
        whole = generator.permuted(np.tile(np.arange(1, actions + 1) ** 2, (states, 1)), axis=1)
        whole = whole + generator.integers(0, 3, size=whole.shape)
        probabilities = whole / whole.sum(axis=1, keepdims=True)
        q_values = generator.integers(-30, 31, size=whole.shape) / 10 + 4.7
        q_values[0, 0] = -2.3
        calls.append(Probe(title, (probabilities, q_values)))
    return calls


def oracle(probabilities, q_values):
    """Return the sums term by term, and the gradient that a softmax has on paper."""
    estimates, slope = np.zeros(len(probabilities)), np.zeros(probabilities.shape)
    for n, (p, q) in enumerate(zip(probabilities, q_values, strict=True)):
        for k in range(len(p)):
            estimates[n] += p[k] * q[k]
        for k in range(len(p)):
            slope[n, k] = (n + 1) * p[k] * (q[k] - estimates[n])
    return estimates, slope


def variant(
    probabilities, q_values, *, weigh="probability", reduce="sum", baseline="none", cut=False,
    sign=1.0,
):  # fmt: skip
    """Return products that are summed, with options that commit mistakes."""
    weights = {
        "probability": lambda p: p,
        "log": lambda p: p.log(),
        "detached ratio": lambda p: p / p.detach(),
        "ratio to uniform": lambda p: p * p.shape[1],
    }[weigh](probabilities)
    if baseline == "plain mean":
        q_values = q_values - q_values.mean(dim=1, keepdim=True)
    if baseline == "value":
        q_values = q_values - (probabilities * q_values).sum(1, keepdim=True).detach()
    terms = weights * q_values
    answer = terms.sum(dim=1) if reduce == "sum" else terms.mean(dim=1)
    return sign * (answer.detach() if cut else answer)


def best_action(probabilities, q_values):
    """Take the Q-value of the most probable action."""
    return q_values.gather(1, probabilities.argmax(dim=1, keepdim=True)).squeeze(1)


def unweighted(probabilities, q_values):
    """Take the plain mean of the Q-values."""
    return q_values.mean(dim=1)


MISTAKES = (
    Mistake(
        "mean_over_actions",
        "Your estimates are too small by the number of actions. The probabilities are the weights "
        "of an average already; they sum to 1. What would a second division do?",
        {"reduce": "mean"},
    ),
    Mistake(
        "probabilities_missing",
        "You average the Q-values with equal weights. That is the value of the uniform policy, and "
        "it does not depend on theta: there is no gradient to follow.",
        function=unweighted,
    ),
    Mistake(
        "most_probable_action",
        "You take the Q-value of one action, the most probable one. The policy takes the others as "
        "well, and the point of the vine is that all of them were tried.",
        function=best_action,
    ),
    Mistake(
        "ratio_for_probability",
        "You weigh each action by a ratio to the current policy, as for sampled actions. Here "
        "no action was sampled: all K were tried once, whatever their probability. What is its "
        "weight in an expectation?",
        {"weigh": "detached ratio"},
    ),
    Mistake(
        "ratio_to_uniform",
        "Your estimates are too large by the number of actions: you divide the probabilities by "
        "those of a uniform draw and add up. Nothing was drawn here, and a sum over all "
        "actions needs no importance weights.",
        {"weigh": "ratio to uniform"},
    ),
    Mistake(
        "log_for_probability",
        "You weigh by log-probabilities. They are negative, so your estimate falls where Q rises. "
        "The logarithm belongs to the gradient of sampled actions; this is a plain expectation.",
        {"weigh": "log"},
    ),
    Mistake(
        "centred_by_the_mean",
        "You subtract the plain mean of the Q-values first. The gradient is right, for a constant "
        "per state changes none, but the estimate of the surrogate is off by that constant.",
        {"baseline": "plain mean"},
    ),
    Mistake(
        "centred_by_the_value",
        "Your estimates are all 0: you subtract the state's value, which is what was to be "
        "computed. The gradient is right, since a constant per state changes none.",
        {"baseline": "value"},
    ),
    Mistake(
        "sign",
        "Your estimates have the wrong sign, as a loss would. The surrogate is to be maximised. "
        "Whoever hands it to an optimiser adds the minus.",
        {"sign": -1.0},
    ),
    Mistake(
        "detached",
        "Your estimates are the right numbers, but they have no gradient. The policy gradient is "
        "the gradient of this sum by the probabilities.",
        {"cut": True},
    ),
)

SPEC = Spec(
    name="finite_action_surrogate",
    exercise=EXERCISE,
    parameters=("probabilities", "q_values"),
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
    harness=harness,
    parts=("surrogate", "gradient with respect to the logits"),
    rows="state",
)
