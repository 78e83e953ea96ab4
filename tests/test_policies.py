"""Networks and policies: NumPy against torch, samples against probabilities, seeds, errors."""

import gymnasium as gym
import numpy as np
import pytest
import scipy.stats
import torch

from course_lib.distributions import Categorical, DiagonalGaussian
from course_lib.policies import MLP, CategoricalPolicy, GaussianPolicy, ValueNetwork, make_policy
from course_lib.surrogate import kl_divergence


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def observations(n, size=3, seed=0):
    return np.random.default_rng(seed).standard_normal((n, size), dtype=np.float32)


def distribution(policy, x):
    with torch.no_grad():
        return policy(torch.from_numpy(x))


def gaussian(state_dependent_std=False, **settings):
    settings = dict(hidden=(8,), output_scale=1.0, initial_log_std=-0.7) | settings
    return GaussianPolicy(3, 2, generator(), state_dependent_std=state_dependent_std, **settings)


def categorical(**settings):
    return CategoricalPolicy(3, 4, generator(), **dict(hidden=(8,), output_scale=2.0) | settings)


# --- networks -----------------------------------------------------------------------------------


def test_torch_and_numpy_compute_the_same_function():
    net = MLP((3, 64, 64, 2), 1.0, generator())
    with torch.no_grad():
        for layer in net.layers:  # biases start at zero and would hide a bias that is left out
            layer.bias.normal_(generator=generator(1))
    x = observations(100)
    ours = net.numpy_forward()(x)
    assert ours.dtype == np.float32
    # The reference is written out in float64; both may differ from it by float32 rounding.
    h = x.astype(np.float64)
    for i, layer in enumerate(net.layers):
        h = h @ layer.weight.detach().double().numpy().T + layer.bias.detach().double().numpy()
        h = np.tanh(h) if i < 2 else h
    np.testing.assert_allclose(ours, h, atol=3e-6)
    np.testing.assert_allclose(net(torch.from_numpy(x)).detach().numpy(), h, atol=3e-6)


def test_numpy_forward_follows_the_weights_through_an_optimizer_step():
    net = MLP((3, 8, 2), 1.0, generator())
    forward, x = net.numpy_forward(), observations(5)
    before = forward(x)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.1, fused=True)
    net(torch.from_numpy(x)).square().sum().backward()
    optimizer.step()
    after = net(torch.from_numpy(x)).detach().numpy()
    assert np.abs(after - before).max() > 0.1
    np.testing.assert_allclose(forward(x), after, atol=1e-6)


@pytest.mark.parametrize("sizes", [(3, 8), (8, 3), (6, 6)])
def test_initial_weights_are_orthogonal_with_the_given_gain(sizes):
    """Rows are orthogonal in a wide matrix, columns in a tall one."""
    W = MLP(sizes, 0.5, generator()).layers[0].weight.detach().double()
    gram = W.T @ W if W.shape[0] >= W.shape[1] else W @ W.T
    torch.testing.assert_close(
        gram, 0.25 * torch.eye(len(gram), dtype=torch.float64), rtol=0, atol=1e-6
    )


def test_hidden_layers_have_gain_sqrt_2_and_biases_start_at_zero():
    first, second, last = MLP((4, 16, 16, 2), 0.01, generator()).layers
    for layer, gain in ((first, 2.0), (second, 2.0), (last, 0.0001)):
        W = layer.weight.detach()
        gram = W.T @ W if W.shape[0] >= W.shape[1] else W @ W.T
        torch.testing.assert_close(gram, gain * torch.eye(len(gram)), rtol=0, atol=1e-5)
        assert (layer.bias == 0).all()


@pytest.mark.parametrize("sizes", [(3,), (3, 0, 2), ()])
def test_sizes_without_input_or_output_are_refused(sizes):
    with pytest.raises(ValueError, match="sizes needs"):
        MLP(sizes, 1.0, generator())


