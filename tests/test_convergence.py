"""Steepest descent, and the two bounds, against definitions and worst cases."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from course_lib.conjugate_gradient import conjugate_gradient
from course_lib.convergence import (
    conjugate_gradient_bound,
    energy_norm,
    quadratic,
    steepest_descent,
    steepest_descent_bound,
)
from course_lib.natural import natural_step


def system(n, condition, seed):
    """A, b, the operator of A, and the solution."""
    rng = np.random.default_rng(seed)
    Q, _ = np.linalg.qr(rng.standard_normal((n, n)))
    A = torch.from_numpy((Q * np.geomspace(1.0, condition, n)) @ Q.T)
    A = (A + A.T) / 2
    b = torch.from_numpy(rng.standard_normal(n))
    return A, b, lambda v: A @ v, torch.linalg.solve(A, b)


def test_quadratic_by_hand_and_its_gradient():
    A = torch.tensor([[2.0, 1.0], [1.0, 3.0]], dtype=torch.float64)
    b = torch.tensor([1.0, -1.0], dtype=torch.float64)
    x = torch.tensor([2.0, 1.0], dtype=torch.float64)
    # x^T A x = 2 * 4 + 2 * 2 * 1 + 3 = 15, b^T x = 1
    assert quadratic(lambda v: A @ v, b, x) == 6.5
    h = 1e-6
    for i, unit in enumerate(torch.eye(2, dtype=torch.float64)):
        up, down = (quadratic(lambda v: A @ v, b, x + s * h * unit) for s in (1, -1))
        assert (up - down) / (2 * h) == pytest.approx((A @ x - b)[i].item(), rel=1e-8)


def test_half_the_squared_energy_norm_is_what_the_quadratic_can_still_fall():
    _, b, operator, solution = system(7, 30.0, seed=0)
    for seed in range(5):
        x = torch.from_numpy(np.random.default_rng(seed).standard_normal(7))
        above = quadratic(operator, b, x) - quadratic(operator, b, solution)
        assert 0.5 * energy_norm(operator, x - solution) ** 2 == pytest.approx(above, rel=1e-10)


def test_a_step_along_a_direction_ends_at_the_minimum_along_it():
    _, b, operator, _ = system(6, 20.0, seed=1)
    start, x = steepest_descent(operator, b, 1)
    values = [quadratic(operator, b, x + t * b) for t in (-1e-3, 0.0, 1e-3)]
    assert values[1] < min(values[0], values[2])
    assert start.tolist() == [0.0] * 6


def test_successive_residuals_of_steepest_descent_are_at_right_angles():
    A, b, operator, _ = system(6, 20.0, seed=2)
    residuals = [b - A @ x for x in steepest_descent(operator, b, 5)]
    for one, two in pairwise(residuals):
        assert abs(one @ two) < 1e-12 * one.norm() ** 2


def test_steepest_descent_stops_at_the_solution():
    iterates = steepest_descent(lambda v: 4.0 * v, torch.ones(3), 9)
    assert len(iterates) == 2
    assert iterates[-1].tolist() == [0.25] * 3


@pytest.mark.parametrize("condition", [1.0, 3.0, 40.0, 1e3])
def test_no_error_is_larger_than_its_bound(condition):
    for seed in range(5):
        _, b, operator, solution = system(12, condition, seed)
        start = energy_norm(operator, solution)
        down = steepest_descent(operator, b, 8)
        cg = conjugate_gradient(operator, b, 8, 0.0, keep_iterates=True).iterates
        for bound, iterates in ((steepest_descent_bound, down), (conjugate_gradient_bound, cg)):
            for k, x in enumerate(iterates):
                share = energy_norm(operator, x - solution) / start
                assert share <= bound(condition, k) * (1 + 1e-9) + 1e-12


def test_steepest_descent_meets_its_bound_at_the_worst_right_side():
    condition = 25.0
    A = torch.diag(torch.tensor([1.0, condition], dtype=torch.float64))
    error = torch.tensor([condition, 1.0], dtype=torch.float64)  # A error has equal entries
    solution, operator = error, lambda v: A @ v
    x = steepest_descent(operator, A @ solution, 7)[-1]
    share = energy_norm(operator, x - solution) / energy_norm(operator, solution)
    assert share == pytest.approx(steepest_descent_bound(condition, 7), rel=1e-10)


def test_conjugate_gradients_meet_their_bound_at_chebyshevs_points():
    """Eigenvalues where T_k is largest, weighted so that the best polynomial is Chebyshev's."""
    condition, k = 50.0, 3
    angles = np.pi * np.arange(k + 1) / k
    eigenvalues = ((condition + 1) + (condition - 1) * np.cos(angles)) / 2
    # The k-th error is as large as it can be if its squared weights are those of the
    # alternation theorem: 1 / |prod (mu_i - mu_j)| with one factor mu_i of the energy norm.
    differences = eigenvalues[:, None] - eigenvalues + np.eye(k + 1)
    dual = 1.0 / np.abs(differences.prod(axis=1)) / eigenvalues
    solution = torch.from_numpy(np.sqrt(dual / eigenvalues))
    mu = torch.from_numpy(eigenvalues)
    operator = lambda v: mu * v  # noqa: E731 (a matrix)
    x = conjugate_gradient(operator, mu * solution, k, 0.0).x
    share = energy_norm(operator, x - solution) / energy_norm(operator, solution)
    assert share == pytest.approx(conjugate_gradient_bound(condition, k), rel=1e-9)


