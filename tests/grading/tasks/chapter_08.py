"""Chapter 8."""

import torch

from course_lib import line_search


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


LIBRARY = {"backtracking_line_search": search}
EQUIVALENT = {}

HEAD = """
def backtracking_line_search(surrogate_fn, kl_fn, theta, full_step, expected_improvement, max_kl,
                             backtrack_factor, max_steps, accept_ratio):
"""
CORRECT = {
    "backtracking_line_search": [
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
""",
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
