"""Task 1.2: the loss whose gradient is the policy gradient."""

import numpy as np

from ...catalogue import catalogue
from ...sandbox.tools import gradient, tensor, without_leak
from ...spec import Probe, Spec
from ..draws import signed

SIZES = {  # steps, scale of the weights, whether the log-probabilities are extreme
    "three steps": (3, 1.0, False),
    "one step": (1, 1.0, False),
    "eight steps": (8, 1.0, False),
    "weights around a million": (5, 1e6, False),
    "weights around 1e-9": (4, 1e-9, False),
    "log-probabilities from -3000 to 12, as log-densities may be": (37, 1.0, True),
}


def harness(function, log_probs, weights):
    """Return the loss and its gradients; a critic's gradient could flow through the weights."""
    log_probs, weights = tensor(log_probs, True), tensor(weights, True)
    loss = function(log_probs, weights)
    return loss, gradient(loss, log_probs), without_leak(gradient(loss, weights), weights)


def probes(generator):
    """Return log-probabilities and weights of both signs, with a mean that is not 0."""
    calls = []
    for title, (size, scale, extreme) in SIZES.items():
        log_probs = -generator.integers(1, 30, size=size) / 10
        weights = signed(generator, 5, 40, size)
        weights[0] = abs(weights[0]) + 4.0
        if extreme:
            log_probs = np.linspace(-3000.0, 12.0, size)
            weights[3] = 0.0
        calls.append(Probe(title, (log_probs, weights * scale), scale, extreme or scale != 1.0))
    return calls


def oracle(log_probs, weights):
    """Return loss and gradients as plain sums."""
    size = len(weights)
    loss = -sum(w * p for w, p in zip(weights, log_probs, strict=True)) / size
    return loss, -weights / size, np.zeros(size)


def variant(
    log_probs, weights, *, sign=-1.0, average="mean", weigh="data", use="log", centred=False,
    scale="one",
):  # fmt: skip
    """Return the loss by autograd, with options that commit mistakes."""
    factors = weights if weigh == "graph" else weights.detach()
    if centred:
        factors = factors - factors.mean()
    if scale != "one":
        # torch divides by B - 1 unless it is told otherwise; one step is NaN then.
        factors = factors - factors.mean()
        degrees = len(factors) - (scale == "sample")
        factors = factors / ((factors.square().sum() / degrees).sqrt() + 1e-8)
    terms = (log_probs.exp() if use == "probability" else log_probs) * factors
    if use == "detached":
        terms = terms.detach()
    if use == "without weights":
        terms = log_probs
    return sign * (terms.sum() if average == "sum" else terms.mean())


def products_of_means(log_probs, weights):
    """Average first, multiply afterwards."""
    return -log_probs.mean() * weights.detach().mean()


MISTAKES = catalogue(
    """
    sign: sign=1.0
        Your loss has the wrong sign. An optimiser makes its loss smaller, and the policy gradient
        wants the log-probability of a step with a positive weight to grow. Look at the sign of the
        gradient where the weight is positive.
    sum_for_mean: average="sum"
        Your loss is too large by the number of steps: it is a sum. With a sum the size of the
        gradient, and so the right learning rate, depends on how much data was collected.
    gradient_through_the_weights: weigh="graph"
        The loss is right, but a gradient also flows into the weights. They are data here: where
        they come from a critic, your policy loss would train the critic to be wrong.
    probability_for_log: use="probability"
        You weigh probabilities instead of their logarithms. The gradient of a probability favours
        the actions that are taken often already. Which identity turned the gradient of an
        expectation into an expectation?
    log_probs_detached: use="detached"
        The loss is the right number, but its gradient does not exist: the log-probabilities are cut
        off from the policy. Nothing would be learned.
    weights_missing: use="without weights"
        The weights have no effect: every action taken becomes more likely, whether it was good or
        bad. All entries of your gradient are equal.
    weights_centred: centred=True
        You subtract the mean of the weights first. That is a baseline, and a useful one, but it is
        a step of its own: with one step it leaves nothing to learn from, as the second probe shows.
    weights_normalised_sample: scale="sample"
        You subtract the mean of the weights and divide by their standard deviation. That is a step
        of its own, chapter 2, and the caller takes it or not. With one step, the second probe, it
        leaves NaN.
    weights_normalised_population: scale="population"
        You subtract the mean of the weights and divide by their standard deviation. That is a step
        of its own, chapter 2, and the caller takes it or not. With one step, the second probe, it
        leaves nothing to learn from.
    product_of_means: products_of_means
        You multiply the mean log-probability by the mean weight. With one step that is the same,
        with more it is not: each log-probability belongs to its own weight.
    """,
    products_of_means,
)

SPEC = Spec(
    name="policy_gradient_loss",
    exercise="01_policy_gradients",
    parameters=("log_probs", "weights"),
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
    harness=harness,
    parts=(
        "loss",
        "gradient with respect to `log_probs`",
        "gradient with respect to `weights`",
    ),
    rows="step",
)
