"""The network as one node: values and derivatives against plain torch, on networks of every kind."""

import copy
from dataclasses import dataclass
from itertools import pairwise

import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from course_lib.algorithms.adam import Adam
from course_lib.parameters import flatten, functional
from course_lib.perceptron import Perceptron
from course_lib.policies import MLP, CategoricalPolicy, GaussianPolicy, ValueNetwork

LINES = {"tanh": nn.Tanh, "relu": nn.ReLU}
TOLERANCES = {torch.float32: 1e-6, torch.float64: 1e-12}
CASES = settings(max_examples=60, deadline=None, derandomize=True)


def plain(net, activation):
    """The same network by torch's own modules, with its own copy of the weights."""
    modules = []
    for layer, (n_in, n_out) in zip(net.layers, pairwise(net.sizes), strict=True):
        linear = nn.utils.skip_init(nn.Linear, n_in, n_out, dtype=net.theta.dtype)
        with torch.no_grad():
            linear.weight.copy_(layer.weight)
            linear.bias.copy_(layer.bias)
        modules += [linear, LINES[activation]()]
    return nn.Sequential(*modules[:-1])


def assert_close(actual, expected, tolerance):
    """Equal to a share of the largest entry (of 1, if all are smaller)."""
    scale = max(1.0, expected.abs().max().item())
    assert actual.dtype == expected.dtype
    assert (actual - expected).abs().max().item() <= tolerance * scale


@dataclass
class Case:
    """A policy or critic, its twin by torch alone, and a loss of either."""

    module: nn.Module
    twin: nn.Sequential
    observations: torch.Tensor
    loss: object
    tolerance: float

    def outputs(self, twin):
        """The distribution's parameters, or the values, as one list of tensors."""
        if not twin:
            out = self.module(self.observations)
            return [out] if isinstance(out, torch.Tensor) else list(out.outputs())
        out = self.twin(self.observations)
        if isinstance(self.module, ValueNetwork):
            return [out[:, 0]]
        if isinstance(self.module, CategoricalPolicy):
            return [out]
        if self.module.state_dependent_std:
            return [out[:, : self.module.action_size], out[:, self.module.action_size :]]
        return [out, self.module.log_std * 1.0]

    def parameters(self, twin):
        if not twin:
            return list(self.module.parameters())
        free = [p for name, p in self.module.named_parameters() if name == "log_std"]
        return [*free, *self.twin.parameters()]


@st.composite
def cases(draw):
    """Every head, kind of log sigma, activation, depth and dtype; biases that are not zero."""
    head = draw(st.sampled_from(["categorical", "gaussian", "gaussian, by state", "values"]))
    activation = draw(st.sampled_from(sorted(LINES)))
    dtype = draw(st.sampled_from(sorted(TOLERANCES, key=str)))
    hidden = draw(st.lists(st.integers(1, 9), max_size=4))
    size, actions, batch = (
        draw(st.integers(1, 7)),
        draw(st.integers(1, 4)),
        draw(st.integers(1, 12)),
    )
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    common = dict(hidden=hidden, activation=activation)
    if head == "values":
        module = ValueNetwork(size, generator, **common)
    elif head == "categorical":
        module = CategoricalPolicy(size, actions, generator, output_scale=1.0, **common)
    else:
        module = GaussianPolicy(
            size, actions, generator, output_scale=1.0, state_dependent_std="by" in head, **common
        )
    module = module.to(dtype)
    with torch.no_grad():
        for p in module.parameters():
            p += 0.3 * torch.randn(p.shape, generator=generator, dtype=dtype)
    observations = torch.randn(batch, size, generator=generator, dtype=dtype)

    def loss(outputs):  # smooth, and curved in every output
        return sum((0.7 * y).sin().sum() + (y * y).mean() for y in outputs)

    return Case(module, plain(module.net, activation), observations, loss, TOLERANCES[dtype])