def test_bound_is_chebyshevs_polynomial_and_below_its_simple_form():
    for condition in (1.5, 10.0, 1e4):
        at = (condition + 1) / (condition - 1)
        for k in range(1, 12):
            chebyshev = np.cosh(k * np.arccosh(at))
            bound = conjugate_gradient_bound(condition, k)
            assert bound == pytest.approx(1 / chebyshev, rel=1e-9)
            root = np.sqrt(condition)
            assert bound <= 2 * ((root - 1) / (root + 1)) ** k
    assert conjugate_gradient_bound(1.0, 0) == conjugate_gradient_bound(9.0, 0) == 1.0
    assert conjugate_gradient_bound(1.0, 1) == 0.0


def test_residuals_are_orthogonal_and_directions_conjugate():
    A, b, operator, _ = system(9, 50.0, seed=3)
    result = conjugate_gradient(operator, b, 6, 0.0, keep_iterates=True)
    R = torch.stack([b - A @ x for x in result.iterates[:-1]])
    D = torch.stack(result.iterates).diff(dim=0)  # multiples of the directions
    for gram in (R @ R.T, D @ A @ D.T):
        size = gram.diagonal().sqrt()
        np.testing.assert_allclose(gram / size / size[:, None], np.eye(6), atol=1e-10)


def test_what_an_early_stop_gains_is_the_product_with_the_right_side():
    F, g, operator, exact = system(20, 1e3, seed=4)
    result = conjugate_gradient(operator, g, 12, 0.0, keep_iterates=True)
    gains = []
    for x in result.iterates[1:]:
        assert (x @ F @ x).item() == pytest.approx((g @ x).item(), rel=1e-9)
        step = natural_step(x, x @ F @ x, max_kl=0.01)
        gains.append((g @ step).item())
        assert gains[-1] == pytest.approx(np.sqrt(0.02 * (g @ x).item()), rel=1e-9)
        error = energy_norm(operator, x - exact) / energy_norm(operator, exact)
        best = np.sqrt(0.02 * (g @ exact).item())
        assert gains[-1] / best == pytest.approx(np.sqrt(1 - error**2), rel=1e-9)
    assert (np.diff(gains) > 0).all()


def test_iterates_grow_in_the_ordinary_norm():
    _, b, operator, _ = system(30, 1e4, seed=5)
    iterates = conjugate_gradient(operator, b, 25, 0.0, keep_iterates=True).iterates
    assert (np.diff([x.norm().item() for x in iterates]) > 0).all()


def test_damping_shrinks_each_component_by_its_eigenvalue():
    mu = torch.tensor([5.0, 1.0, 0.1, 0.01], dtype=torch.float64)
    g, damping = torch.tensor([1.0, -2.0, 3.0, 0.5], dtype=torch.float64), 0.1
    x = conjugate_gradient(lambda v: (mu + damping) * v, g, 8, 1e-14).x
    np.testing.assert_allclose(x, mu / (mu + damping) * (g / mu), rtol=1e-10)


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_it_stops_at_the_first_residual_within_a_share_of_the_right_side(size):
    """The norm counts, not its square, and as a share: another unit changes nothing."""
    A, b, operator, _ = system(12, 40.0, seed=6)
    free = conjugate_gradient(operator, size * b, 12, 0.0, keep_iterates=True)
    left = [((size * b - A @ x).norm() / (size * b.norm())).item() for x in free.iterates]
    for tolerance in (0.3, 0.05, 1e-3):
        expected = next(k for k, share in enumerate(left) if share <= tolerance)
        assert conjugate_gradient(operator, size * b, 12, tolerance).iterations == expected
    assert conjugate_gradient(operator, size * b, 12, 1.0).iterations == 0


def test_damping_bounds_the_condition_number_and_so_the_error():
    """A singular matrix with damping converges as its damped condition number allows."""
    mu = torch.cat([torch.zeros(10), torch.linspace(0.0, 3.0, 30)]).double()
    damping = 0.05
    b = torch.from_numpy(np.random.default_rng(7).standard_normal(40))
    operator = lambda v: (mu + damping) * v  # noqa: E731 (a matrix)
    solution = b / (mu + damping)
    condition = ((mu.max() + damping) / (mu.min() + damping)).item()
    assert condition == pytest.approx(1 + 3.0 / damping)
    iterates = conjugate_gradient(operator, b, 25, 0.0, keep_iterates=True).iterates
    for k, x in enumerate(iterates):
        share = energy_norm(operator, x - solution) / energy_norm(operator, solution)
        assert share <= conjugate_gradient_bound(condition, k) * (1 + 1e-9)


@pytest.mark.parametrize("bound", [steepest_descent_bound, conjugate_gradient_bound])
def test_bad_input_is_named(bound):
    with pytest.raises(ValueError, match="condition must be at least 1"):
        bound(0.5, 3)
    with pytest.raises(ValueError, match="iterations at least 0"):
        bound(2.0, -1)
    with pytest.raises(ValueError, match="must not be negative"):
        steepest_descent(lambda v: v, torch.ones(2), -1)
    with pytest.raises(ValueError, match="shape"):
        quadratic(lambda v: v, torch.ones(2), torch.ones(3))
