"""Ratio, surrogate, KL and the KL estimators; expectations taken exactly by enumeration."""

import math

import pytest
import torch
from scipy.integrate import quad

from course_lib.distributions import Categorical, DiagonalGaussian
from course_lib.surrogate import (
    approx_kl,
    effective_sample_size,
    importance_ratio,
    kl_divergence,
    surrogate,
)

K = 4


def randn(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def two_categoricals(states=1):
    """Old and new log-probabilities of every action, shape (states, K)."""
    return (torch.log_softmax(randn(states, K, seed=s), dim=-1) for s in (1, 2))


def test_ratio_by_hand():
    ratio = importance_ratio(torch.tensor([0.5, 0.1]).log(), torch.tensor([0.25, 0.2]).log())
    torch.testing.assert_close(ratio, torch.tensor([2.0, 0.5]))


def test_ratio_averages_to_one_under_the_old_policy():
    old, new = two_categoricals()
    assert (old.exp() * importance_ratio(new, old)).sum().item() == pytest.approx(1.0, rel=1e-14)


def test_surrogate_is_the_mean_of_ratio_times_advantage():
    new, old = torch.tensor([0.5, 0.1]).log(), torch.tensor([0.25, 0.2]).log()
    value = surrogate(new, old, torch.tensor([3.0, -4.0]))
    assert value.item() == pytest.approx((2.0 * 3.0 - 0.5 * 4.0) / 2, rel=1e-6)


def test_surrogate_has_the_policy_gradient_at_the_old_policy():
    """grad mean(ratio A) = grad mean(log pi A) where new = old, and not elsewhere."""
    logits, advantages = randn(6, K, seed=3), randn(6, seed=4)
    actions = torch.tensor([0, 1, 2, 3, 0, 1])
    old = Categorical(logits).log_prob(actions)
    for shift, same in ((0.0, True), (0.5, False)):
        moved = (logits + shift * randn(6, K, seed=5)).requires_grad_()
        log_probs = Categorical(moved).log_prob(actions)
        (a,) = torch.autograd.grad(surrogate(log_probs, old, advantages), moved, retain_graph=True)
        (b,) = torch.autograd.grad((log_probs * advantages).mean(), moved)
        assert torch.allclose(a, b, rtol=1e-12, atol=1e-15) is same


CASES = {
    "categorical": lambda z: Categorical(z.view(3, 4)),
    "gaussian": lambda z: DiagonalGaussian(z[:6].view(3, 2), z[6:8]),
    "gaussian, sigma per state": lambda z: DiagonalGaussian(z[:6].view(3, 2), z[6:].view(3, 2)),
}


@pytest.mark.parametrize("case", CASES)
def test_kl_at_the_old_policy_has_value_0_gradient_0_and_the_fisher_matrix_as_hessian(case):
    make, z = CASES[case], randn(12, seed=6)
    old = make(z).detach()
    kl = lambda z: kl_divergence(old, make(z))  # noqa: E731
    assert abs(kl(z).item()) < 1e-15
    assert torch.autograd.functional.jacobian(kl, z).abs().max() < 1e-15
    hessian = torch.autograd.functional.hessian(kl, z)
    expected = torch.zeros(12, 12, dtype=torch.float64)
    if case == "categorical":
        for b, p in enumerate(torch.softmax(z.view(3, 4), -1)):
            block = slice(4 * b, 4 * b + 4)
            expected[block, block] = (torch.diag(p) - torch.outer(p, p)) / 3
    elif case == "gaussian":
        precision = (-2.0 * z[6:8]).exp()
        expected[range(8), range(8)] = torch.cat([precision.repeat(3) / 3, torch.full((2,), 2.0)])
    else:
        expected[range(12), range(12)] = torch.cat(
            [(-2.0 * z[6:]).exp() / 3, torch.full((6,), 2.0 / 3, dtype=torch.float64)]
        )
    torch.testing.assert_close(hessian, expected, rtol=1e-12, atol=1e-14)


def test_kl_is_the_mean_over_states_and_takes_the_old_policy_first():
    p, q = torch.tensor([[0.9, 0.1], [0.5, 0.5]]), torch.tensor([[0.5, 0.5], [0.5, 0.5]])
    value = kl_divergence(Categorical(p.log()), Categorical(q.log())).item()
    assert value == pytest.approx(0.5 * (0.9 * math.log(1.8) + 0.1 * math.log(0.2)), rel=1e-5)


def test_kl_of_two_kinds_is_refused():
    gaussian = DiagonalGaussian(torch.zeros(1, 2), torch.zeros(2))
    with pytest.raises(ValueError, match="one kind, not Categorical and DiagonalGaussian"):
        kl_divergence(Categorical(torch.zeros(1, 2)), gaussian)


def per_action(estimator, old, new):
    """The estimator's value at each action alone: its terms, without the sampling."""
    return torch.stack([approx_kl(new[:, a], old[:, a], estimator) for a in range(K)])


def test_k1_and_k3_are_unbiased_and_k2_is_what_its_formula_says():
    old, new = two_categoricals()
    p = old.exp()[0]
    exact = kl_divergence(Categorical(old), Categorical(new)).item()
    means = {k: (p @ per_action(k, old, new)).item() for k in ("k1", "k2", "k3")}
    assert means["k1"] == pytest.approx(exact, rel=1e-12)
    assert means["k3"] == pytest.approx(exact, rel=1e-12)
    expected_k2 = sum(
        pi * 0.5 * math.log(qi / pi) ** 2
        for pi, qi in zip(p.tolist(), new.exp()[0].tolist(), strict=True)
    )
    assert means["k2"] == pytest.approx(expected_k2, rel=1e-12)
    assert abs(means["k2"] - exact) > 0.01 * exact  # biased


def test_the_variance_of_k3_is_what_its_formula_says():
    old, new = two_categoricals()
    p, r = old.exp()[0], (new - old)[0].exp()
    k1, k3 = (per_action(k, old, new) for k in ("k1", "k3"))
    there = kl_divergence(Categorical(old), Categorical(new))
    back = kl_divergence(Categorical(new), Categorical(old))
    variance = {k: p @ x**2 - (p @ x) ** 2 for k, x in (("k1", k1), ("k3", k3))}
    expected = variance["k1"] + (p @ r**2 - 1) - 2 * (there + back)
    assert variance["k3"].item() == pytest.approx(expected.item(), rel=1e-10)


@pytest.mark.parametrize("s", [0.5, 0.9, 1.2, 1.4])
def test_the_second_moment_of_the_ratio_of_two_gaussians(s):
    log_std = torch.tensor([s], dtype=torch.float64).log()
    zero = torch.zeros(1, 1, dtype=torch.float64)
    old, new = DiagonalGaussian(zero, 0 * log_std), DiagonalGaussian(zero, log_std)

    def weighted_square(a):
        at = torch.full((1, 1), a, dtype=torch.float64)
        return (2 * new.log_prob(at) - old.log_prob(at)).exp().item()

    integral = quad(weighted_square, -60, 60, points=[0], limit=500)[0]
    assert integral == pytest.approx(1 / (s * math.sqrt(2 - s**2)), rel=1e-7)


def test_k1_can_be_negative_and_the_others_cannot():
    old, new = two_categoricals()
    assert per_action("k1", old, new).min() < 0
    assert per_action("k2", old, new).min() >= 0
    assert per_action("k3", old, new).min() >= 0


def test_k3_is_the_default_and_keeps_its_digits_near_zero():
    """k3 is about x^2 / 2 for log r = x: computed as exp(x) - 1 - x it would drown in rounding."""
    log_ratio = torch.tensor([1e-3], dtype=torch.float32)
    value = approx_kl(log_ratio, torch.zeros(1)).item()
    x = float(log_ratio)
    assert value == pytest.approx(math.expm1(x) - x, rel=1e-3)


def test_an_unknown_estimator_is_named():
    with pytest.raises(ValueError, match="not 'k4'"):
        approx_kl(torch.zeros(2), torch.zeros(2), "k4")


def test_effective_sample_size_by_hand():
    ratio = torch.tensor([1.0, 3.0])  # (1 + 3)^2 / (2 (1 + 9))
    assert effective_sample_size(ratio.log(), torch.zeros(2)).item() == pytest.approx(0.8)
    one = torch.tensor([0.0, -torch.inf, -torch.inf, -torch.inf])  # one sample of four counts
    assert effective_sample_size(one, torch.zeros(4)).item() == 0.25


def normal_quantiles(size):
    """The middle of each of so many equally likely parts of a standard normal: no noise."""
    share = (torch.arange(size, dtype=torch.float64) + 0.5) / size
    return torch.special.ndtri(share)


@pytest.mark.parametrize("kl", [0.01, 0.1, 0.2])
def test_effective_sample_size_of_shifted_gaussians(kl):
    z, m = normal_quantiles(1_000_000), math.sqrt(2.0 * kl)
    step = m * z - m**2 / 2.0
    one = effective_sample_size(step, torch.zeros_like(step)).item()
    assert one == pytest.approx(math.exp(-2.0 * kl), rel=1e-3)
    grid = normal_quantiles(1000)  # a sequence of two steps: every pair
    step = m * grid - m**2 / 2.0
    two = (step[:, None] + step).reshape(-1)
    share = effective_sample_size(two, torch.zeros_like(two)).item()
    assert share == pytest.approx(math.exp(-4.0 * kl), rel=0.01)


def test_effective_sample_size_is_bounded_by_the_kl_from_new_to_old():
    """1 / E_old[r^2] <= exp(-KL(new || old)); a batch with every action as often as it is likely."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(100):
        counts = torch.randint(1, 20, (K,), generator=generator)
        old = counts / counts.sum()
        new = torch.softmax(2.0 * torch.randn(K, generator=generator), 0)
        actions = torch.repeat_interleave(torch.arange(K), counts)
        share = effective_sample_size(new.log()[actions], old.log()[actions]).item()
        assert share == pytest.approx(1.0 / (new**2 / old).sum().item(), rel=1e-4)
        assert share <= math.exp(-(new * (new / old).log()).sum().item()) * (1.0 + 1e-5)


def test_shapes_that_would_broadcast_are_refused():
    column, row = torch.zeros(3, 1), torch.zeros(3)
    with pytest.raises(ValueError, match=r"log_probs has shape \(3, 1\)"):
        importance_ratio(column, row)
    with pytest.raises(ValueError, match=r"old_log_probs has \(3, 1\)"):
        surrogate(row, column, row)
    with pytest.raises(ValueError, match=r"advantages has \(3, 1\)"):
        surrogate(row, row, column)
    with pytest.raises(ValueError, match=r"log_probs has shape"):
        approx_kl(row, column)
