"""Task 14.4: repair the Fisher-vector product of a lecture slide."""

from typing import TYPE_CHECKING

import numpy as np

from ...catalogue import catalogue
from ...sandbox.tools import tensor
from ...spec import Probe, Spec

if TYPE_CHECKING:  # `printed` is only compared with, never called: the judge does not need torch
    import torch

# states, features, actions, damping
SIZES = {
    "one state, one feature, two actions, no damping": (1, 1, 2, 0.0),
    "three states, two features, three actions": (3, 2, 3, 0.25),
    "two states, three features, four actions": (2, 3, 4, 0.1),
    "five states, two features, three actions, no damping": (5, 2, 3, 0.0),
    "six states, three features, two actions": (6, 3, 2, 0.6),
}


def printed(logits_fn, theta, vector, damping):
    """Return the product with the Hessian of the KL of a policy to itself, which is 0."""
    old = torch.log_softmax(logits_fn(theta), dim=-1)
    new = torch.log_softmax(logits_fn(theta), dim=-1)
    kl = (old.exp() * (old - new)).sum(dim=-1).mean()
    (slope,) = torch.autograd.grad(kl, theta, create_graph=True)
    (product,) = torch.autograd.grad(slope @ vector, theta)
    return product + damping * vector


def harness(function, features, theta, vector, damping):
    """Build the policy, whose logits are curved in theta, and call twice with the same theta.

    Returned are the product, and what the second call changes about it. That is NaN where backward
    meets the graph of the first call: that error has one cause, and the judge knows it.
    """
    features, theta = tensor(features), tensor(theta, True)

    def logits_fn(theta):
        return 2 * (features @ theta.reshape(features.shape[1], -1)).tanh()

    def product():
        answer = function(logits_fn, theta, tensor(vector), damping)
        # A copy: what is returned may be the tensor in which gradients pile up.
        return answer.detach().numpy().copy() if hasattr(answer, "detach") else answer

    first = product()
    if first is None:
        return None
    try:
        second = product()
    except RuntimeError as error:
        if "backward through the graph a second time" not in str(error):
            raise
        second = np.full(np.shape(first), np.nan)
    try:
        return first, np.subtract(second, first)
    except (TypeError, ValueError):
        return first, first


def probes(generator):
    """Return features, parameters and a vector of both signs."""
    calls = []
    for title, (states, width, actions, damping) in SIZES.items():
        features = generator.integers(4, 15, size=(states, width)) / 10
        features[:, ::2] *= generator.choice([-1.0, 1.0], size=(states, 1))
        theta = generator.permutation(np.arange(-9, 10))[: width * actions] / 10
        signs = np.where(np.arange(len(theta)) % 2, -1.0, 1.0)
        vector = signs * generator.integers(20, 60, size=len(theta)) / 10
        calls.append(Probe(title, (features, theta, vector, damping)))
    features, theta, vector, _ = calls[1].arguments
    tiny = 2.0**-13 * features
    return [
        *calls,
        Probe("features of about 1e-4, no damping", (tiny, theta, vector, 0.0), 1e-9),
        Probe("a vector of about 1e-8", (features, theta, 2.0**-28 * vector, 0.25), 1e-9),
        Probe("a vector of about 1e6", (features, theta, 2.0**18 * vector, 1.0)),
        Probe("a damping of 1e6", (features, theta, vector, 1e6)),
    ]


def oracle(features, theta, vector, damping):
    """Return the dense Fisher matrix, as the covariance of the scores, times the vector."""
    states, width = features.shape
    weights = theta.reshape(width, -1)
    actions = weights.shape[1]
    fisher = damping * np.eye(len(theta))
    for x in features:
        bent = np.tanh(x @ weights)
        p = np.exp(2 * bent) / np.exp(2 * bent).sum()
        for a in range(actions):
            by_logits = np.eye(actions)[a] - p
            score = np.outer(x, by_logits * 2 * (1 - bent**2)).ravel()
            fisher += p[a] * np.outer(score, score) / states
    return fisher @ vector, np.zeros(len(vector))


def variant(
    logits_fn,
    theta,
    vector,
    damping,
    *,
    factor=1.0,
    damp="vector",
    average="mean",
    weigh="probability",
    centre="mean",
):
    """Return the product by D^T M D v with dense D, with options that commit mistakes.

    M is the Fisher matrix of the logits: diag(p) minus p p^T.
    """
    import torch

    jacobian = torch.autograd.functional.jacobian(logits_fn, theta)  # (B, K, P)
    p = torch.softmax(logits_fn(theta), dim=-1).detach()
    if weigh == "equal":
        p = torch.full_like(p, 1 / p.shape[1])
    pushed = jacobian @ vector
    middle = (p * pushed).sum(dim=1, keepdim=True) if centre == "mean" else 0.0
    product = torch.einsum("bk,bkp->bp", p * (pushed - middle), jacobian)
    answer = (
        factor
        * {
            "mean": product.mean(dim=0),
            "sum": product.sum(dim=0),
            "over actions too": product.mean(dim=0) / p.shape[1],
        }[average]
    )
    return {
        "vector": answer + damping * vector,
        "nothing": answer,
        "number": answer + damping,
        "product": answer * (1 + damping),
        "minus": answer - damping * vector,
    }[damp]


