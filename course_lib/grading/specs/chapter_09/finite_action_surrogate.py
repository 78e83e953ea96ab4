"""Task 9.3: the vine's estimate where every action was tried."""

import numpy as np

from ...catalogue import catalogue
from ...sandbox.tools import tensor
from ...spec import Probe, Spec
from ..draws import signed
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

    with np.errstate(divide="ignore"):
        logits = tensor(np.log(probabilities), True)
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
    never = np.array([[0.0, 1.0], [0.25, 0.75]])
    worth = signed(generator, 5, 30, (2, 2))
    worth[0, 0] = 1e15
    many = generator.permuted(np.tile(np.arange(1, 41) / 820, (3, 1)), axis=1)
    calls.append(Probe("an action of probability 0 whose Q-value is huge", (never, worth)))
    calls.append(Probe("40 actions", (many, 1e6 * signed(generator, 5, 30, many.shape))))
    calls.append(Probe("one action only", (np.ones((2, 1)), worth[1:].T)))
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


MISTAKES = catalogue(
    """
    mean_over_actions: reduce="mean"
        Your estimates are too small by the number of actions. The probabilities are the weights of
        an average already; they sum to 1. What would a second division do?
    probabilities_missing: unweighted
        You average the Q-values with equal weights. That is the value of the uniform policy, and it
        does not depend on theta: there is no gradient to follow.
    most_probable_action: best_action
        You take the Q-value of one action, the most probable one. The policy takes the others as
        well, and the point of the vine is that all of them were tried.
    ratio_for_probability: weigh="detached ratio"
        You weigh each action by a ratio to the current policy, as for sampled actions. Here no
        action was sampled: all K were tried once, whatever their probability. What is its weight in
        an expectation?
    ratio_to_uniform: weigh="ratio to uniform"
        Your estimates are too large by the number of actions: you divide the probabilities by those
        of a uniform draw and add up. Nothing was drawn here, and a sum over all actions needs no
        importance weights.
    log_for_probability: weigh="log"
        You weigh by log-probabilities. They are negative, so your estimate falls where Q rises. The
        logarithm belongs to the gradient of sampled actions; this is a plain expectation.
    centred_by_the_mean: baseline="plain mean"
        You subtract the plain mean of the Q-values first. The gradient is right, for a constant per
        state changes none, but the estimate of the surrogate is off by that constant.
    centred_by_the_value: baseline="value"
        Your estimates are all 0: you subtract the state's value, which is what was to be computed.
        The gradient is right, since a constant per state changes none.
    sign: sign=-1.0
        Your estimates have the wrong sign, as a loss would. The surrogate is to be maximised.
        Whoever hands it to an optimiser adds the minus.
    detached: cut=True
        Your estimates are the right numbers, but they have no gradient. The policy gradient is the
        gradient of this sum by the probabilities.
    """,
    unweighted,
    best_action,
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
