"""Exercise 08: the line search. Write the functions, then run ``pytest exercises/``."""

# %%
import math

import torch

from course_lib.conjugate_gradient import conjugate_gradient
from course_lib.fisher import fisher_vector_product


# %%
def backtracking_line_search(
    surrogate_fn,
    kl_fn,
    theta,
    full_step,
    expected_improvement,
    max_kl,
    backtrack_factor,
    max_steps,
    accept_ratio,
):
    """Return theta plus the largest fraction of a step that improves and stays in the region.

    The fractions tried are 1, kappa, kappa^2, ... with kappa = backtrack_factor, at most max_steps
    of them. The first trial ``theta + fraction * full_step`` that passes both tests is taken:

    - its KL is at most max_kl;
    - the surrogate improves on its value at theta by more than
      ``accept_ratio * fraction * expected_improvement``.

    A trial whose surrogate or KL is NaN or infinite is rejected, like one that fails a test. If
    expected_improvement is not positive, nothing is tried. theta itself is never changed in place.

    Parameters
    ----------
    surrogate_fn : callable
        Maps parameters, shape (P,), to the surrogate there, a scalar Tensor: to be maximised.
    kl_fn : callable
        Maps parameters, shape (P,), to the mean KL(old || new) there, a scalar Tensor.
    theta : Tensor, shape (P,)
        The old parameters.
    full_step : Tensor, shape (P,)
        It points uphill: it is added to theta.
    expected_improvement : float
        Gradient times full_step: what the linear model promises for the full step.
    max_kl : float, positive
        The trust region's radius in nats.
    backtrack_factor : float in (0, 1)
        kappa.
    max_steps : int, at least 1
        Most trials, the full step among them.
    accept_ratio : float in [0, 1)
        Share of the promised improvement that is asked for.

    Returns
    -------
    new_theta : Tensor, shape (P,)
        The accepted trial; the old theta if none was accepted.
    fraction : float
        The fraction accepted; 0.0 if none was.
    """
    ### BEGIN SOLUTION
    if not expected_improvement > 0:
        return theta, 0.0
    before = surrogate_fn(theta).item()
    for j in range(max_steps):
        fraction = backtrack_factor**j
        trial = theta + fraction * full_step
        improvement = surrogate_fn(trial).item() - before
        kl = kl_fn(trial).item()
        # NaN fails every comparison, and an infinite KL its own; an infinite improvement does not.
        enough = improvement > accept_ratio * fraction * expected_improvement
        if math.isfinite(improvement) and enough and kl <= max_kl:
            return trial, fraction
    return theta, 0.0
    ### END SOLUTION


# %%
def trpo_step(
    log_probs_fn,
    theta,
    actions,
    advantages,
    max_kl,
    damping,
    backtrack_factor,
    max_steps,
    accept_ratio,
):
    """Return the parameters after one TRPO step of a policy with K actions.

    1. g is the gradient, at theta, of the surrogate: the mean over the B states of ratio times
       advantage, with ratio the new over the old probability of the action taken. The advantages
       are used as they come, not normalised.
    2. x solves (F + damping I) x = g. F is the Hessian, at theta, of the mean over the states of
       KL(old || new), exact, over all K actions. Solve it to the end: with so few parameters,
       conjugate gradients need one iteration per parameter.
    3. The full step is x, scaled so that half of step^T F step is max_kl. F has no damping here.
    4. `backtracking_line_search` takes a fraction of it, with g^T step as expected improvement.

    theta itself is never changed in place. If g is 0, theta comes back with fraction 0.0. You may
    call `conjugate_gradient` and `fisher_vector_product` of the library, and your own functions.
    The library's `conjugate_gradient` returns an object, whose attribute ``x`` is the solution.

    Parameters
    ----------
    log_probs_fn : callable
        Maps parameters, shape (P,), to the log-probabilities of all actions, shape (B, K); autograd
        follows it.
    theta : Tensor, shape (P,)
        The old parameters.
    actions : Tensor of int64, shape (B,)
        The action taken in every state.
    advantages : Tensor, shape (B,)
        Its advantage.
    max_kl : float, positive
        The trust region's radius in nats.
    damping : float, positive
        Added to the diagonal of F for the direction, not for the length.
    backtrack_factor, max_steps, accept_ratio
        See `backtracking_line_search`.

    Returns
    -------
    new_theta : Tensor, shape (P,)
        The new parameters; the old theta if the line search accepted nothing.
    fraction : float
        The fraction of the full step that was taken; 0.0 if none was.
    """
    ### BEGIN SOLUTION
    old = log_probs_fn(theta).detach()
    taken = actions.unsqueeze(1)

    def surrogate_fn(point):
        log_ratio = (log_probs_fn(point) - old).gather(1, taken).squeeze(1)
        return (log_ratio.exp() * advantages).mean()

    def kl_fn(point):
        return (old.exp() * (old - log_probs_fn(point))).sum(dim=1).mean()

    def fisher(v):
        return fisher_vector_product(kl_fn, theta, v)

    g = torch.func.grad(surrogate_fn)(theta)
    x = conjugate_gradient(lambda v: fisher(v) + damping * v, g, iterations=len(g)).x
    # Without a gradient this is infinity times 0; the line search turns the NaN away.
    full_step = torch.sqrt(2 * max_kl / (x @ fisher(x))) * x
    expected = (g @ full_step).item()
    settings = max_kl, backtrack_factor, max_steps, accept_ratio
    return backtracking_line_search(surrogate_fn, kl_fn, theta, full_step, expected, *settings)
    ### END SOLUTION
