"""Fisher-vector products: three ways, against each other and against matrices built otherwise."""

import copy

import numpy as np
import pytest
import torch

from course_lib.distributions import Categorical
from course_lib.fisher import (
    dense_fisher,
    double_backprop_operator,
    fisher_from_scores,
    fisher_operator,
    fisher_vector_product,
    gauss_newton_vector_product,
)
from course_lib.network_fisher import network_fisher_operator
from course_lib.parameters import assign, flatten, functional
from course_lib.perceptron import forward, layers_of, linearize
from course_lib.policies import CategoricalPolicy, GaussianPolicy
from course_lib.surrogate import kl_divergence

KINDS = ("categorical", "gaussian", "gaussian with state-dependent sigma")
B, O, HIDDEN = 16, 3, (6, 5)


def make(kind, dtype, seed=0):
    generator = torch.Generator().manual_seed(seed)
    if kind == "categorical":
        policy = CategoricalPolicy(O, 4, generator, HIDDEN, output_scale=1.0)
    else:
        policy = GaussianPolicy(
            O, 2, generator, HIDDEN, output_scale=1.0, state_dependent_std="state" in kind
        )
    policy = policy.to(dtype)
    with torch.no_grad():  # initial biases are zero; a test should not live at such a point
        for p in policy.parameters():
            p += 0.1 * torch.randn(p.shape, generator=generator, dtype=dtype)
    observations = torch.randn(B, O, generator=generator, dtype=dtype)
    return policy, observations, list(policy.parameters()), flatten(policy.parameters()).detach()


def make_kl(policy, observations):
    old, at = policy(observations).detach(), functional(policy)
    return lambda theta: kl_divergence(old, at(theta, observations))


def kl_with_graph(policy, observations):
    new = policy(observations)
    return kl_divergence(new.detach(), new)


def vectors(theta, count, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, len(theta), generator=generator, dtype=theta.dtype)


def matrix(operator, theta):
    return torch.stack([operator(e) for e in torch.eye(len(theta), dtype=theta.dtype)], dim=1)


def scores(log_probs, parameters):
    """Gradients of B log-probabilities by all P parameters, shape (B, P)."""
    rows = torch.eye(len(log_probs), dtype=log_probs.dtype)
    parts = torch.autograd.grad(
        log_probs, parameters, rows, retain_graph=True, is_grads_batched=True
    )
    return torch.cat([x.flatten(1) for x in parts], dim=1)


def covariance_of_scores(policy, observations):
    """E[score score^T], exact: a sum over all actions, or Gauss-Hermite quadrature.

    A score is a polynomial of degree 2 in the action's noise, so its square has degree 4, and three
    nodes integrate degree 5 exactly.
    """
    parameters, d = list(policy.parameters()), policy(observations)
    if isinstance(policy, CategoricalPolicy):
        log_probs = d.log_probs.flatten()
        rows = scores(log_probs, parameters)
        return (log_probs.exp()[:, None] * rows).T @ rows / B
    nodes, weights = np.polynomial.hermite_e.hermegauss(3)
    weights = weights / weights.sum()
    total = 0.0
    for i, j in np.ndindex(3, 3):
        noise = torch.tensor([nodes[i], nodes[j]])
        actions = (d.mean + d.log_std.exp() * noise).detach()
        rows = scores(d.log_prob(actions), parameters)
        total = total + weights[i] * weights[j] / B * rows.T @ rows
    return total


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_three_ways_agree_with_a_float64_matrix_of_scores(kind, dtype, tolerance):
    policy, observations, parameters, theta = make(kind, dtype)
    twin = copy.deepcopy(policy).double()
    reference = covariance_of_scores(twin, observations.double()).detach()
    kl_fn = make_kl(policy, observations)
    double_backprop = double_backprop_operator(kl_with_graph(policy, observations), parameters)
    gauss_newton = fisher_operator(policy(observations), parameters)
    written_out = network_fisher_operator(policy, observations)
    dense = dense_fisher(kl_fn, theta)
    for v in vectors(theta, 3):
        expected = reference @ v.double()
        scale = expected.abs().max()
        ways = {
            "double backprop": fisher_vector_product(kl_fn, theta, v),
            "double backprop, graph reused": double_backprop(v),
            "Gauss-Newton": gauss_newton(v),
            "Gauss-Newton, written out": written_out(v),
            "dense": dense @ v,
        }
        for name, product in ways.items():
            assert product.dtype == dtype
            error = (product.double() - expected).abs().max() / scale
            assert error < tolerance, (name, error)


