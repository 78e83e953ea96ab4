"""What the exercises work out by hand is what the solutions compute from the same numbers."""

import functools
from pathlib import Path

import numpy as np
import torch

from course_lib.grading.notebook import read_code_cells

SOLUTIONS = Path(__file__).resolve().parents[2] / "solutions"


@functools.cache
def names(exercise):
    """Return the names that a solution notebook defines, without its checks."""
    scope = {"__name__": exercise}
    for cell in read_code_cells(SOLUTIONS / f"{exercise}.ipynb"):
        if "find_spec" not in cell.source and not cell.source.startswith("check("):
            exec(cell.source, scope)
    return scope


def agree(found, expected):
    """Compare within the rounding of the numbers on the page."""
    np.testing.assert_allclose(np.asarray(found), expected, atol=6e-4)


def test_the_surrogate_objective():
    its = names("03_the_surrogate_objective")
    world = its["transitions"], its["gamma"], its["initial"]
    agree(its["visitation_distribution"](*world, its["old"]), [0.75, 0.25])
    agree(its["visitation_distribution"](*world, its["new"]), [0.5, 0.5])
    judged = its["transitions"], its["rewards"], its["gamma"]
    agree(its["tabular_advantages"](*judged, its["old"]), [[-0.25, 0.25], [1.25, -1.25]])
    agree(its["performance_difference"](*judged, its["initial"], its["old"], its["new"]), 1.5)
    new = its["log_probs"].clone().requires_grad_()
    estimate = its["surrogate"](new, its["old_log_probs"], its["estimates"])
    estimate.backward()
    agree(estimate.detach(), 4 / 3)
    agree(new.grad, [2 / 3, -1 / 3, 1])


def test_monotonic_improvement():
    its = names("04_monotonic_improvement")
    old, new, advantages = its["old"], its["new"], its["advantages"]
    before = names("03_the_surrogate_objective")
    agree(before["visitation_distribution"](
        before["transitions"], its["gamma"], before["initial"], old) * 2, its["visitation"])  # fmt: skip
    agree(before["tabular_advantages"](
        before["transitions"], before["rewards"], its["gamma"], old), advantages)  # fmt: skip
    agree(its["total_variation"](old, new), [0.25, 0.5])
    agree(its["categorical_kl"](old, new), [0.144, np.inf])
    agree(its["categorical_kl"](new, old)[1], 0.693)
    guarantees = {
        "mean_tv": (0.1, 1.3), "max_tv": (0.1, 1.46), "max_kl": (0.02, 1.46), "mean_kl": (0.02, 1.3)
    }  # fmt: skip
    for kind, (divergence, guarantee) in guarantees.items():
        agree(its["improvement_bound"](1.5, 0.5, divergence, 0.5, kind), guarantee)
    steps = np.array([its["cpi_mixture"](old, advantages, omega) for omega in (0, 0.2, 0.5, 1)])
    agree(steps[1], [[0.4, 0.6], [0.6, 0.4]])
    policy, minorants = its["mm_step"](
        old, steps, advantages, its["visitation"], its["expected_return"], its["gamma"]
    )
    agree(policy, steps[1])
    agree(minorants, [0.5, 0.598, 0.281, -np.inf])


def test_kl_geometry():
    its = names("05_kl_geometry")
    moments = its["old_mean"], its["old_log_std"], its["new_mean"], its["new_log_std"]
    agree(its["gaussian_kl"](*moments), [0.943])
    first = [x[..., :1] for x in moments]
    agree(its["gaussian_kl"](*first), [0.443])
    agree(its["fisher_from_scores"](its["scores"], its["weights"])[0, 0], 0.1875)
    agree(its["fisher_from_scores"](its["scores"])[0, 0], 0.3125)
    step = its["natural_step"](its["g"], its["F"], its["max_kl"])
    agree(step, [0.4, 0.1])
    agree(0.5 * step @ its["F"] @ step, 0.03)


def test_conjugate_gradients():
    its = names("07_conjugate_gradients")
    solve, A, b = its["conjugate_gradient"], its["A"], its["b"]
    agree(solve(A.matmul, b, 10, 1e-5), [2, -1])
    seen = []

    def product(p):
        seen.append(p)
        return A @ p

    agree(solve(product, b, 10, 0.5), [1.5, 0])
    agree(solve(product, b, 2, 1e-5), [2, -1])
    agree(torch.stack(seen), [[3, 0], [3, 0], [0.75, -1.5]])