@CASES
@given(cases())
def test_values_and_gradients_are_plain_torchs(case):
    results = []
    for twin in (False, True):
        outputs = case.outputs(twin)
        gradient = flatten(torch.autograd.grad(case.loss(outputs), case.parameters(twin)))
        results.append((flatten(outputs), gradient))
    for ours, theirs in zip(*results, strict=True):
        assert_close(ours, theirs, case.tolerance)


@CASES
@given(cases())
def test_second_derivatives_are_plain_torchs(case):
    """Of the gradient times a vector, by the parameters: what double backprop needs."""
    results = []
    for twin in (False, True):
        parameters = case.parameters(twin)
        loss = case.loss(case.outputs(twin))
        gradient = flatten(torch.autograd.grad(loss, parameters, create_graph=True))
        v = torch.randn(
            gradient.shape, generator=torch.Generator().manual_seed(0), dtype=gradient.dtype
        )
        product = torch.autograd.grad(gradient @ (v / len(v)), parameters, allow_unused=True)
        parts = [
            torch.zeros_like(p) if x is None else x
            for p, x in zip(parameters, product, strict=True)
        ]
        results.append((gradient.detach(), flatten(parts)))
    for ours, theirs in zip(*results, strict=True):
        assert_close(ours, theirs, case.tolerance)