def test_seeds_reproduce_weights_and_leave_the_global_generator_alone():
    state = torch.get_rng_state()
    make = (
        lambda seed: CategoricalPolicy(3, 4, generator(seed)),
        lambda seed: GaussianPolicy(3, 2, generator(seed)),
        lambda seed: ValueNetwork(3, generator(seed)),
    )
    for build in make:
        same, again, other = (
            torch.nn.utils.parameters_to_vector(build(s).parameters()) for s in (5, 5, 6)
        )
        assert torch.equal(same, again)
        assert not torch.equal(same, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_value_network_has_no_trailing_axis():
    values = ValueNetwork(3, generator())(torch.zeros(7, 3))
    assert values.shape == (7,)
    assert ValueNetwork(3, generator())(torch.zeros(5, 7, 3)).shape == (5, 7)


# --- distributions ------------------------------------------------------------------------------


def test_small_output_scale_starts_near_uniform_and_near_zero_mean():
    x = observations(50)
    probs = distribution(CategoricalPolicy(3, 4, generator()), x).log_probs.exp()
    assert (probs - 0.25).abs().max() < 0.02
    assert distribution(GaussianPolicy(3, 2, generator()), x).mean.abs().max() < 0.1


def test_state_independent_sigma_is_one_parameter_per_action_dimension():
    policy = gaussian()
    assert [p.shape for p in policy.parameters() if p is policy.log_std] == [(2,)]
    d = distribution(policy, observations(5))
    assert d.log_std.tolist() == pytest.approx([-0.7, -0.7])


def test_state_dependent_sigma_starts_at_its_initial_value_and_varies_with_the_state():
    policy = gaussian(state_dependent_std=True)
    assert not hasattr(policy, "log_std")
    d = distribution(policy, observations(50))
    assert d.mean.shape == d.log_std.shape == (50, 2)
    at_zero = distribution(policy, np.zeros((1, 3), dtype=np.float32))
    torch.testing.assert_close(at_zero.log_std, torch.full((1, 2), -0.7))
    torch.testing.assert_close(at_zero.mean, torch.zeros(1, 2))
    assert d.log_std.std(0).min() > 0.01


@pytest.mark.parametrize("make", [categorical, gaussian, lambda: gaussian(True)])
@pytest.mark.parametrize("keep", ["no_grad", "detach"])
def test_a_distribution_kept_as_the_old_one_does_not_follow_an_update(make, keep):
    """log sigma is a parameter: kept by reference, the old policy would silently become the new."""
    policy, x = make(), torch.from_numpy(observations(10))
    if keep == "detach":
        old = policy(x).detach()
    else:
        with torch.no_grad():
            old = policy(x)
    copies = [y.clone() for y in old.outputs()]
    with torch.no_grad():
        for p in policy.parameters():
            p += 0.3
    for y, before in zip(old.outputs(), copies, strict=True):
        assert torch.equal(y, before)
    assert kl_divergence(old, policy(x)) > 0.01


# --- samplers -----------------------------------------------------------------------------------


def test_categorical_sampler_draws_with_the_probabilities_of_softmax():
    policy, x = categorical(), observations(1)
    expected = distribution(policy, x).log_probs.exp()[0].double().numpy()
    assert expected.min() > 0.01
    actions = policy.sampler(np.random.default_rng(0))(np.repeat(x, 40_000, axis=0))
    assert actions.dtype == np.int64
    assert actions.shape == (40_000,)
    counts = np.bincount(actions, minlength=4)
    assert scipy.stats.chisquare(counts, 40_000 * expected / expected.sum()).pvalue > 0.01


@pytest.mark.parametrize("state_dependent_std", [False, True])
def test_gaussian_sampler_has_the_mean_the_deviation_and_the_shape_of_a_normal(
    state_dependent_std,
):
    policy, x = gaussian(state_dependent_std), observations(1)
    d = distribution(policy, x)
    actions = policy.sampler(np.random.default_rng(0))(np.repeat(x, 40_000, axis=0))
    assert actions.dtype == np.float32
    assert actions.shape == (40_000, 2)
    z = (actions - d.mean.numpy()) / d.log_std.exp().numpy()
    for column in z.T:
        assert scipy.stats.kstest(column, "norm").pvalue > 0.01
    assert abs(np.corrcoef(z.T)[0, 1]) < 0.02


@pytest.mark.parametrize("make", [categorical, gaussian, lambda: gaussian(True)])
def test_samplers_repeat_with_their_seed_only(make):
    policy, x = make(), observations(20)
    same, again, other = (policy.sampler(np.random.default_rng(s))(x) for s in (1, 1, 2))
    assert np.array_equal(same, again)
    assert not np.array_equal(same, other)


@pytest.mark.parametrize("make", [categorical, gaussian, lambda: gaussian(True)])
def test_a_sampler_follows_the_policy_through_an_optimizer_step(make):
    """Also through log sigma, which is no part of the network."""
    policy, x = make(), observations(2000)
    act = policy.sampler(np.random.default_rng(0))
    optimizer = torch.optim.SGD(policy.parameters(), lr=1.0)
    d = policy(torch.from_numpy(x))
    (-d.entropy().mean()).backward()  # one step towards more entropy
    optimizer.step()
    actions, d = act(x), distribution(policy, x)
    fresh = policy.sampler(np.random.default_rng(0))(x)
    if isinstance(d, DiagonalGaussian):
        np.testing.assert_allclose(actions, fresh, rtol=1e-5, atol=1e-6)
    else:
        assert np.array_equal(actions, fresh)


def test_greedy_actions_are_the_mode():
    x = observations(30)
    policy = categorical()
    expected = distribution(policy, x).logits.argmax(-1).numpy()
    assert np.array_equal(policy.greedy()(x), expected)
    for policy in (gaussian(), gaussian(True)):
        mean = distribution(policy, x).mean.numpy()
        np.testing.assert_allclose(policy.greedy()(x), mean, atol=1e-6)


# --- make_policy --------------------------------------------------------------------------------

BOX = gym.spaces.Box(-1.0, 1.0, (3,))


def test_make_policy_reads_the_spaces():
    policy = make_policy(BOX, gym.spaces.Discrete(4), generator(), hidden=(5,))
    assert isinstance(distribution(policy, observations(2)), Categorical)
    assert [layer.weight.shape for layer in policy.net.layers] == [(5, 3), (4, 5)]
    policy = make_policy(BOX, gym.spaces.Box(-1.0, 1.0, (2,)), generator(), initial_log_std=0.5)
    assert distribution(policy, observations(2)).log_std.tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    ("observation_space", "action_space", "message"),
    [
        (gym.spaces.Discrete(3), gym.spaces.Discrete(2), "observations must be a flat Box"),
        (gym.spaces.Box(0, 1, (3, 3)), gym.spaces.Discrete(2), "observations must be a flat Box"),
        (BOX, gym.spaces.Tuple([BOX, BOX]), "actions must be Discrete"),
        (BOX, gym.spaces.MultiDiscrete([2, 2]), "actions must be Discrete"),
        (BOX, gym.spaces.Box(0, 1, (2, 2)), "actions must be Discrete"),
    ],
)
def test_make_policy_names_the_space_it_cannot_handle(observation_space, action_space, message):
    with pytest.raises(ValueError, match=message):
        make_policy(observation_space, action_space, generator())
