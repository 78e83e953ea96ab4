"""Task 6.1: the product of the KL's Hessian and a vector, by double backprop."""

import warnings

import numpy as np

from ...catalogue import catalogue
from ...sandbox.tools import tensor
from ...spec import Probe, Spec
from ..draws import signed

FAR = "a Gaussian policy away from its old parameters, v around 10,000"


def harness(function, kl, params, v, *damping):
    """Return the product of a second call; the damping is left out where it is not given.

    Conjugate gradients call it again and again on the same parameters, so what one call leaves
    behind must not reach the next. The first call gets another v.

    Where autograd finds no second derivative because the first one has no graph, the answer is NaN;
    where only the second call runs through a graph that is used up, it is infinite. Each of these
    errors has one cause, and the judge knows it.
    """
    import torch

    kind, data = kl["kind"], {name: tensor(x) for name, x in kl["data"].items()}
    params = tensor(params, True)

    def polynomial(params):
        return data["c"] @ params + params @ data["A"] @ params / 2 + data["w"] @ params**3

    def gaussian(params):
        d = len(data["log_std"])
        W, b, log_std = params[: -2 * d].reshape(-1, d), params[-2 * d : -d], params[-d:]
        spread = torch.exp(2 * data["log_std"]) + (data["mean"] - data["states"] @ W - b) ** 2
        terms = log_std - data["log_std"] + spread * torch.exp(-2 * log_std) / 2 - 0.5
        return terms.sum(dim=-1).mean()

    def softmax(params):
        k = data["probs"].shape[1]
        b, W = params[:k], params[k:].reshape(-1, k)
        log_probs = torch.log_softmax(data["states"] @ W + b, dim=-1)
        return (data["probs"] * (data["probs"].log() - log_probs)).sum(dim=-1).mean()

    v = tensor(v)
    if kl["v follows"]:
        # As after a computation with the parameters: the same numbers, with a graph.
        v = v + kl["v follows"] * (params - params.detach())
    kl_fn = {"polynomial": polynomial, "gaussian": gaussian, "softmax": softmax}[kind]
    try:
        function(kl_fn, params, v.detach().flip(0) / 2, *damping)
    except RuntimeError as error:
        if "element 0 of tensors does not require grad" not in str(error):
            raise
        return np.full(v.shape, np.nan)
    try:
        return function(kl_fn, params, v, *damping)
    except RuntimeError as error:
        if "element 0 of tensors does not require grad" in str(error):
            return np.full(v.shape, np.nan)
        if "through the graph a second time" in str(error):
            return np.full(v.shape, np.inf)
        raise


def probes(generator):
    """Return polynomials and the KLs of two small policies."""

    def numbers(*shape, least=3, most=15):
        return signed(generator, least, most, shape)

    def polynomial(size, scale=1.0):
        A = numbers(size, size)
        data = {"c": numbers(size), "A": np.round(A @ A.T, 2), "w": numbers(size) / 10}
        return "polynomial", {name: scale * array for name, array in data.items()}, numbers(size)

    def gaussian(states, n, d, moved):
        s, W, b, log_std = numbers(states, n), numbers(n, d), numbers(d), numbers(d, most=7)
        mean = s @ W + b + moved * numbers(states, d)
        data = {"states": s, "mean": mean, "log_std": log_std + moved * numbers(d, most=6)}
        return "gaussian", data, np.concatenate([W.ravel(), b, log_std])

    def softmax(states, n, k):
        weights = generator.integers(1, 10, size=(states, k)) + np.arange(k)
        probs = weights / weights.sum(axis=1, keepdims=True)
        return "softmax", {"states": numbers(states, n), "probs": probs}, numbers(k + n * k)

    scenes = {
        "a polynomial of two parameters, damping not given": (polynomial(2), None, 0.0),
        "a polynomial of eight parameters": (polynomial(8), 0.3, 0.0),
        "a Gaussian policy at its old parameters": (gaussian(4, 3, 2, 0.0), 0.1, 0.0),
        FAR: (gaussian(3, 2, 3, 1.0), 0.5, 0.0),
        "a softmax policy, with much damping": (softmax(5, 2, 3), 2.0, 0.0),
        "`v` still carries a graph": (polynomial(7), 0.2, 0.7),
        "a KL around 1e-9 and damping 1e-8": (polynomial(5, 1e-9), 1e-8, 0.0),
        "a KL around a million": (polynomial(3, 1e6), 0.0, 0.0),
        "fifteen parameters": (polynomial(15), 0.7, 0.0),
        "v is zero": (polynomial(4), 0.4, 0.0),
    }
    calls = []
    for title, ((kind, data, params), damping, follows) in scenes.items():
        v = numbers(len(params)) * {FAR: 1e4, "v is zero": 0.0}.get(title, 1.0)
        kl = {"kind": kind, "data": data, "v follows": follows}
        unit = 1e-9 if damping == 1e-8 else 0.1 if title == "v is zero" else 1.0
        arguments = kl, params, v, *([] if damping is None else [damping])
        calls.append(Probe(title, arguments, unit, extreme=unit == 1e-9))
    return calls


