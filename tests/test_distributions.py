"""The closed forms against torch.distributions, in float64, values and gradients."""

import math

import pytest
import torch
import torch.distributions as td

from course_lib.distributions import Categorical, DiagonalGaussian

B, K, D = 30, 5, 3
EXACT = dict(rtol=1e-12, atol=1e-12)


def randn(*shape, seed=0, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    x = scale * torch.randn(*shape, generator=generator, dtype=torch.float64)
    return x.requires_grad_()


def categorical(seed):
    logits = randn(B, K, seed=seed, scale=3.0)
    return [logits], Categorical(logits), td.Categorical(logits=logits)


def gaussian(seed, shared=True):
    mean, log_std = randn(B, D, seed=seed), randn(*((D,) if shared else (B, D)), seed=seed + 100)
    reference = td.Independent(td.Normal(mean, log_std.exp().expand(B, D)), 1)
    return [mean, log_std], DiagonalGaussian(mean, log_std), reference


MAKERS = {
    "categorical": categorical,
    "gaussian, shared sigma": gaussian,
    "gaussian, sigma per state": lambda seed: gaussian(seed, shared=False),
}
makers = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


def assert_same(ours, reference, inputs):
    """Equal values of shape (B,), and equal gradients of a weighted sum of them."""
    assert ours.shape == (B,)
    torch.testing.assert_close(ours, reference, **EXACT)
    weights = randn(B, seed=9).detach()
    gradients = (torch.autograd.grad((weights * y).sum(), inputs) for y in (ours, reference))
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b, **EXACT)


@makers
def test_log_prob(make):
    inputs, ours, reference = make(0)
    actions = reference.sample()
    assert_same(ours.log_prob(actions), reference.log_prob(actions), inputs)


@makers
def test_entropy(make):
    inputs, ours, reference = make(1)
    weights = randn(B, seed=9).detach()
    assert ours.entropy().shape == (B,)
    torch.testing.assert_close(ours.entropy(), reference.entropy(), **EXACT)
    # The entropy of a Gaussian does not depend on its mean at all.
    ways = (
        torch.autograd.grad((weights * x.entropy()).sum(), inputs[-1:]) for x in (ours, reference)
    )
    for a, b in zip(*ways, strict=True):
        torch.testing.assert_close(a, b, **EXACT)


@makers
def test_kl_and_its_gradient_by_both_sides(make):
    old_inputs, old, old_reference = make(2)
    new_inputs, new, new_reference = make(3)
    reference = td.kl_divergence(old_reference, new_reference)
    assert (reference > 0.01).all()
    assert_same(old.kl(new), reference, [*old_inputs, *new_inputs])


@makers
def test_kl_to_itself_is_zero(make):
    _, ours, _ = make(4)
    assert ours.kl(ours).abs().max() < 1e-14


@makers
def test_detach_cuts_the_gradient_and_nothing_else(make):
    _, ours, _ = make(5)
    detached = ours.detach()
    assert type(detached) is type(ours)
    for a, b in zip(detached.outputs(), ours.outputs(), strict=True):
        assert not a.requires_grad
        assert torch.equal(a, b)


@makers
def test_fisher_product_is_the_hessian_of_the_mean_kl(make):
    inputs, ours, _ = make(6)
    old = ours.detach()
    tangents = [randn(*x.shape, seed=7 + i).detach() for i, x in enumerate(inputs)]
    kl = old.kl(type(ours)(*inputs)).mean()
    gradients = torch.autograd.grad(kl, inputs, create_graph=True)
    hessian = torch.autograd.grad(gradients, inputs, tangents)
    for a, b in zip(ours.fisher_product(*tangents), hessian, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-14)


def test_log_probs_are_normalised():
    _, ours, reference = categorical(8)
    torch.testing.assert_close(ours.log_probs, reference.logits, **EXACT)
    torch.testing.assert_close(ours.log_probs.exp().sum(-1), torch.ones(B, dtype=torch.float64))


def test_shift_of_all_logits_changes_nothing():
    (logits,), ours, _ = categorical(8)
    torch.testing.assert_close(Categorical(logits + 7.0).log_probs, ours.log_probs, **EXACT)


@pytest.mark.parametrize("scale", [1e2, 1e4])
def test_extreme_logits_stay_finite(scale):
    logits = torch.tensor([[scale, 0.0, -scale], [-scale, scale, scale]], requires_grad=True)
    ours = Categorical(logits)
    entropy = ours.entropy()
    torch.testing.assert_close(entropy, torch.tensor([0.0, math.log(2.0)]))
    kl = ours.detach().kl(Categorical(logits))
    assert kl.abs().max() < 1e-6
    log_prob = ours.log_prob(torch.tensor([2, 0]))
    torch.testing.assert_close(log_prob, torch.tensor([-2 * scale, -2 * scale - math.log(2.0)]))
    (gradient,) = torch.autograd.grad((entropy + log_prob + kl).sum(), logits)
    assert torch.isfinite(gradient).all()


def test_uniform_has_the_largest_entropy():
    entropy = Categorical(torch.zeros(1, K)).entropy().item()
    assert entropy == pytest.approx(math.log(K), rel=1e-6)


@pytest.mark.parametrize("log_std", [-8.0, 8.0])
def test_extreme_log_sigma_stays_exact(log_std):
    mean = torch.zeros(1, 1, dtype=torch.float64)
    ours = DiagonalGaussian(mean, torch.full((1,), log_std, dtype=torch.float64))
    reference = td.Normal(mean[0], torch.full((1,), log_std, dtype=torch.float64).exp())
    action = 2.0 * torch.full((1, 1), math.exp(log_std), dtype=torch.float64)
    torch.testing.assert_close(ours.log_prob(action), reference.log_prob(action)[0], **EXACT)
    torch.testing.assert_close(ours.entropy()[0], reference.entropy()[0], **EXACT)


def test_log_std_is_of_the_standard_deviation_not_of_the_variance():
    ours = DiagonalGaussian(torch.zeros(1, 1), torch.tensor([math.log(3.0)]))
    at_zero = ours.log_prob(torch.zeros(1, 1)).exp().item()
    assert at_zero == pytest.approx(1.0 / (3.0 * math.sqrt(2.0 * math.pi)), rel=1e-6)