@pytest.mark.parametrize("kind", KINDS)
def test_operator_is_symmetric_and_positive_semidefinite_on_all_parameters(kind):
    policy, observations, parameters, theta = make(kind, torch.float64)
    F = matrix(fisher_operator(policy(observations), parameters), theta)
    torch.testing.assert_close(F, F.T, rtol=0, atol=1e-14)
    eigenvalues = torch.linalg.eigvalsh(F)
    assert eigenvalues[0] > -1e-12 * eigenvalues[-1]
    touched = [p.abs().sum() > 0 for p in torch.split(F, [p.numel() for p in parameters])]
    assert all(touched), "a parameter has no row in F"


def test_log_sigma_block_is_two_and_apart_from_the_mean():
    policy, observations, parameters, theta = make("gaussian", torch.float64)
    assert parameters[0] is policy.log_std
    F = matrix(fisher_operator(policy(observations), parameters), theta)
    torch.testing.assert_close(F[:2, :2], 2.0 * torch.eye(2, dtype=torch.float64))
    assert (F[:2, 2:] == 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_damping_adds_a_multiple_of_v_in_every_form(kind):
    policy, observations, parameters, theta = make(kind, torch.float64)
    kl_fn, (v,) = make_kl(policy, observations), vectors(theta, 1)
    for way in (
        lambda c: fisher_vector_product(kl_fn, theta, v, c),
        lambda c: double_backprop_operator(kl_with_graph(policy, observations), parameters, c)(v),
        lambda c: fisher_operator(policy(observations), parameters, c)(v),
        lambda c: network_fisher_operator(policy, observations, c)(v),
        lambda c: dense_fisher(kl_fn, theta, c) @ v,
    ):
        torch.testing.assert_close(way(0.3) - way(0.0), 0.3 * v, rtol=0, atol=1e-12)


def test_a_reused_operator_repeats_itself_and_is_linear():
    policy, observations, parameters, theta = make("gaussian", torch.float64)
    operator = fisher_operator(policy(observations), parameters, damping=0.1)
    v, w = vectors(theta, 2)
    first = operator(v)
    torch.testing.assert_close(operator(2 * v - 3 * w), 2 * first - 3 * operator(w))
    assert torch.equal(operator(v), first)
    assert not first.requires_grad


@pytest.mark.parametrize("make_operator", ["double backprop", "Gauss-Newton"])
def test_an_operator_refuses_to_work_after_the_parameters_changed(make_operator):
    policy, observations, parameters, theta = make("gaussian", torch.float64)
    if make_operator == "Gauss-Newton":
        operator = fisher_operator(policy(observations), parameters)
    else:
        operator = double_backprop_operator(kl_with_graph(policy, observations), parameters)
    assign(parameters, theta + 1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        operator(theta)


@pytest.mark.parametrize("kind", KINDS)
def test_the_written_out_operator_stays_at_the_parameters_it_was_made_for(kind):
    policy, observations, parameters, theta = make(kind, torch.float64)
    operator, (v,) = network_fisher_operator(policy, observations), vectors(theta, 1)
    before = operator(v)
    assign(parameters, theta + 1.0)
    assert torch.equal(operator(v), before)


@pytest.mark.parametrize("hidden", [(), (4,), (5, 4, 3)])
def test_linearize_gives_the_jacobian_and_its_transpose_at_every_depth(hidden):
    net = CategoricalPolicy(O, 2, torch.Generator().manual_seed(0), hidden, output_scale=1.0).net
    net = net.double()
    x = torch.randn(B, O, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    theta = net.theta.detach()
    D = torch.autograd.functional.jacobian(lambda t: functional(net)(t, x), theta)  # (B, 2, P)
    layers = layers_of(theta, net.sizes)
    push, pull = linearize(layers, forward(layers, x, torch.tanh)[0], net.activation.slope)
    (v,) = vectors(theta, 1)
    torch.testing.assert_close(push(layers_of(v, net.sizes)), D @ v)
    cotangent = torch.randn(B, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    torch.testing.assert_close(pull(cotangent), torch.einsum("bkp,bk->p", D, cotangent))


def test_products_change_no_parameter_and_leave_no_gradient():
    policy, observations, parameters, theta = make("categorical", torch.float32)
    (v,) = vectors(theta, 1)
    kept = v.clone()
    fisher_vector_product(make_kl(policy, observations), theta, v, 0.1)
    fisher_operator(policy(observations), parameters, 0.1)(v)
    network_fisher_operator(policy, observations, 0.1)(v)
    assert torch.equal(flatten(parameters), theta)
    assert torch.equal(v, kept)
    assert all(p.grad is None for p in parameters)
    assert not theta.requires_grad


@pytest.mark.parametrize("per_state", [False, True])
def test_gauss_newton_with_an_arbitrary_metric(per_state):
    generator = torch.Generator().manual_seed(3)
    theta = 3.0 * torch.randn(8, generator=generator, dtype=torch.float64)  # far from linear
    x = torch.randn(7, 2, generator=generator, dtype=torch.float64)

    def outputs_fn(theta):
        return torch.sin(x @ theta[:4].view(2, 2)) + theta[4:6] * torch.exp(0.1 * theta[6:])

    root = torch.randn(7, 2, 2, generator=generator, dtype=torch.float64)
    M = root @ root.mT
    M = M if per_state else M[0]
    D = torch.autograd.functional.jacobian(outputs_fn, theta)  # (7, 2, 8)
    expected = sum(D[b].T @ (M[b] if per_state else M) @ D[b] for b in range(7)) / 7
    (v,) = vectors(theta, 1)
    product = gauss_newton_vector_product(outputs_fn, M, theta, v, damping=0.2)
    torch.testing.assert_close(product, expected @ v + 0.2 * v, rtol=1e-10, atol=1e-12)


def test_results_of_other_shapes_are_named():
    one = torch.ones(3)
    for product in (lambda f: dense_fisher(f, one), lambda f: fisher_vector_product(f, one, one)):
        with pytest.raises(ValueError, match=r"kl_fn must return a scalar, not shape \(3,\)"):
            product(torch.square)
    with pytest.raises(ValueError, match="outputs_fn's result has shape"):
        gauss_newton_vector_product(torch.square, torch.eye(3), one, one)


def test_gauss_newton_and_hessian_differ_away_from_the_old_policy():
    """The two are one matrix only at theta_old; elsewhere the network's curvature enters."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(20, 2, generator=generator, dtype=torch.float64)
    theta_old, theta, v = torch.randn(3, 4, generator=generator, dtype=torch.float64)

    def outputs_fn(theta):
        return torch.tanh(x @ theta.view(2, 2))

    old = outputs_fn(theta_old)
    distance = lambda t: 0.5 * (outputs_fn(t) - old).square().sum(-1).mean()  # noqa: E731
    eye = torch.eye(2, dtype=torch.float64)
    hessian = fisher_vector_product(distance, theta_old, v)
    torch.testing.assert_close(
        gauss_newton_vector_product(outputs_fn, eye, theta_old, v), hessian, rtol=1e-10, atol=1e-12
    )
    hessian = fisher_vector_product(distance, theta, v)
    assert (gauss_newton_vector_product(outputs_fn, eye, theta, v) - hessian).norm() > 0.01


def test_hessian_is_gauss_newton_plus_the_curvature_of_the_outputs():
    """Away from the old policy, for logits, whose metric does not depend on the old policy."""
    policy, observations, _, theta_old = make("categorical", torch.float64)
    net, (direction, v) = functional(policy.net), vectors(theta_old, 2)
    theta = theta_old + 0.3 * direction
    old, new = Categorical(net(theta_old, observations)), Categorical(net(theta, observations))
    hessian = dense_fisher(make_kl(policy, observations), theta)
    p = new.log_probs.exp()
    M = torch.diag_embed(p) - p.unsqueeze(-1) * p.unsqueeze(-2)
    outputs_fn = lambda t: net(t, observations)  # noqa: E731
    by_outputs = gauss_newton_vector_product(outputs_fn, M, theta, v)
    slopes = (p - old.log_probs.exp()) / B  # of the KL by the logits
    weighed = lambda t: (slopes * outputs_fn(t)).sum()  # noqa: E731
    curvature = torch.autograd.functional.hessian(weighed, theta)
    assert (curvature @ v).norm() > 0.01 * (hessian @ v).norm()
    torch.testing.assert_close(by_outputs + curvature @ v, hessian @ v, rtol=0, atol=1e-12)
    assert torch.linalg.eigvalsh(hessian)[0] < -1e-4  # no price of a change is negative in D^T M D


@pytest.mark.parametrize("kind", KINDS)
def test_differences_of_gradients_approach_the_product_with_the_square_of_the_step(kind):
    policy, observations, _, theta = make(kind, torch.float64)
    kl_fn, (v,) = make_kl(policy, observations), vectors(theta, 1)
    slope = lambda t: torch.autograd.functional.jacobian(kl_fn, t)  # noqa: E731
    product = fisher_vector_product(kl_fn, theta, v)
    coarse, fine = (
        ((slope(theta + h * v) - slope(theta - h * v)) / (2 * h) - product).norm()
        for h in (1e-2, 1e-3)
    )
    assert 90 < coarse / fine < 110
    assert fine < 1e-3 * product.norm()


def test_scores_are_the_gauss_newton_product_of_the_log_probabilities():
    """All actions with their probabilities, and a sample in which all count alike."""
    policy, observations, parameters, theta = make("categorical", torch.float64)
    at, (v,) = functional(policy), vectors(theta, 1)
    distribution = policy(observations)
    actions = torch.arange(B) % 4
    for log_probs, weights in (
        (lambda d: d.log_probs.flatten(), distribution.log_probs.exp().flatten() / B),
        (lambda d: d.log_prob(actions), torch.full((B,), 1 / B, dtype=torch.float64)),
    ):
        weights = weights.detach()
        expected = fisher_from_scores(scores(log_probs(distribution), parameters), weights) @ v
        product = gauss_newton_vector_product(
            lambda t, log_probs=log_probs: log_probs(at(t, observations)).unsqueeze(-1),
            len(weights) * weights.reshape(-1, 1, 1),
            theta,
            v,
        )
        torch.testing.assert_close(product, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("hidden", [(), (4,), (5, 4, 3)])
def test_the_two_passes_are_transposes_of_each_other(hidden):
    net = CategoricalPolicy(O, 2, torch.Generator().manual_seed(0), hidden, output_scale=1.0).net
    net, generator = net.double(), torch.Generator().manual_seed(1)
    x, u = (torch.randn(B, n, generator=generator, dtype=torch.float64) for n in (O, 2))
    layers, (v,) = layers_of(net.theta.detach(), net.sizes), vectors(net.theta.detach(), 1)
    push, pull = linearize(layers, forward(layers, x, torch.tanh)[0], net.activation.slope)
    left, right = (u * push(layers_of(v, net.sizes))).sum(), pull(u) @ v
    torch.testing.assert_close(left, right, rtol=1e-12, atol=0)


def test_damping_lifts_every_eigenvalue():
    policy, observations, _, theta = make("categorical", torch.float64)
    kl_fn = make_kl(policy, observations)
    plain, damped = (torch.linalg.eigvalsh(dense_fisher(kl_fn, theta, c)) for c in (0.0, 0.3))
    torch.testing.assert_close(damped, plain + 0.3, rtol=0, atol=1e-12)


def test_the_softmax_fisher_does_not_feel_a_shift_of_all_logits():
    logits = torch.tensor([[0.3, -1.0, 2.0]], dtype=torch.float64, requires_grad=True)
    F = matrix(fisher_operator(Categorical(logits), [logits]), logits.flatten())
    p = torch.softmax(logits, -1).detach()[0]
    torch.testing.assert_close(F, torch.diag(p) - torch.outer(p, p))
    assert torch.linalg.eigvalsh(F)[0].abs() < 1e-15
    assert (F @ torch.ones(3, dtype=torch.float64)).abs().max() < 1e-15


def test_fisher_from_scores_weighted_by_probabilities_is_exact():
    logits = torch.tensor([0.3, -1.0, 2.0], dtype=torch.float64)
    p = torch.softmax(logits, -1)
    scores = torch.eye(3, dtype=torch.float64) - p  # row a: gradient of log p(a) by the logits
    torch.testing.assert_close(fisher_from_scores(scores, p), torch.diag(p) - torch.outer(p, p))


def test_fisher_from_scores_counts_samples_alike_by_default():
    scores = torch.tensor([[1.0, 0.0], [1.0, 2.0], [0.0, 4.0], [0.0, 0.0]])
    expected = torch.tensor([[2.0, 2.0], [2.0, 20.0]]) / 4
    torch.testing.assert_close(fisher_from_scores(scores), expected)


def test_an_old_side_that_moves_along_makes_the_product_vanish():
    """Why the old policy must be detached: KL(theta || theta) is 0 for every theta."""
    policy, observations, _, theta = make("gaussian", torch.float64)
    at = functional(policy)
    moving = lambda t: kl_divergence(at(t, observations), at(t, observations))  # noqa: E731
    (v,) = vectors(theta, 1)
    assert fisher_vector_product(moving, theta, v).norm() < 1e-10
    assert fisher_vector_product(make_kl(policy, observations), theta, v).norm() > 0.1


def test_errors_name_what_was_wrong():
    policy, observations, parameters, theta = make("gaussian", torch.float32)
    kl_fn = make_kl(policy, observations)
    with pytest.raises(ValueError, match=r"v has shape \(3,\)"):
        fisher_vector_product(kl_fn, theta, theta[:3])
    with pytest.raises(ValueError, match="damping must not be negative"):
        fisher_operator(policy(observations), parameters, damping=-0.1)
    with pytest.raises(ValueError, match="damping must not be negative"):
        network_fisher_operator(policy, observations, damping=-0.1)
    with pytest.raises(ValueError, match="must return a scalar"):
        fisher_vector_product(lambda t: t, theta, theta)
    with pytest.raises(ValueError, match="shape"):
        fisher_operator(policy(observations), parameters)(theta[:-1])
    with pytest.raises(ValueError, match=r"M must have shape \(2, 2\)"):
        gauss_newton_vector_product(lambda t: t.view(1, 2), torch.eye(3), theta[:2], theta[:2])
    with pytest.raises(ValueError, match=r"scores must have shape \(B, P\)"):
        fisher_from_scores(theta)
    with pytest.raises(ValueError, match="one vector"):
        dense_fisher(lambda x: x.square().sum(), torch.ones(2, 2))
    with pytest.raises(ValueError, match="weights have shape"):
        fisher_from_scores(torch.ones(3, 2), torch.ones(2))
