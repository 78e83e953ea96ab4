"""Chapter 8."""

import torch

from course_lib import line_search
from course_lib.conjugate_gradient import conjugate_gradient
from course_lib.distributions import Categorical
from course_lib.fisher import double_backprop_operator
from course_lib.natural import natural_step, undamped_curvature
from course_lib.surrogate import kl_divergence, surrogate


def search(surrogate_fn, kl_fn, theta, full_step, expected_improvement, *settings):
    """Call the library's search, which moves parameters in place."""
    parameters = [theta.clone()]
    before = surrogate_fn(theta).item()

    def evaluate():
        return surrogate_fn(parameters[0]).item() - before, kl_fn(parameters[0]).item()

    result = line_search.backtracking_line_search(
        evaluate, parameters, full_step, expected_improvement, *settings
    )
    return parameters[0], torch.tensor(result.fraction)


def step(log_probs_fn, theta, actions, advantages, max_kl, damping, *settings):
    """Put the library's pieces together as `trpo.trpo_policy_step` does."""
    old = Categorical(log_probs_fn(theta))

    def surrogate_fn(point):
        new = Categorical(log_probs_fn(point))
        return surrogate(new.log_prob(actions), old.log_prob(actions), advantages)

    def kl_fn(point):
        return kl_divergence(old, Categorical(log_probs_fn(point)))

    start = theta.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(surrogate_fn(start), start)
    damped = double_backprop_operator(kl_fn(start), [start], damping)
    solution = conjugate_gradient(damped, gradient, iterations=len(gradient))
    x = solution.x
    curvature = (x @ (gradient - solution.residual) - damping * x @ x).item()
    full_step = natural_step(x, curvature, max_kl) if curvature > 0 else torch.zeros_like(x)
    expected = (gradient @ full_step).item()
    return search(surrogate_fn, kl_fn, theta, full_step, expected, max_kl, *settings)


LIBRARY = {
    "backtracking_line_search": search,
    "trpo_step": step,
    "step_curvature": undamped_curvature,
}
EQUIVALENT = {
    "trpo_step": [
        (
            "log_probs_fn(theta).detach() -> log_probs_fn(theta)",
            "theta asks for no gradient, and both derivatives are by copies of it",
        ),
        (
            "(log_ratio.exp() * advantages).mean -> (log_ratio.exp() * advantages).sum",
            "the step does not depend on the surrogate's scale, and neither does Armijo's condition",
        ),
        (
            "log_ratio.exp -> log_ratio.expm1",
            "the surrogate less the mean advantage: a constant, and only differences are used",
        ),
    ],
}

HEAD = """
def backtracking_line_search(surrogate_fn, kl_fn, theta, full_step, expected_improvement, max_kl,
                             backtrack_factor, max_steps, accept_ratio):
"""
SEARCH = (
    HEAD
    + """
    if expected_improvement <= 0:
        return theta.clone(), 0.0
    old, tries, scale = float(surrogate_fn(theta)), 0, 1.0
    while tries < max_steps:
        candidate = theta.clone().add_(full_step, alpha=scale)
        gain, kl = float(surrogate_fn(candidate)) - old, float(kl_fn(candidate))
        good = gain / (scale * expected_improvement) > accept_ratio
        if good and not kl > max_kl and abs(gain) + abs(kl) < float("inf"):
            return candidate, scale
        scale *= backtrack_factor
        tries += 1
    return theta.clone(), 0.0
"""
)
STEP = """
def trpo_step(log_probs_fn, theta, actions, advantages, max_kl, damping, backtrack_factor,
              max_steps, accept_ratio):
"""
BY_HAND = (  # what many students write: everything in one function
    STEP
    + """
    B = len(actions)
    old = log_probs_fn(theta).detach()
    def L(t):
        new = log_probs_fn(t)
        return sum(torch.exp(new[b, actions[b]] - old[b, actions[b]]) * advantages[b]
                   for b in range(B)) / B
    def KL(t):
        return KL_LINE
    t0 = theta.clone().requires_grad_(True)
    g, = torch.autograd.grad(L(t0), t0)
    def Fv(v):
        k, = torch.autograd.grad(KL(t0), t0, create_graph=True)
        return torch.autograd.grad((k * v).sum(), t0)[0]
    x, r = torch.zeros_like(g), g.clone()
    p, rr = r.clone(), r @ r
    for _ in range(len(g)):
        if rr < 1e-20:
            break
        Ap = Fv(p) + damping * p
        alpha = rr / (p @ Ap)
        x = x + alpha * p
        r = r - alpha * Ap
        rr, before = r @ r, rr
        p = r + rr / before * p
    if rr.item() == 0 and x.norm() == 0:
        return theta, 0.0
    shs = SHS_LINE
    step = x / torch.sqrt(shs / max_kl)
    promised, L0 = (g * step).sum().item(), L(theta).item()
    for j in range(max_steps):
        f = backtrack_factor ** j
        new = theta + f * step
        if KL(new) <= max_kl and L(new) - L0 > accept_ratio * f * promised:
            return new, f
    return FAILED
"""
)
FORWARD_KL = "torch.distributions.kl_divergence(*(torch.distributions.Categorical(logits=z) for z in (old, log_probs_fn(t)))).mean()"


