"""Conjugate gradients against dense solves, and every way it can stop."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.conjugate_gradient import conjugate_gradient
from course_lib.natural import natural_step


def random_system(n, condition, seed):
    """A symmetric positive definite matrix with a given condition number, and a right side."""
    rng = np.random.default_rng(seed)
    Q, _ = np.linalg.qr(rng.standard_normal((n, n)))
    eigenvalues = np.geomspace(1.0, condition, n)
    A = (Q * eigenvalues) @ Q.T
    return (A + A.T) / 2, rng.standard_normal(n)


def solve(A, b, **options):
    A, b = torch.from_numpy(A), torch.from_numpy(b)
    return conjugate_gradient(lambda v: A @ v, b, **options)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(1, 40), st.floats(1.0, 10.0), st.integers(0, 10**6))
def test_matches_the_dense_solve_within_n_iterations(n, condition, seed):
    A, b = random_system(n, condition, seed)
    result = solve(A, b, iterations=n)
    exact = np.linalg.solve(A, b)
    assert result.iterations <= n
    assert np.linalg.norm(result.x.numpy() - exact) < 1e-8 * np.linalg.norm(exact)


def test_k_distinct_eigenvalues_take_k_iterations():
    A = np.diag([1.0, 1.0, 1.0, 5.0, 5.0, 9.0])
    result = solve(A, np.arange(1.0, 7.0), iterations=6, tolerance=1e-12)
    assert result.iterations == 3
    assert result.reason == "tolerance"


def test_trace_is_monotone_in_the_energy_norm():
    """The residual may rise; the distance to the solution in the norm of A never does."""
    A, b = random_system(30, 1e4, seed=0)
    result = solve(A, b, iterations=30, tolerance=0.0, keep_iterates=True)
    errors = torch.stack(result.iterates).numpy() - np.linalg.solve(A, b)
    energy = np.sqrt(np.einsum("ki,ij,kj->k", errors, A, errors))
    assert len(energy) == 31
    assert (np.diff(energy) <= 1e-12 * energy[0]).all()
    assert np.any(np.diff(result.residual_norms) > 0)  # or the residual would do as a measure


def test_iterate_k_minimises_the_quadratic_over_the_krylov_space():
    A, b = random_system(12, 100.0, seed=1)
    result = solve(A, b, iterations=4, keep_iterates=True)
    for k in range(1, 5):
        basis, _ = np.linalg.qr(
            np.stack([np.linalg.matrix_power(A, i) @ b for i in range(k)], axis=1)
        )
        best = basis @ np.linalg.solve(basis.T @ A @ basis, basis.T @ b)
        np.testing.assert_allclose(result.iterates[k].numpy(), best, rtol=1e-9, atol=1e-12)


def test_trace_reports_the_true_residuals():
    A, b = random_system(10, 10.0, seed=2)
    result = solve(A, b, iterations=5, keep_iterates=True)
    true = [np.linalg.norm(b - A @ x.numpy()) for x in result.iterates]
    np.testing.assert_allclose(result.residual_norms, true, rtol=1e-9)
    np.testing.assert_allclose(result.residual.numpy(), b - A @ result.x.numpy(), atol=1e-12)
    assert result.reason == "iterations"


def test_residual_gives_the_undamped_curvature_without_another_product():
    F, g = random_system(10, 10.0, seed=3)
    damping = 0.1
    result = solve(F + damping * np.eye(10), g, iterations=4)
    x = result.x
    curvature = x @ (torch.from_numpy(g) - result.residual) - damping * x @ x
    np.testing.assert_allclose(curvature.item(), x.numpy() @ F @ x.numpy(), rtol=1e-12)


def test_works_in_the_dtype_it_was_given():
    A, b = random_system(8, 5.0, seed=4)
    result = solve(A.astype(np.float32), b.astype(np.float32), iterations=8)
    assert result.x.dtype == result.residual.dtype == torch.float32
    np.testing.assert_allclose(result.x.numpy(), np.linalg.solve(A, b), rtol=1e-4, atol=1e-5)


def test_operator_is_called_once_per_iteration_and_b_is_left_alone():
    A, b = random_system(10, 10.0, seed=5)
    A, b = torch.from_numpy(A), torch.from_numpy(b)
    kept, calls = b.clone(), []
    result = conjugate_gradient(lambda v: calls.append(1) or A @ v, b, iterations=6)
    assert len(calls) == result.iterations == 6
    assert torch.equal(b, kept)


def test_singular_system_is_solved_if_b_has_no_part_in_the_null_space():
    p = np.array([0.2, 0.3, 0.5])
    F = np.diag(p) - np.outer(p, p)  # Fisher matrix of a softmax: F 1 = 0
    g = p * np.array([1.0, -2.0, 0.7])
    g = g - p * g.sum()  # a policy gradient: its entries add up to 0
    result = solve(F, g, iterations=3)
    np.testing.assert_allclose(F @ result.x.numpy(), g, atol=1e-14)
    assert abs(result.x.sum()) < 1e-12  # and it is the solution of least norm


def test_stops_and_says_so_at_negative_curvature():
    result = solve(np.diag([2.0, -1.0]), np.array([1.0, 1.0]), iterations=5)
    # b^T A b = 1 > 0, so one step is fine: x = 2 b; the next direction sees -1.
    assert result.reason == "curvature"
    assert result.iterations == 1
    np.testing.assert_allclose(result.x.numpy(), [2.0, 2.0])


def test_stops_before_the_first_step_where_the_operator_is_negative():
    result = solve(-np.eye(2), np.ones(2))
    assert result.reason == "curvature"
    assert result.iterations == 0
    assert result.x.tolist() == [0.0, 0.0]


def test_zero_right_side_needs_no_product():
    def operator(v):
        raise AssertionError("called")

    result = conjugate_gradient(operator, torch.zeros(3))
    assert result.x.tolist() == [0.0, 0.0, 0.0]
    assert result.reason == "tolerance"


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_right_side_that_is_not_finite_is_named(bad):
    with pytest.raises(ValueError, match="b is not finite"):
        conjugate_gradient(lambda v: v, torch.tensor([1.0, bad]))


def test_a_product_that_is_not_finite_is_named_with_its_iteration():
    A, b = random_system(5, 10.0, seed=6)
    A, calls = torch.from_numpy(A), []

    def operator(v):
        calls.append(1)
        return A @ v if len(calls) < 3 else v * float("nan")

    with pytest.raises(ValueError, match="product in iteration 3 is not finite"):
        conjugate_gradient(operator, torch.from_numpy(b))


def test_shapes_and_settings_are_checked():
    with pytest.raises(ValueError, match=r"b must be a vector"):
        conjugate_gradient(lambda v: v, torch.ones(2, 1))
    with pytest.raises(ValueError, match=r"returned shape \(2, 2\)"):
        conjugate_gradient(lambda v: torch.eye(2) * v, torch.ones(2))
    with pytest.raises(ValueError, match="must not be negative"):
        conjugate_gradient(lambda v: v, torch.ones(2), iterations=-1)


def test_natural_step_reaches_the_radius_in_the_quadratic_model():
    F, g = random_system(6, 20.0, seed=7)
    x = np.linalg.solve(F, g)
    step = natural_step(torch.from_numpy(x), x @ F @ x, max_kl=0.02).numpy()
    np.testing.assert_allclose(0.5 * step @ F @ step, 0.02, rtol=1e-12)
    np.testing.assert_allclose(step, np.sqrt(0.04 / (g @ np.linalg.solve(F, g))) * x, rtol=1e-12)


@pytest.mark.parametrize("curvature", [0.0, -1.0, float("nan"), float("inf")])
def test_natural_step_refuses_a_curvature_without_a_length(curvature):
    with pytest.raises(ValueError, match="curvature"):
        natural_step(torch.ones(2), curvature, 0.01)


def test_natural_step_refuses_a_radius_that_is_not_positive():
    with pytest.raises(ValueError, match="max_kl"):
        natural_step(torch.ones(2), 1.0, 0.0)
