"""Flat parameter vectors, and that writing them keeps NumPy's view of the weights alive."""

import numpy as np
import pytest
import torch

from course_lib.parameters import assign, flatten, functional, unflatten
from course_lib.policies import GaussianPolicy


def make():
    policy = GaussianPolicy(3, 2, torch.Generator().manual_seed(0), (5,), output_scale=1.0)
    return policy, list(policy.parameters())


def test_flatten_keeps_the_order_of_the_list_and_unflatten_undoes_it():
    a, b = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([5.0])
    vector = flatten([a, b])
    assert vector.tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]
    back = unflatten(vector, [a, b])
    assert torch.equal(back[0], a)
    assert torch.equal(back[1], b)


def test_flatten_copies():
    a = torch.zeros(2)
    flatten([a])[0] = 7.0
    assert a[0] == 0.0


def test_assign_writes_where_numpy_reads():
    policy, parameters = make()
    forward = policy.net.numpy_forward()
    addresses = [p.data_ptr() for p in parameters]
    x = np.ones((1, 3), dtype=np.float32)
    before = forward(x)
    assign(parameters, flatten(parameters).detach() + 0.5)
    assert [p.data_ptr() for p in parameters] == addresses
    assert not np.allclose(forward(x), before)
    np.testing.assert_allclose(
        forward(x), policy(torch.from_numpy(x)).mean.detach().numpy(), rtol=1e-5
    )


def test_assign_stores_every_bit():
    _, parameters = make()
    vector = torch.randn(
        sum(p.numel() for p in parameters), generator=torch.Generator().manual_seed(1)
    )
    assign(parameters, vector)
    assert torch.equal(flatten(parameters), vector)
    assert all(p.requires_grad for p in parameters)


def test_functional_is_the_module_at_another_point():
    policy, parameters = make()
    theta = flatten(parameters).detach()
    observations = torch.ones(4, 3)
    shifted = functional(policy)(theta + 0.1, observations)
    assert torch.equal(flatten(parameters), theta)
    assign(parameters, theta + 0.1)
    assert torch.equal(policy(observations).mean, shifted.mean)
    assert torch.equal(policy(observations).log_std, shifted.log_std)


def test_errors_name_what_was_wrong():
    _, parameters = make()
    with pytest.raises(ValueError, match="another network"):
        assign(parameters, torch.zeros(3))
    with pytest.raises(ValueError, match=r"float64 but a parameter is torch\.float32"):
        assign(parameters, flatten(parameters).detach().double())
