"""Exercise 08: the line search. Write the functions, then run ``pytest exercises/``."""

# %%
import math

import torch


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