def oracle(kl, params, v, damping=0.0):
    """Return the Hessian on paper, as a dense matrix, times v."""
    data = kl["data"]
    if kl["kind"] == "polynomial":
        H = data["A"] + 6.0 * np.diag(data["w"] * params)
    elif kl["kind"] == "gaussian":
        H = gaussian_hessian(data, params)
    else:
        H = softmax_hessian(data, params)
    return H @ v + damping * v


def gaussian_hessian(data, params):
    """Return the mean over states of D^T H_s D; mean and log sigma are linear in the parameters."""
    n, d = data["states"].shape[1], len(data["log_std"])
    W, b, log_std = params[: n * d].reshape(n, d), params[n * d : -d], params[-d:]
    H = np.zeros((n * d + 2 * d, n * d + 2 * d))
    for s, old_mean in zip(data["states"], data["mean"], strict=True):
        for j in range(d):
            by_mean, by_log_std = np.zeros(len(H)), np.zeros(len(H))
            by_mean[[i * d + j for i in range(n)]] = s  # entry (i, j) of W
            by_mean[n * d + j] = 1.0
            by_log_std[n * d + d + j] = 1.0
            D = np.stack([by_mean, by_log_std])
            precision = np.exp(-2 * log_std[j])
            shift = old_mean[j] - (s @ W[:, j] + b[j])
            mixed = 2 * precision * shift
            own = 2 * precision * (np.exp(2 * data["log_std"][j]) + shift**2)
            H += D.T @ np.array([[precision, mixed], [mixed, own]]) @ D
    return H / len(data["states"])


def softmax_hessian(data, params):
    """Return the mean over states of D^T (diag q - q q^T) D; the logits are linear."""
    n, k = data["states"].shape[1], data["probs"].shape[1]
    b, W = params[:k], params[k:].reshape(n, k)
    H = np.zeros((k + n * k, k + n * k))
    for s in data["states"]:
        z = np.exp(s @ W + b)
        q = z / z.sum()
        D = np.concatenate([np.eye(k), np.kron(s[None, :], np.eye(k))], axis=1)
        H += D.T @ (np.diag(q) - np.outer(q, q)) @ D
    return H / len(data["states"])


def variant(
    kl_fn, params, v, damping=0.0, *, use="H v", graph="kept", damp="added", keep="detached",
):  # fmt: skip
    """Return the product with the dense Hessian, row by row, with options that commit mistakes."""
    import torch
    from torch.autograd import grad

    (gradient,) = grad(kl_fn(params), params, create_graph=True)
    direction = v.detach()
    H = torch.stack([grad(g, params, retain_graph=True)[0] for g in gradient])
    g, ones = gradient.detach(), torch.ones_like(direction)
    product = {
        "H v": lambda: H @ direction,
        "gradient": lambda: g,
        "g * v": lambda: g * direction,
        "g . v": lambda: (g @ direction).expand_as(g),
        "g g^T v": lambda: g * (g @ direction),
        "H H v": lambda: H @ (H @ direction),
        "half": lambda: H @ direction / 2,
        "twice": lambda: 2 * H @ direction,
        "g . g": lambda: 2 * H @ g,
        "H 1": lambda: H @ ones,
        "(H 1) v": lambda: (H @ ones) * direction,
        "mean": lambda: H @ direction / len(direction),
        "v^T H v": lambda: (direction @ H @ direction).expand_as(g),
    }[use]()
    if graph == "lost":
        # What autograd says to this is what a student sees, unless v brings a graph of its own.
        factor = v if keep == "graph" else direction
        (product,) = grad((g * factor).sum(), params)
    elif keep == "graph" and v.requires_grad:
        product = product + grad((g * v).sum(), params)[0]
    return {
        "added": lambda: product + damping * direction,
        "none": lambda: product,
        "subtracted": lambda: product - damping * direction,
        "number": lambda: product + damping,
        "gradient": lambda: product + damping * g,
        "times product": lambda: damping * product,
        "of product": lambda: (1 + damping) * product,
        "mixed": lambda: (1 - damping) * product + damping * direction,
        "outside": lambda: product + direction,
    }[damp]()


def stored(kl_fn, params, v, damping=0.0):
    """Let autograd store the product in the parameters, where it is added to what is there."""
    from torch.autograd import grad

    (gradient,) = grad(kl_fn(params), params, create_graph=True)
    (gradient @ v.detach()).backward()
    return params.grad + damping * v.detach()


