"""What entries refuse: batches and dimensions that would broadcast; and deviations of rounding."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from course_lib.advantages import normalize
from course_lib.algorithms.agent import Batch, explained_variance
from course_lib.algorithms.ppo import ppo_clip_loss
from course_lib.algorithms.ppo_penalty import ppo_penalty_loss
from course_lib.algorithms.reinforce import policy_gradient_loss
from course_lib.algorithms.trpo import trpo_policy_step
from course_lib.algorithms.vine import RolloutSet, vine_policy_step
from course_lib.checks import exceeds_rounding, require_samples, varies
from course_lib.distributions import Categorical, DiagonalGaussian
from course_lib.experience.normalization import ObservationNormalizer, RewardScaler
from course_lib.natural import natural_step, undamped_curvature
from course_lib.policies import CategoricalPolicy, GaussianPolicy
from course_lib.surrogate import (
    approx_kl,
    effective_sample_size,
    importance_ratio,
    kl_divergence,
    surrogate,
)

B, K, D = 6, 3, 2
row, column = torch.zeros(B), torch.zeros(B, 1)
choices = torch.zeros(B, dtype=torch.int64)
categorical = Categorical(torch.zeros(B, K))
line = DiagonalGaussian(torch.zeros(B, 1), torch.zeros(1))  # one dimension: (B, 1)
plane = DiagonalGaussian(torch.zeros(B, D), torch.zeros(D))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Categorical(torch.zeros(K)),
        lambda: Categorical(torch.zeros(2, B, K)),
        lambda: DiagonalGaussian(torch.zeros(B), torch.zeros(B)),
        lambda: DiagonalGaussian(torch.zeros(B, D), torch.zeros(1)),
        lambda: DiagonalGaussian(torch.zeros(B, D), torch.zeros(())),
        lambda: DiagonalGaussian(torch.zeros(B, D), torch.zeros(B, 1)),
        lambda: DiagonalGaussian(torch.zeros(B, 1), torch.zeros(D)),
    ],
)
def test_distributions_of_other_shapes_are_refused(make):
    with pytest.raises(ValueError, match="must have"):
        make()


@pytest.mark.parametrize(
    ("distribution", "actions"),
    [
        (line, row),  # (B,) against (B, 1) would be (B, B)
        (line, torch.zeros(1, 1)),
        (line, torch.zeros(B, D)),
        (plane, column),
        (plane, torch.zeros(B // 2, D)),
        (plane, torch.zeros(D)),
        (categorical, choices[: B - 1]),  # gather would take it in silence
        (categorical, choices[:, None]),
        (categorical, row),  # floats choose nothing
        (categorical, choices + K),
        (categorical, choices - 1),
    ],
)
def test_actions_that_do_not_fit_the_states_are_refused(distribution, actions):
    with pytest.raises(ValueError, match="actions"):
        distribution.log_prob(actions)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (line, plane),
        (plane, line),
        (plane, DiagonalGaussian(torch.zeros(1, D), torch.zeros(D))),
        (categorical, Categorical(torch.zeros(1, K))),
        (categorical, Categorical(torch.zeros(B, 1))),
    ],
)
def test_a_kl_between_other_states_or_dimensions_is_refused(old, new):
    with pytest.raises(ValueError, match="shape"):
        old.kl(new)
    with pytest.raises(ValueError, match="shape"):
        kl_divergence(old, new)


def test_tangents_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="tangents"):
        categorical.fisher_product(torch.zeros(K))
    with pytest.raises(ValueError, match="tangent"):
        plane.fisher_product(torch.zeros(1, D), torch.zeros(D))
    with pytest.raises(ValueError, match="tangent"):
        plane.fisher_product(torch.zeros(B, D), torch.zeros(1))


@pytest.mark.parametrize(
    "call",
    [
        lambda a, b: importance_ratio(a, b),
        lambda a, b: approx_kl(a, b),
        lambda a, b: effective_sample_size(a, b),
        lambda a, b: surrogate(a, a, b),
        lambda a, b: surrogate(a, b, a),
        lambda a, b: ppo_clip_loss(a, a, b, 0.2),
        lambda a, b: ppo_clip_loss(a, b, a, 0.2),
        lambda a, b: policy_gradient_loss(a, b),
        lambda a, b: ppo_penalty_loss(categorical, categorical, choices, b, 1.0),
        lambda a, b: explained_variance(a.numpy(), b.numpy()),
        lambda a, b: natural_step(b[:, None], 1.0, 0.1),
        lambda a, b: natural_step(a, b, 0.1),
        lambda a, b: undamped_curvature(a, b, 0.1),
    ],
)
@pytest.mark.parametrize("other", [column, torch.zeros(1), torch.zeros(B - 1)])
def test_samples_that_would_broadcast_are_refused(call, other):
    with pytest.raises(ValueError, match="shape"):
        call(row, other)


def samples(policy):
    observations = torch.randn(8, 3, generator=torch.Generator().manual_seed(1))
    actions = torch.from_numpy(policy.sampler(np.random.default_rng(0))(observations.numpy()))
    return observations, actions, torch.linspace(-1, 1, 8)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda o, a, v: (o, a[:4], v),
        lambda o, a, v: (o, a, v[:4]),
        lambda o, a, v: (o, a, v[:, None]),
        lambda o, a, v: (o[:4], a, v),
        lambda o, a, v: (o[:1], a, v),
        lambda o, a, v: (o[:, :2], a, v),
        lambda o, a, v: (o[0], a[:1], v[:1]),
        lambda o, a, v: (o, a.reshape(8) if a.dim() == 2 else a[:, None], v),
        lambda o, a, v: (o[:0], a[:0], v[:0]),
    ],
)
@pytest.mark.parametrize("kind", [GaussianPolicy, CategoricalPolicy])
def test_a_trpo_step_refuses_samples_that_do_not_fit_and_moves_nothing(kind, spoil):
    policy = kind(3, 1 if kind is GaussianPolicy else 2, torch.Generator().manual_seed(0))
    before = [p.clone() for p in policy.parameters()]
    with pytest.raises(ValueError, match=r"observations|actions|advantages"):
        trpo_policy_step(policy, *spoil(*samples(policy)))
    assert all(map(torch.equal, before, policy.parameters()))


def test_a_vine_step_refuses_values_that_do_not_fit():
    policy = CategoricalPolicy(3, 2, torch.Generator().manual_seed(0))
    actions, observations = np.tile([0, 1], (4, 1)), np.zeros((4, 3), np.float32)
    right = RolloutSet(np.zeros((1, 4)), observations, actions, np.zeros((4, 2)), 8)
    vine_policy_step(policy, right)
    for wrong in (np.zeros(2), np.zeros((4, 1)), np.zeros((1, 2))):
        with pytest.raises(ValueError, match="q_values"):
            vine_policy_step(policy, replace(right, q_values=wrong))


@pytest.mark.parametrize(
    "change",
    [
        dict(actions=choices[:3]),
        dict(advantages=column),
        dict(value_targets=row[:1]),
        dict(observations=torch.zeros(B)),
        dict(observations=torch.zeros(1, 4)),
    ],
)
def test_a_batch_holds_one_set_of_samples(change):
    right = dict(observations=torch.zeros(B, 4), actions=choices, advantages=row, value_targets=row)
    Batch(**right, explained_variance=0.0)
    with pytest.raises(ValueError, match="shape"):
        Batch(**right | change, explained_variance=0.0)


def test_no_samples_are_refused_by_name():
    with pytest.raises(ValueError, match="observations are empty"):
        require_samples(torch.zeros(0, 4), actions=torch.zeros(0))


# --- deviations of rounding's size ---------------------------------------------------------------


CONSTANTS = [
    (3.3, np.float32, 1000),
    (1000.1, np.float32, 1000),
    (0.1, np.float32, 7),
    (0.1, np.float64, 7),
    (1e9 + 0.1, np.float64, 1000),
    (-1e-30, np.float32, 999),
    (1e30, np.float32, 3),
]


@pytest.mark.parametrize(("value", "dtype", "count"), CONSTANTS)
def test_a_constant_has_no_deviation(value, dtype, count):
    x = np.full(count, value, dtype)
    assert not varies(x)
    assert normalize(x).tolist() == [0.0] * count
    assert normalize(x, epsilon=0.0).tolist() == [0.0] * count
    noise = np.random.default_rng(0).normal(size=count).astype(dtype)
    assert math.isnan(explained_variance(noise * x, x))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_that_differ_by_rounding_alone_have_none_either(dtype):
    x = np.full(100, 0.3, dtype)
    x[::2] = np.nextafter(x[0], dtype(1))
    assert normalize(x).tolist() == [0.0] * 100
    assert math.isnan(explained_variance(np.zeros(100, dtype), x))


def test_targets_as_constant_as_values_a_thousand_times_larger_allow():
    values = np.random.default_rng(0).normal(0.0, 1000.0, 500).astype(np.float32)
    targets = (np.float32(0.1) - values) + values  # 0.1, up to the rounding of the values
    assert len(set(targets)) > 1
    assert math.isnan(explained_variance(values, targets))


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_a_small_but_real_deviation_counts(size):
    x = (size * (1 + 1e-4 * np.random.default_rng(0).normal(size=1000))).astype(np.float32)
    assert varies(x)
    assert normalize(x, epsilon=0.0).std() == pytest.approx(1.0, rel=1e-3)
    assert explained_variance(x, x) == 1.0


def test_nan_is_not_taken_for_a_constant():
    assert np.isnan(normalize([1.0, np.nan])).all()
    assert exceeds_rounding(np.nan, 1.0, np.float32)
    assert exceeds_rounding([1e-7, 1e-5], 1.0, np.float32).tolist() == [False, True]
    assert exceeds_rounding(1e-7, 1.0, np.int64)  # whole numbers: float64's rounding


@pytest.mark.parametrize("reward", [1.0, 0.1, 1e-3, 1e6])
@pytest.mark.parametrize("copies", [1, 7])
def test_the_first_scaled_reward_is_not_divided_by_rounding(reward, copies):
    scaler, nobody = RewardScaler(copies, gamma=0.99), np.zeros(copies, dtype=bool)
    first = scaler(np.full(copies, reward), nobody, ~nobody)
    assert first.tolist() == [reward] * copies
    second = scaler(np.full(copies, reward), nobody, ~nobody)  # sums of reward and 1.99 reward
    deviation = np.sqrt((0.99 * reward / 2) ** 2 + 1e-8)
    np.testing.assert_allclose(second, reward / deviation)


def test_an_observation_that_never_changes_is_not_blown_up():
    normalizer = ObservationNormalizer(2, clip=None)
    for _ in range(50):
        normalizer.update(np.array([[1e12 + 0.1, 0.0], [1e12 + 0.1, 2.0]]))
    seen = normalizer(np.array([[1e12 + 0.1, 0.0]]))
    np.testing.assert_allclose(seen, [[0.0, -1.0]], atol=1e-2)
