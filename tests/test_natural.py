"""The natural step (chapter 5): optimal in its ball, and the same policy in every notation."""

import itertools
import math

import pytest
import torch

from course_lib.conjugate_gradient import conjugate_gradient
from course_lib.distributions import Categorical, DiagonalGaussian
from course_lib.fisher import dense_fisher, fisher_from_scores
from course_lib.natural import natural_step


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


def test_in_other_coordinates_the_ends_differ_by_second_order():
    """(m, log sigma) against (m, sigma): the gap of the ends is proportional to max_kl."""
    g, F = torch.tensor([2.0, -2.0]).double(), torch.diag(torch.tensor([1.0, 2.0]).double())
    x = torch.linalg.solve(F, g)
    gaps = {}
    for max_kl in (1e-4, 1e-6):
        step = natural_step(x, x @ F @ x, max_kl)  # at sigma = 1 both have this g and this F
        gaps[max_kl] = abs(math.exp(step[1]) - (1.0 + step[1].item()))
    assert gaps[1e-4] / gaps[1e-6] == pytest.approx(100.0, rel=0.02)


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