def network(activation="tanh", sizes=(3, 6, 5, 2)):
    net = MLP(sizes, 1.0, torch.Generator().manual_seed(0), activation=activation).double()
    x = torch.randn(7, sizes[0], dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return net, x, torch.nn.utils.parameters_to_vector(net.parameters())


def test_the_whole_network_is_one_node_of_the_graph():
    net, x, _ = network()
    node = net(x).grad_fn
    assert isinstance(node, Perceptron._backward_cls)
    assert [type(n).__name__ for n, _ in node.next_functions if n] == ["AccumulateGrad"]


@pytest.mark.parametrize("activation", LINES)
def test_theta_is_the_only_parameter_and_the_layers_are_views_of_it(activation):
    net, _, _ = network(activation)
    assert [name for name, _ in net.named_parameters()] == ["theta"]
    for i, layer in enumerate(net.layers):
        with torch.no_grad():
            layer.weight.fill_(i)
            layer.bias.fill_(-i)
    counts = torch.tensor([18, 6, 30, 5, 10, 2])  # weights and biases of 3-6-5-2
    expected = torch.tensor([0.0, 0.0, 1.0, -1.0, 2.0, -2.0]).repeat_interleave(counts)
    assert net.theta.tolist() == expected.tolist()


def test_a_third_derivative_is_plain_torchs():
    net, x, _ = network()
    results = []
    for module in (net, plain(net, "tanh")):
        parameters, y = list(module.parameters()), module(x).sin().sum()
        for _ in range(2):
            y = (flatten(torch.autograd.grad(y, parameters, create_graph=True)) ** 2).sum()
        results.append(flatten(torch.autograd.grad(y, parameters)))
    torch.testing.assert_close(*results, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("activation", LINES)
def test_gradients_by_the_observations_are_plain_torchs(activation):
    net, x, _ = network(activation)
    x.requires_grad_()
    ours, theirs = (
        flatten(torch.autograd.grad(module(x).square().sum(), [x, *module.parameters()]))
        for module in (net, plain(net, activation))
    )
    torch.testing.assert_close(ours, theirs)


# torch's own forward mode scripts its decompositions when it is first used.
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
def test_torch_func_sees_the_same_function():
    net, x, theta = network()
    theta, at = theta.detach(), functional(net)
    v = torch.ones_like(theta)
    loss = lambda t: at(t, x).sin().sum()  # noqa: E731
    (gradient,) = torch.autograd.grad(net(x).sin().sum(), [net.theta])
    torch.testing.assert_close(torch.func.grad(loss)(theta), gradient)
    torch.testing.assert_close(torch.func.jvp(loss, (theta,), (v,))[1], gradient @ v)
    each = torch.func.vmap(lambda row: at(theta, row))(x)
    torch.testing.assert_close(each, net(x))


def test_a_batch_of_gradients_at_once_is_one_after_the_other():
    net, x, _ = network()
    outputs = net(x)[:, 0]
    rows = torch.eye(len(x), dtype=x.dtype)
    (jacobian,) = torch.autograd.grad(
        outputs, net.theta, rows, retain_graph=True, is_grads_batched=True
    )
    for i, row in enumerate(jacobian):
        (expected,) = torch.autograd.grad(outputs[i], net.theta, retain_graph=True)
        torch.testing.assert_close(row, expected)


@pytest.mark.parametrize("shape", [(3,), (0, 3), (4, 5, 3)])
def test_any_leading_shape_of_the_input(shape):
    net, _, _ = network()
    x = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    ours, theirs = net(x), plain(net, "tanh")(x)
    assert ours.shape == (*shape[:-1], 2)
    torch.testing.assert_close(ours, theirs)
    (gradient,) = torch.autograd.grad(ours.sum(), net.theta)
    assert gradient.shape == net.theta.shape


def test_backward_after_the_weights_moved_is_an_error():
    net, x, _ = network()
    loss = net(x).sum()
    with torch.no_grad():
        net.theta += 1.0
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_a_second_backward_through_the_graph_is_an_error_that_torch_words():
    net, x, _ = network()
    loss = net(x).sum()
    loss.backward()
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        loss.backward()


def test_copies_and_saved_weights_share_nothing_and_give_the_same_bits(tmp_path):
    policy = GaussianPolicy(3, 2, torch.Generator().manual_seed(0), (5,))
    x = torch.ones(4, 3)
    before = policy(x).mean
    twin, other = (
        copy.deepcopy(policy),
        GaussianPolicy(3, 2, torch.Generator().manual_seed(1), (5,)),
    )
    torch.save(policy.state_dict(), tmp_path / "weights")
    other.load_state_dict(torch.load(tmp_path / "weights"))
    with torch.no_grad():
        policy.net.theta += 1.0
    assert not torch.equal(policy(x).mean, before)
    for same in (twin, other):
        assert torch.equal(same(x).mean, before)
        assert np.allclose(same.greedy()(x.numpy()), before.detach().numpy(), atol=1e-6)


# --- Adam ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_adam_is_torchs(dtype):
    start = [torch.randn(n, generator=torch.Generator().manual_seed(n)) for n in (5, 300)]
    ours, theirs = ([x.to(dtype).requires_grad_() for x in start] for _ in range(2))
    optimizers = (
        Adam(ours, lr=0.01, eps=1e-5),
        torch.optim.Adam(theirs, lr=0.01, eps=1e-5, foreach=False),
    )
    for step in range(20):
        for parameters, optimizer in zip((ours, theirs), optimizers, strict=True):
            optimizer.param_groups[0]["lr"] = 0.01 / (step + 1)
            optimizer.zero_grad()
            used = parameters[1:] if step in (3, 4) else parameters  # one has no gradient
            sum((x.sin() * (step - 5)).sum() for x in used).backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5 if dtype == torch.float32 else 1e-12, atol=0)


def test_adam_goes_on_from_a_saved_state_bit_for_bit():
    x, y = (torch.ones(9, requires_grad=True) for _ in range(2))
    first, second = Adam([x], lr=0.1), Adam([y], lr=0.1)
    for _ in range(3):
        x.grad = x.detach().cos()
        first.step()
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    with torch.no_grad():
        y.copy_(x)
    for parameter, optimizer in ((x, first), (y, second)):
        parameter.grad = torch.linspace(-1, 1, 9)
        optimizer.step()
    assert torch.equal(x, y)
    assert first.state[0]["step"].item() == second.state[0]["step"].item() == 4


def test_an_agents_parameters_are_one_vector_for_each_network():
    from course_lib.algorithms.agent import make_agent
    from course_lib.algorithms.ppo import PPOSettings

    box = gym.spaces.Box(-1, 1, (4,))
    for actions, count in ((gym.spaces.Discrete(2), 2), (gym.spaces.Box(-1, 1, (2,)), 3)):
        agent = make_agent(box, actions, PPOSettings(), seed=0)
        assert len(list(agent.parameters())) == count  # one more: log sigma
        assert all(p.dim() == 1 for p in agent.parameters())
