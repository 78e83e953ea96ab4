"""The natural step (chapter 5): optimal in its ball, and the same policy in every notation."""

import itertools
import math

import pytest
import torch

from course_lib.conjugate_gradient import conjugate_gradient
from course_lib.distributions import Categorical, DiagonalGaussian
from course_lib.fisher import dense_fisher, fisher_from_scores
from course_lib.natural import natural_step, undamped_curvature


def randn(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def problem():
    """A gradient, a positive definite Fisher matrix, and the step of radius 0.01."""
    root, g = randn(6, 6, seed=0), randn(6, seed=1)
    F = root @ root.T + 0.1 * torch.eye(6)
    x = torch.linalg.solve(F, g)
    return g, F, natural_step(x, x @ F @ x, 0.01)


def test_the_score_has_mean_zero():
    logits = randn(4, 3, seed=2)
    scores = torch.autograd.functional.jacobian(lambda z: Categorical(z).log_probs, logits)
    mean = torch.einsum("ba,bacd->bcd", Categorical(logits).log_probs.exp(), scores)
    assert mean.abs().max() < 1e-15
    assert scores.abs().max() > 0.1


def test_the_quadratic_model_of_the_kl_errs_by_third_order():
    start, direction = randn(12, seed=3), randn(12, seed=4)
    make = lambda z: DiagonalGaussian(z[:6].view(3, 2), z[6:].view(3, 2))  # noqa: E731
    kl = lambda z: make(start).kl(make(z)).mean()  # noqa: E731
    F = dense_fisher(kl, start)
    sizes = (0.04, 0.02, 0.01)
    errors = [
        (kl(start + t * direction) - 0.5 * t**2 * direction @ F @ direction).item() for t in sizes
    ]
    for larger, smaller in itertools.pairwise(errors):
        assert larger / smaller == pytest.approx(8.0, rel=0.1)


def test_no_step_inside_the_ball_gains_more(problem):
    g, F, step = problem
    assert 0.5 * (step @ F @ step).item() == pytest.approx(0.01)
    others = torch.cat(
        [randn(5_000, 6, seed=5), step + 0.05 * step.norm() * randn(5_000, 6, seed=6)]
    )
    modelled = 0.5 * ((others @ F) * others).sum(1)
    gains = others @ g * (0.01 / modelled).sqrt()
    assert gains.max() <= g @ step
    assert gains.max() > 0.99 * (g @ step)  # the search comes near, so it could have beaten it


def test_the_dual_at_its_best_price_is_the_gain(problem):
    g, F, step = problem
    prices = torch.logspace(-2, 4, 20_001, dtype=torch.float64)
    dual = g @ torch.linalg.solve(F, g) / (2 * prices) + 0.01 * prices
    assert (dual >= g @ step).all()
    assert dual.min().item() == pytest.approx((g @ step).item(), rel=1e-6)


def test_the_natural_step_is_the_same_under_a_linear_change_of_parameters(problem):
    g, F, step = problem
    T = randn(6, 6, seed=7)
    other_g, other_F = T.T @ g, T.T @ F @ T
    x = torch.linalg.solve(other_F, other_g)
    torch.testing.assert_close(T @ natural_step(x, x @ other_F @ x, 0.01), step)
    plain = T @ other_g
    assert torch.cosine_similarity(plain, g, dim=0) < 0.9


NOTATIONS = {
    "log sigma": (lambda x: x, math.log(2.0)),
    "sigma": (torch.log, 2.0),
    "variance": (lambda x: 0.5 * torch.log(x), 4.0),
}


def disagreement(max_kl, natural):
    """Largest KL between the ends of one step in three notations, as a share of max_kl."""
    ends = []
    for log_std, stored in NOTATIONS.values():
        start = torch.tensor([0.0, stored], dtype=torch.float64)
        at = lambda x, f=log_std: DiagonalGaussian(x[:1].view(1, 1), f(x[1:]))  # noqa: E731
        g = torch.autograd.functional.jacobian(
            lambda x, f=log_std: -((x[0] - 1.0) ** 2) - torch.exp(2 * f(x[1])), start
        )
        F = dense_fisher(lambda x, at=at, start=start: at(start).kl(at(x)).mean(), start)
        x = torch.linalg.solve(F, g) if natural else g
        ends.append(at(start + natural_step(x, x @ F @ x, max_kl)))
    return max(p.kl(q).item() for p in ends for q in ends) / max_kl


def test_the_natural_step_is_invariant_to_first_order_and_the_plain_gradient_is_not():
    """Ends that differ by second order have a KL of fourth order: its share falls like max_kl."""
    assert disagreement(1e-3, True) / disagreement(1e-4, True) == pytest.approx(10.0, rel=0.2)
    assert disagreement(1e-4, True) < 1e-3
    assert disagreement(1e-4, False) == pytest.approx(disagreement(1e-3, False), rel=0.1)
    assert disagreement(1e-4, False) > 0.05


def test_a_singular_fisher_matrix_is_blind_only_where_the_gradient_is_zero():
    logits, A = randn(4, seed=8), randn(4, seed=9)
    p = torch.softmax(logits, 0)
    scores = torch.eye(4, dtype=torch.float64) - p
    F, g = fisher_from_scores(scores, p), scores.T @ (p * A)
    assert torch.linalg.matrix_rank(F) == 3
    assert abs(g.sum().item()) < 1e-15
    assert g.norm() > 0.1
    solved = conjugate_gradient(lambda v: F @ v, g, iterations=3)
    torch.testing.assert_close(F @ solved.x, g)
    torch.testing.assert_close(solved.x, torch.linalg.pinv(F) @ g)


def test_the_kl_at_a_fixed_price_grows_with_the_square_of_the_rewards(problem):
    g, F, step = problem
    for beta in (0.5, 5.0):
        priced = torch.linalg.solve(F, g) / beta
        modelled = 0.5 * priced @ F @ priced
        assert modelled.item() == pytest.approx((g @ priced).item() / (2 * beta))
    x = torch.linalg.solve(F, 10 * g)
    torch.testing.assert_close(natural_step(x, x @ F @ x, 0.01), step)


@pytest.mark.parametrize("iterations", [1, 3, 6])
def test_the_residual_gives_the_undamped_curvature(problem, iterations):
    """Also where the solver was stopped early: Eq. (8.6) holds for every x."""
    g, F, _ = problem
    solved = conjugate_gradient(lambda v: F @ v + 0.5 * v, g, iterations, 0.0)
    free = undamped_curvature(solved.x, g - solved.residual, 0.5)
    assert free == pytest.approx((solved.x @ F @ solved.x).item(), rel=1e-10)


def test_damping_in_the_length_shrinks_the_radius(problem):
    g, F, _ = problem
    x = torch.linalg.solve(F + 0.5 * torch.eye(6), g)
    damped = x @ F @ x + 0.5 * x @ x
    step = natural_step(x, damped, 0.01)
    left = (0.5 * step @ F @ step / 0.01).item()
    assert left == pytest.approx((x @ F @ x / damped).item(), rel=1e-12)
    assert left < 0.95