def equal_squares(logits_fn, theta, vector, damping):
    """Take half the mean square, over the actions, of the change of the log-probabilities."""
    import torch

    def log_probs(theta):
        return torch.log_softmax(logits_fn(theta), dim=-1)

    jacobian = torch.autograd.functional.jacobian(log_probs, theta)
    product = torch.einsum("bk,bkp->bp", jacobian @ vector, jacobian) / jacobian.shape[1]
    return product.mean(dim=0) + damping * vector


def entropy_curvature(logits_fn, theta, vector, damping):
    """Take the Hessian of minus the entropy."""
    import torch

    def entropy(theta):
        log_p = torch.log_softmax(logits_fn(theta), dim=-1)
        return (log_p.exp() * log_p).sum(dim=-1).mean()

    return torch.autograd.functional.hessian(entropy, theta) @ vector + damping * vector


def added_to_grad(logits_fn, theta, vector, damping):
    """Let the product pile up where backward leaves it."""
    product = variant(logits_fn, theta, vector, 0.0)
    theta.grad = product if theta.grad is None else theta.grad + product
    return theta.grad + damping * vector


def graph_in_grad(logits_fn, theta, vector, damping):
    """Leave a gradient with its graph where the next backward finds it."""
    import torch

    new = torch.log_softmax(logits_fn(theta), dim=-1)
    old = new.detach()
    (old.exp() * (old - new)).sum(dim=-1).mean().backward(create_graph=True)
    (theta.grad @ vector).backward()
    return theta.grad + damping * vector


MISTAKES = catalogue(
    """
    both_sides_move: factor=0.0
        Your product is damping times the vector and nothing else: it is still the fault of the
        slide. The KL of a policy to itself is 0 for every theta, and so are all its derivatives.
        Which of the two policies must stay where it is when theta moves?
    weights_still_move: factor=-1.0
        The Fisher part of your answer has the wrong sign. One of the two places where the old
        policy appears is held fixed, the other still moves with theta. The product must never
        shrink a vector below its damping.
    half: factor=0.5
        The Fisher part is half of what it should be. The KL is half of a quadratic form, but its
        second derivative is the whole matrix.
    twice: factor=2.0
        The Fisher part is twice what it should be. The second derivative of the KL is the Fisher
        matrix itself; no factor is needed.
    damping_missing: damp="nothing"
        The product is right where there is no damping; elsewhere damping times the vector is
        missing. The last line was right as printed.
    damping_as_a_number: damp="number"
        You add the damping itself to every entry. A matrix with damping on its diagonal, times the
        vector, gives something else.
    damping_multiplied: damp="product"
        You stretch the product by 1 plus the damping. Damping is added to the diagonal of the
        matrix: what does that add to the product with a vector?
    damping_subtracted: damp="minus"
        You subtract damping times the vector. Damping makes a matrix safer to invert by raising its
        eigenvalues.
    sum_over_states: average="sum"
        The Fisher part is too large by the number of states: you add the KL over them. As printed
        it was a mean, and that was right. With one state you agree.
    mean_over_actions: average="over actions too"
        The Fisher part is too small by the number of actions. Over the actions of one state a KL is
        a sum; only over states is there a mean.
    probabilities_equal: weigh="equal"
        You weigh all actions equally in the KL. It is an expectation under the old policy: how
        often does each action occur?
    squared_log_ratio: equal_squares
        You take half the mean square of the change of the log-probabilities, all actions counted
        equally. Weighed by the old policy's probabilities it would have the right curvature; the
        repair is smaller than that.
    hessian_of_the_entropy: entropy_curvature
        You differentiate minus the entropy: the old policy has left the formula. The curvature of
        the entropy is not that of the distance between two policies.
    probabilities_not_centred: centre="nothing"
        Your product misses the part of the Fisher matrix that comes from the normalisation of the
        probabilities: it feels a common shift of all logits, which changes no policy. Are both
        sides of the KL normalised?
    gradients_pile_up: added_to_grad
        Your second call with the same parameters returns another vector: `.backward()` adds to
        `.grad`, and conjugate gradients would call you many times. `torch.autograd.grad` returns
        the derivative and stores nothing.
    graph_piles_up: graph_in_grad
        Your first call is right, a second one with the same parameters fails: backward with
        `create_graph` leaves a gradient and its graph in `.grad`, and the next call adds to it.
        `torch.autograd.grad` returns the derivative and stores nothing.
    """,
    equal_squares,
    entropy_curvature,
    added_to_grad,
    graph_in_grad,
)

SPEC = Spec(
    name="slide_fisher_product",
    exercise="14_reading_code",
    parameters=("logits_fn", "theta", "vector", "damping"),
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
    harness=harness,
    parts=("product", "change from a first call to a second"),
    rows="entry",
    printed=printed,
)