def by_hand(kl=FORWARD_KL, shs="0.5 * (x @ Fv(x))", failed="theta, 0.0"):
    """Return the long solution, right by default."""
    return BY_HAND.replace("KL_LINE", kl).replace("SHS_LINE", shs).replace("FAILED", failed)


CORRECT = {
    "step_curvature": [
        """
def step_curvature(x, damped_product, damping):
    return torch.dot(x, damped_product) - damping * torch.dot(x, x)
""",
        """
def step_curvature(x, damped_product, damping):
    import numpy as np
    a, b = x.numpy(), damped_product.numpy()
    return float(sum(p * (q - damping * p) for p, q in zip(a, b)))
""",
    ],
    "trpo_step": [
        by_hand(),
        SEARCH
        + STEP
        + """
    from torch.autograd.functional import hessian, jacobian
    old, rows = log_probs_fn(theta), torch.arange(len(actions))
    surrogate = lambda t: ((log_probs_fn(t) - old)[rows, actions].exp() * advantages).sum()
    kl = lambda t: torch.nn.functional.kl_div(log_probs_fn(t), old, reduction="batchmean",
                                              log_target=True)
    g, F = jacobian(surrogate, theta), hessian(kl, theta)
    x = torch.linalg.solve(F + damping * torch.eye(len(g)), g)
    if not g.any():
        return theta.clone(), 0.0
    step = x * (2 * max_kl / (x @ g - damping * x @ x)) ** 0.5
    return backtracking_line_search(surrogate, kl, theta, step, float(step @ g), max_kl,
                                    backtrack_factor, max_steps, accept_ratio)
""",
        SEARCH
        + STEP
        + """
    t = theta.float().requires_grad_()
    A = (advantages / 10).float()
    old = log_probs_fn(t)
    jac = torch.autograd.functional.jacobian(log_probs_fn, t.detach())
    p = old.detach().exp()
    F = torch.einsum("bk,bki,bkj->ij", p, jac, jac) / len(p)
    one = torch.nn.functional.one_hot(actions, p.shape[1]).float()
    def improvement(point):
        return (((log_probs_fn(point) - old) * one).sum(1).exp() * A).mean()
    improvement(t)
    g = torch.einsum("b,bk,bki->i", A, one, jac) / len(p)
    x = torch.linalg.inv(F + damping * torch.eye(len(t))) @ g
    step = x * (2 * max_kl / (x @ F @ x)).sqrt()
    return backtracking_line_search(
        lambda z: improvement(z).detach(),
        lambda z: (p * (old - log_probs_fn(z))).detach().sum() / len(p),
        t.detach(), step, (step @ g).item(), max_kl, backtrack_factor, max_steps, accept_ratio)
""",
    ],
    "backtracking_line_search": [
        SEARCH,
        HEAD
        + """
    import numpy as np
    def evaluate(fraction):
        there = theta + fraction * full_step
        return np.array([surrogate_fn(there) - surrogate_fn(theta), kl_fn(there)], dtype=float)
    fractions = backtrack_factor ** np.arange(max_steps)
    gains, kls = np.array([evaluate(float(f)) for f in fractions]).T
    ok = np.isfinite(gains) & (kls <= max_kl)
    ok &= gains > accept_ratio * fractions * expected_improvement
    ok &= expected_improvement > 0
    fraction = fractions[ok.argmax()] if ok.any() else 0.0
    return theta.numpy() + fraction * full_step.numpy(), fraction
""",
        HEAD
        + """
    x, s = theta.float(), full_step.float()
    start = surrogate_fn(x)
    for j in range(max_steps if expected_improvement > 0 else 0):
        f = torch.tensor(float(backtrack_factor)) ** j
        trial = torch.add(x, s * f)
        if not kl_fn(trial) <= max_kl:
            continue
        gain = surrogate_fn(trial) - start
        if torch.isinf(gain) or torch.isnan(gain):
            continue
        if gain - accept_ratio * f * expected_improvement > 0:
            return trial, f
    return x, torch.zeros(())
""",
    ],
}
WRITTEN = {
    "step_curvature": [
        (
            """
def step_curvature(x, damped_product, damping):
    total = 0.0
    for a, b in zip(x.tolist(), damped_product.tolist()):
        total += a * b
    return total
""",
            "damping_kept",
        ),
        (
            """
def step_curvature(x, damped_product, damping):
    return x @ damped_product - damping * x.norm()
""",
            "norm_not_squared",
        ),
    ],
    "trpo_step": [
        (by_hand(shs="0.5 * (x @ (Fv(x) + damping * x))"), "damping_in_the_step_length"),
        (by_hand(shs="x @ Fv(x)"), "factor_two_missing"),
        (by_hand(failed="new, 0.0"), "not_restored"),
        (
            by_hand(
                kl="torch.distributions.kl_divergence(*(torch.distributions.Categorical(logits=z)"
                " for z in (log_probs_fn(t), old))).mean()"
            ),
            "kl_of_the_other_direction",
        ),
        (
            by_hand(kl="(old.exp() * (old - log_probs_fn(t))).mean()"),
            "kl_averaged_over_actions",
        ),
        (
            by_hand(
                kl="(log_probs_fn(t).exp() * (log_probs_fn(t) - log_probs_fn(t))).sum(1).mean()"
            ),
            "never_moves",
        ),
    ],
    "backtracking_line_search": [
        (
            HEAD
            + """
    if expected_improvement <= 0:
        return theta, 0.0
    loss, fraction, flag, expected_improve = surrogate_fn(theta), 1.0, False, expected_improvement
    for i in range(max_steps):
        new_params = theta + fraction * full_step
        loss_improve = surrogate_fn(new_params) - loss
        expected_improve *= fraction
        kl = kl_fn(new_params)
        if kl <= max_kl and accept_ratio < loss_improve / expected_improve < float("inf"):
            flag = True
            break
        fraction *= backtrack_factor
    return (new_params, fraction) if flag else (theta, 0.0)
""",
            "expectation_compounds",
        ),
        (
            HEAD
            + """
    if expected_improvement <= 0:
        return theta, 0.0
    old = surrogate_fn(theta)
    for j in range(max_steps):
        fraction = backtrack_factor ** j
        new = theta + fraction * full_step
        if kl_fn(new) > max_kl:
            continue
        if surrogate_fn(new) - old <= accept_ratio * fraction * expected_improvement:
            continue
        return new, fraction
    return theta, 0.0
""",
            "nan_accepted",
        ),
        (
            HEAD
            + """
    success, fraction = False, 0.0
    new = theta
    if expected_improvement > 0:
        before = surrogate_fn(theta).item()
        for fraction in [backtrack_factor ** j for j in range(max_steps)]:
            new = theta + fraction * full_step
            gain = surrogate_fn(new).item() - before
            if gain > accept_ratio * fraction * expected_improvement and gain != math.inf:
                if kl_fn(new).item() <= max_kl:
                    success = True
                    break
    return new, fraction if success else 0.0
""",
            "not_restored",
        ),
        (
            HEAD
            + """
    if not expected_improvement > 0:
        return theta, 0.0
    fraction = 1.0
    for _ in range(max_steps):
        new = theta + fraction * full_step
        value = surrogate_fn(new)
        if kl_fn(new) <= max_kl and value > accept_ratio * fraction * expected_improvement:
            if torch.isfinite(value):
                return new, fraction
        fraction = fraction * backtrack_factor
    return theta, 0.0
""",
            "value_for_improvement",
        ),
    ],
}
