"""Task 6.2: the Gauss-Newton product D^T M D v."""

import numpy as np

from ...catalogue import catalogue
from ...sandbox.tools import tensor
from ...spec import Probe, Spec
from ..draws import signed


def harness(function, network, M, params, v):
    """Return the product of a second call: nothing of the first, with another v, may be left."""
    import torch

    states = tensor(network["states"])
    shapes = network["shapes"]

    def parts(params):
        sizes = [int(np.prod(shape)) for shape in shapes]
        return [x.reshape(*s) for x, s in zip(params.split(sizes), shapes, strict=True)]

    def linear(params):
        (W,) = parts(params)
        return states @ W

    def bilinear(params):
        a, c = parts(params)
        return (states @ a)[:, None] * c

    def tanh(params):
        W1, b1, W2, b2 = parts(params)
        return torch.tanh(states @ W1 + b1) @ W2 + b2

    outputs_fn = {"linear": linear, "bilinear": bilinear, "tanh": tanh}[network["kind"]]
    params, v = tensor(params, True), tensor(v)
    function(outputs_fn, tensor(M), params, v.flip(0) / 2)
    return function(outputs_fn, tensor(M), params, v)


# Kind, states, inputs, hidden units, outputs, scale of the parameters, rank of M, scale of M.
SCENES = {
    "one state, outputs bilinear in the parameters": ("bilinear", 1, 2, 0, 2, 1.0, 2, 1.0),
    "four states, bilinear outputs": ("bilinear", 4, 3, 0, 2, 1.0, 2, 1.0),
    "three states, linear outputs": ("linear", 3, 2, 0, 3, 1.0, 3, 1.0),
    "a tanh network": ("tanh", 4, 2, 3, 2, 0.5, 2, 1.0),
    "a tanh network with large parameters": ("tanh", 3, 2, 4, 3, 1.5, 3, 1.0),
    "M is singular, parameters are large": ("tanh", 5, 3, 2, 3, 1.5, 1, 1.0),
    "M is around 1e-9": ("bilinear", 2, 3, 0, 2, 1.0, 2, 1e-9),
    "M is around a million": ("linear", 2, 3, 0, 2, 1.0, 2, 1e6),
    "nineteen states, M is zero in some": ("bilinear", 19, 2, 0, 3, 1.0, 2, 1.0),
}


def probes(generator):
    """Return networks, one M per state, and directions."""

    def numbers(*shape, least=3, most=15):
        return signed(generator, least, most, shape)

    calls = []
    for title, (kind, B, n, h, k, scale, rank, size) in SCENES.items():
        shapes = {
            "linear": [(n, k)],
            "bilinear": [(n,), (k,)],
            "tanh": [(n, h), (h,), (h, k), (k,)],
        }[kind]
        params = scale * numbers(sum(int(np.prod(shape)) for shape in shapes))
        L = numbers(B, k, rank)
        M = np.round(L @ L.transpose(0, 2, 1), 2)
        M[::5] *= "zero in some" not in title
        M *= size
        v = numbers(len(params))
        network = {"kind": kind, "states": numbers(B, n), "shapes": shapes}
        calls.append(Probe(title, (network, M, params, v), size, size != 1.0))
    return calls


def oracle(network, M, params, v):
    """Return the sum over states with every Jacobian on paper."""
    jacobian = {"linear": of_linear, "bilinear": of_bilinear, "tanh": of_tanh}[network["kind"]]
    starts = np.cumsum([np.prod(shape) for shape in network["shapes"]])[:-1].astype(int)
    pieces = zip(np.split(params, starts), network["shapes"], strict=True)
    params = [piece.reshape(shape) for piece, shape in pieces]
    product = np.zeros(len(v))
    for s, metric in zip(network["states"], M, strict=True):
        D = jacobian(s, *params)
        product += D.T @ metric @ D @ v
    return product / len(M)


def of_linear(s, W):
    """Return the Jacobian of s W: output j depends on column j."""
    return np.kron(s[None, :], np.eye(W.shape[1]))


def of_bilinear(s, a, c):
    """Return the Jacobian of (s a) c."""
    return np.concatenate([np.outer(c, s), (s @ a) * np.eye(len(c))], axis=1)


def of_tanh(s, W1, b1, W2, b2):
    """Return the Jacobian of tanh(s W1 + b1) W2 + b2, output by output."""
    h = np.tanh(s @ W1 + b1)
    slope = 1.0 - h**2
    rows = []
    for j in range(len(b2)):
        own = np.zeros(len(b2))
        own[j] = 1.0
        by_b1 = slope * W2[:, j]
        parts = [np.outer(s, by_b1), by_b1, np.outer(h, own), own]
        rows.append(np.concatenate([part.ravel() for part in parts]))
    return np.stack(rows)