def both_stored(kl_fn, params, v, damping=0.0):
    """Let autograd store the gradient as well, with a graph that the next call meets again."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of just this use
        kl_fn(params).backward(create_graph=True)
    (params.grad @ v.detach()).backward()
    return params.grad.detach() + damping * v.detach()


MISTAKES = catalogue(
    """
    create_graph_missing: graph="lost"
        Your second derivative fails: autograd says that an element does not require grad, which the
        judge shows as NaN. After the first derivative autograd forgets how it was computed unless
        it is asked to keep that graph. `.detach()`, `.data` and `no_grad` lose it too.
    gradient_of_the_kl: use="gradient"
        You return the gradient of the KL: but for the damping, v has no effect. Look at the policy
        at its old parameters: the KL has its minimum there and the gradient is 0. What is to be
        differentiated again?
    gradient_times_v: use="g * v"
        You multiply gradient and v entry by entry and stop. No second derivative was taken. At the
        old parameters the gradient is 0 and so is your product. Sum first, to a number, then ask
        how that number changes with the parameters.
    inner_product_only: use="g . v"
        You stop at the inner product of gradient and v: all entries have the same number before
        damping. It is the slope of the KL along v. The product with the Hessian is the gradient of
        that slope.
    outer_product_of_the_gradient: use="g g^T v"
        You use the gradient's outer product with itself for the Hessian. For one sample's score the
        mean of such products is a Fisher matrix; for the gradient of a mean KL it is not. At the
        old parameters yours is 0.
    gradients_pile_up: stored
        `.backward()` adds to `.grad`: to what the caller has collected there, 7 in every entry, and
        to the product of the call before. So a second call returns the sum of all. Conjugate gradients call many
        times. Which function returns a derivative and stores nothing?
    gradient_still_in_grad: both_stored
        You store the gradient of the KL in `.grad`, with its graph. The second derivative is added
        to it, and a second call fails in that old graph, shown here as infinite; `retain_graph`
        would only hide it. Which function returns a derivative and stores nothing?
    half_the_hessian: use="half"
        Before damping your product is half as large as it should be. The one half belongs to the
        quadratic model of the KL, v^T F v / 2. The product F v itself has none.
    twice_the_hessian: use="twice"
        Before damping your product is twice as large as it should be. Is the gradient of v^T F v
        taken, or is one product counted twice?
    hessian_applied_twice: use="H H v"
        The Hessian is applied twice: your numbers are H H v. Is the product fed back into the
        function, or is the norm of H v differentiated somewhere?
    gradient_of_the_squared_gradient: use="g . g"
        You differentiate the square of the gradient. That is 2 H g: the gradient stands where v
        should. At the old parameters it is 0. With what should the first gradient be multiplied?
    v_left_out: use="H 1"
        v has no effect: you differentiate the sum of the gradient's entries, so your numbers are
        the row sums of the Hessian. Each entry of the gradient needs its weight from v before the
        sum.
    v_after_the_sum: use="(H 1) v"
        You multiply the row sums of the Hessian by v, entry by entry. v must be inside before the
        second derivative is taken: a row of the Hessian meets all of v, not its own entry alone.
    mean_of_the_product: use="mean"
        Before damping your product is too small by the number of parameters. Gradient times v is
        averaged where an inner product is asked for. The mean over states is inside the KL already.
    quadratic_form: use="v^T H v"
        You return v^T H v, one number, before damping. That is the curvature along v, which the
        step size needs later. Conjugate gradients need the vector H v.
    damping_missing: damp="none"
        The damping has no effect. The first probe, which has none, is right. What does adding a
        multiple of the identity to a matrix add to its product with v?
    damping_subtracted: damp="subtracted"
        The damping enters with a minus. It has to lift the eigenvalues of F away from 0. Yours
        pushes the small ones below 0, where conjugate gradients fail.
    damping_as_a_number: damp="number"
        You add the damping itself to every entry. The damped matrix has it on the diagonal, so in
        the product it meets v. For v of zeros the answer must be 0.
    damping_times_gradient: damp="gradient"
        You add damping times the gradient of the KL. At the old parameters the gradient is 0, so
        nothing is damped there. Which vector does the damped matrix multiply?
    damping_times_product: damp="times product"
        You multiply the product by the damping. Without damping, in the first probe, your answer is
        0. Damping is added to the matrix.
    damping_of_the_product: damp="of product"
        You add damping times the product, which stretches all eigenvalues by one factor. An
        eigenvalue of 0 stays 0 then. Damping lifts all of them by the same amount: what is its
        product with v?
    damping_mixed: damp="mixed"
        You weigh product and v by 1 - damping and damping. The product keeps its full weight:
        damping is added to the matrix and nothing is taken away. With the damping of 2 yours turns
        the product round.
    v_added_undamped: damp="outside"
        You add v itself, whatever the damping is. The first probe has no damping, and there the
        product stands alone.
    v_not_detached: keep="graph"
        Where v carries a graph you differentiate v as well, and the gradient of
        the KL leaks into the product. In TRPO v is a search direction: fixed numbers, wherever they
        come from.
    damping_of_the_tutorials: ignores(damping=0.1)
        You always add 0.1 times v, the number that many programs use. The probe whose damping is
        0.1 is right, the others are not. Is the argument used?
    """,
    stored,
    both_stored,
)

SPEC = Spec(
    name="fisher_vector_product",
    exercise="06_fisher_vector_products",
    parameters=("kl_fn", "params", "v", "damping"),
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
    harness=harness,
    rows="parameter",
)