def variant(outputs_fn, M, params, v, *, metric="M", average="states", use="D v", states="all"):
    """Return the product with the dense Jacobian, row by row, with options that commit mistakes."""
    import torch
    from torch.autograd import grad

    outputs = outputs_fn(params)
    B, k = outputs.shape
    rows = [grad(o, params, create_graph=True)[0] for o in outputs.reshape(-1)]
    with_graph = torch.stack(rows).reshape(B, k, -1)
    D = with_graph.detach()
    o = outputs.detach()
    M = {
        "M": M,
        "identity": torch.eye(k, dtype=M.dtype).expand(B, k, k),
        "diagonal": torch.diag_embed(torch.diagonal(M, dim1=1, dim2=2)),
        "mean": M.mean(dim=0).expand(B, k, k),
        "first": M[0].expand(B, k, k),
        "squared": M @ M,
    }[metric]
    divisor = {"states": B, "nothing": 1, "entries": B * k}[average]
    if use == "M D v":
        return torch.einsum("bij,bjp,p->bi", M, D, v)
    if use == "D v":
        terms = torch.einsum("bip,bij,bjq->bpq", D, M, D) @ v
    elif use == "outputs":
        terms = torch.einsum("bip,bij,bj->bp", D, M, o)
    elif use == "summed outputs":
        g = D.sum(dim=(0, 1))
        return g * (g @ v)
    elif use == "squared gradient":
        g = torch.einsum("bip,bij,bj->p", D, M, o) / divisor
        return g * (g @ v)
    elif use == "means":
        mean = D.mean(dim=0)
        return mean.T @ M.mean(dim=0) @ mean @ v
    elif use == "hessian":
        # Adds the second derivatives of the outputs, weighed by M o.
        weights = torch.einsum("bij,bj->bi", M, o)
        G = torch.einsum("bip,bij,bjq->bpq", D, M, D)
        terms = G @ v + curved(with_graph, weights, params) @ v
    if states == "last":
        return terms[-1] / divisor
    return terms.sum(dim=0) / divisor


def curved(jacobian, weights, params):
    """Return, per state, the second derivatives of its outputs, weighed and summed."""
    import torch
    from torch.autograd import grad

    def slope(x):
        if not x.requires_grad:
            return torch.zeros_like(params)
        (row,) = grad(x, params, retain_graph=True, allow_unused=True)
        return torch.zeros_like(params) if row is None else row

    per_state = torch.einsum("bip,bi->bp", jacobian, weights)
    return torch.stack([torch.stack([slope(x) for x in row]) for row in per_state])


def stored(outputs_fn, M, params, v):
    """Let autograd store the product in the parameters, where it is added to what is there."""
    import torch
    from torch.autograd import grad

    outputs = outputs_fn(params)
    u = torch.zeros_like(outputs, requires_grad=True)
    (tangent,) = grad(grad(outputs, params, u, create_graph=True)[0] @ v, u)
    cotangent = (M @ tangent.unsqueeze(-1)).squeeze(-1) / len(outputs)
    outputs_fn(params).backward(cotangent)
    return params.grad


MISTAKES = catalogue(
    """
    metric_missing: metric="identity"
        M has no effect: you return the mean of D^T D v. D v lives in the space of the outputs, and
        there M says what a change costs. Where, between D v and the way back, does it belong?
    metric_diagonal: metric="diagonal"
        Only the diagonal of M has an effect. Multiplying entry by entry uses the diagonal alone;
        each state's M is a full matrix that also mixes its outputs.
    metric_averaged: metric="mean"
        You use the mean of all M for every state. With one state that is right. Each state has its
        own M, and it meets that state's Jacobian before anything is averaged.
    metric_of_the_first_state: metric="first"
        You use the M of the first state for all states. The first axis of M counts the states: row
        b of D v belongs to entry b of M.
    metric_twice: metric="squared"
        M enters twice. It stands once between the two Jacobians: on the way there v becomes D v,
        then comes M, then the way back.
    sum_over_states: average="nothing"
        Your product is too large by the number of states: it is a sum. The Fisher matrix is a mean
        over states; the probe with one state is right.
    mean_over_outputs: average="entries"
        Your product is too small by the number of outputs. The mean is over the states only; the
        outputs of one state are summed inside the matrix products.
    # Differentiating o^T M (D v) without cutting off D v gives the same as this Hessian.
    second_derivatives_of_the_outputs: use="hessian"
        Second derivatives of the outputs are in your answer: it is the full Hessian of half the
        mean of o^T M o, times v. Either you differentiate that twice, or M D v is not detached on
        its way back: it depends on the parameters through D. The linear outputs are right.
    gradients_pile_up: stored
        `.backward()` adds to `.grad`: to what the caller has collected there, 7 in every entry, and
        to the product of the call before. So a second call returns the sum of all. Conjugate gradients call many
        times. Which function returns a derivative and stores nothing?
    outer_product_of_the_gradient: use="squared gradient"
        You use the outer product of one gradient, that of half the mean of o^T M o. D has a row for
        every output of every state; one gradient cannot replace them, it has rank 1.
    outputs_summed: use="summed outputs"
        You differentiate the sum of all outputs, so the rows of D are added up into one before they
        can meet v and M. Every output needs its own row. How do you get D v without summing over
        outputs?
    stops_at_the_outputs: use="M D v"
        You return M D v, with a row for every state. That is half of the way: the result must go
        back from the outputs to the parameters. Which of the two modes of differentiation
        multiplies by D^T?
    v_left_out: use="outputs"
        v has no effect: you send M times the outputs back to the parameters. What goes back must be
        M times the change of the outputs that v causes.
    jacobians_averaged: use="means"
        You average the Jacobians and the M over the states before you multiply. With one state that
        is right. A mean of products is not the product of means.
    last_state_only: states="last"
        Only the last state is in your answer, divided by the number of states. Does your loop
        overwrite its result instead of adding to it?
    """,
    stored,
)

SPEC = Spec(
    name="gauss_newton_product",
    exercise="06_fisher_vector_products",
    parameters=("outputs_fn", "M", "params", "v"),
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
    harness=harness,
    rows="parameter",
)
