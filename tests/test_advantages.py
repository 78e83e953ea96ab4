"""Advantage estimators against explicit double sums, written without any recursion."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.advantages import (
    discounted_returns,
    gae,
    gae_scan,
    n_step_advantages,
    normalize,
    td_residuals,
)

GAMMA, LAMBDA = 0.97, 0.9


def random_rollout(seed, dtype=np.float64, T=None, N=None):
    """Rewards, values, next_values, terminated, truncated, with cuts of both kinds."""
    rng = np.random.default_rng(seed)
    T = T or int(rng.integers(1, 40))
    N = N or int(rng.integers(1, 5))
    numbers = (10 ** rng.uniform(-1, 2) * rng.standard_normal((3, T, N))).astype(dtype)
    often = rng.choice([0.0, 0.05, 0.3, 0.9])
    terminated = rng.random((T, N)) < often
    truncated = rng.random((T, N)) < often  # both flags can be set at one step, as Gymnasium may
    return (*numbers, terminated, truncated)


# --- the oracles: sums over the steps that follow within one episode ---------------------------


def steps_ahead(ended, t):
    """Steps t, t+1, ... up to and including the one that ends the episode or the rollout."""
    stop = t
    while not ended[stop] and stop + 1 < len(ended):
        stop += 1
    return range(t, stop + 1)


def double_sum(rollout, gamma, weight):
    """sum over k of gamma^k weight(k) delta[t + k], each residual written out."""
    rewards, values, next_values, terminated, truncated = rollout
    out = np.zeros(rewards.shape, dtype=np.float64)
    for t, i in np.ndindex(*rewards.shape):
        for k, s in enumerate(steps_ahead((terminated | truncated)[:, i], t)):
            bootstrap = 0.0 if terminated[s, i] else float(next_values[s, i])
            delta = float(rewards[s, i]) + gamma * bootstrap - float(values[s, i])
            out[t, i] += gamma**k * weight(k) * delta
    return out


def reward_sum(rollout, gamma, n):
    """n rewards, then the value of the state reached, minus V: no residuals involved.

    Only valid where V is consistent inside an episode: next_values[t] == values[t + 1].
    """
    rewards, values, next_values, terminated, truncated = rollout
    out = np.zeros(rewards.shape)
    for t, i in np.ndindex(*rewards.shape):
        steps = list(steps_ahead((terminated | truncated)[:, i], t))[:n]
        total = sum(gamma**k * rewards[s, i] for k, s in enumerate(steps))
        if not terminated[steps[-1], i]:
            total += gamma ** len(steps) * next_values[steps[-1], i]
        out[t, i] = total - values[t, i]
    return out


def consistent(rollout):
    """The same rollout with next_values[t] = values[t + 1] wherever an episode goes on."""
    rewards, values, next_values, terminated, truncated = rollout
    going_on = ~(terminated | truncated)[:-1]
    next_values = next_values.copy()
    next_values[:-1][going_on] = values[1:][going_on]
    return rewards, values, next_values, terminated, truncated


def assert_close(actual, expected, dtype=np.float64):
    scale = max(np.abs(expected).max(), 1e-6)
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    assert np.abs(actual - expected).max() <= tolerance * scale


# --- residuals, n steps, GAE, returns -----------------------------------------------------------


def test_td_residuals_by_hand():
    deltas = td_residuals(
        rewards=[[1.0], [1.0], [1.0]],
        values=[[10.0], [20.0], [30.0]],
        next_values=[[20.0], [5.0], [40.0]],
        terminated=[[False], [True], [False]],
        gamma=0.5,
    )
    assert deltas.tolist() == [[1.0], [-19.0], [-9.0]]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1), st.sampled_from([np.float32, np.float64]))
def test_gae_loop_equals_scan_equals_double_sum(seed, dtype):
    rollout = random_rollout(seed, dtype)
    expected = double_sum(rollout, GAMMA, lambda k: LAMBDA**k)
    loop, scan = (f(*rollout, GAMMA, LAMBDA) for f in (gae, gae_scan))
    assert loop.dtype == scan.dtype == dtype
    assert loop.shape == scan.shape == rollout[0].shape
    assert_close(loop, expected, dtype)
    assert_close(scan, expected, dtype)


@pytest.mark.parametrize("T", [1, 2, 3, 63, 64, 65, 1000])
def test_scan_equals_loop_at_and_around_powers_of_two(T):
    rollout = random_rollout(T, T=T, N=3)
    assert_close(gae_scan(*rollout, 0.999, 0.98), gae(*rollout, 0.999, 0.98))


@pytest.mark.parametrize(("N", "same_bits"), [(256, False), (257, True)])
def test_scan_leaves_long_rows_to_the_loop(N, same_bits):
    numbers = np.random.default_rng(0).normal(size=(3, 50, N))
    nothing_ends = np.zeros((2, 50, N), dtype=bool)  # or the sums may be too short to differ
    scan, loop = (f(*numbers, *nothing_ends, 0.999, 0.98) for f in (gae_scan, gae))
    assert np.array_equal(scan, loop) == same_bits


@pytest.mark.parametrize("n", [1, 2, 5, 1000])
@pytest.mark.parametrize("seed", range(10))
def test_n_step_advantages_equal_their_double_sum(seed, n):
    rollout = random_rollout(seed)
    expected = double_sum(rollout, GAMMA, lambda k: float(k < n))
    assert_close(n_step_advantages(*rollout, GAMMA, n), expected)


@pytest.mark.parametrize("n", [1, 3, 1000])
def test_n_step_residuals_telescope_to_rewards_and_one_bootstrap(n):
    rollout = consistent(random_rollout(5, T=30, N=4))
    assert_close(n_step_advantages(*rollout, GAMMA, n), reward_sum(rollout, GAMMA, n))


def test_one_step_is_the_residual_and_t_steps_are_all_there_is():
    rollout = random_rollout(0, T=20, N=3)
    rewards, values, next_values, terminated, _ = rollout
    residuals = td_residuals(rewards, values, next_values, terminated, GAMMA)
    assert np.array_equal(n_step_advantages(*rollout, GAMMA, 1), residuals)
    whole = n_step_advantages(*rollout, GAMMA, 20)
    assert np.array_equal(n_step_advantages(*rollout, GAMMA, 10**9), whole)


@pytest.mark.parametrize("function", [gae, gae_scan])
def test_lambda_zero_and_one_are_the_two_ends(function):
    rollout = consistent(random_rollout(1, T=25, N=3))
    rewards, values, next_values, terminated, truncated = rollout
    residuals = td_residuals(rewards, values, next_values, terminated, GAMMA)
    assert_close(function(*rollout, GAMMA, 0.0), residuals)
    returns = discounted_returns(rewards, next_values, terminated, truncated, GAMMA)
    assert_close(function(*rollout, GAMMA, 1.0), returns - values)


@pytest.mark.parametrize("seed", range(20))
def test_discounted_returns_equal_the_reward_sum_with_a_bootstrap_at_cuts(seed):
    rewards, values, next_values, terminated, truncated = random_rollout(seed)
    rollout = (rewards, np.zeros_like(values), next_values, terminated, truncated)
    returns = discounted_returns(rewards, next_values, terminated, truncated, GAMMA)
    assert_close(returns, reward_sum(rollout, GAMMA, n=10**6))


def test_time_limit_bootstraps_and_termination_does_not():
    """Reward 1 for ever is worth 100 at gamma .99; a time limit must not hide that."""
    rewards, next_values = np.ones((3, 1)), np.full((3, 1), 100.0)
    last, never = np.array([[False], [False], [True]]), np.zeros((3, 1), dtype=bool)
    cut = discounted_returns(rewards, next_values, never, last, 0.99)
    np.testing.assert_allclose(cut, 100.0)
    dead = discounted_returns(rewards, next_values, last, never, 0.99)
    np.testing.assert_allclose(dead[:, 0], [2.9701, 1.99, 1.0])


def test_nothing_leaks_from_one_episode_into_the_one_before():
    rollout = random_rollout(3, T=12, N=2)
    rollout[4][5] = True  # truncated: step 6 starts another episode
    changed = tuple(x.copy() for x in rollout)
    changed[0][6:] += 1000.0
    for function in (gae, gae_scan):
        before, after = function(*rollout, 0.99, 0.95), function(*changed, 0.99, 0.95)
        assert np.array_equal(before[:6], after[:6])
        assert not np.array_equal(before[6:], after[6:])


# --- arguments ----------------------------------------------------------------------------------

ALL = {
    "td_residuals": lambda r, v, nv, te, tr: td_residuals(r, v, nv, te, GAMMA),
    "n_step_advantages": lambda *a: n_step_advantages(*a, GAMMA, 3),
    "gae": lambda *a: gae(*a, GAMMA, LAMBDA),
    "gae_scan": lambda *a: gae_scan(*a, GAMMA, LAMBDA),
    "discounted_returns": lambda r, v, nv, te, tr: discounted_returns(r, nv, te, tr, GAMMA),
}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_inputs_stay_as_they_were_and_the_dtype_is_kept(name, dtype):
    rollout = random_rollout(7, dtype, T=9, N=2)
    copies = [x.copy() for x in rollout]
    result = ALL[name](*rollout)
    assert result.dtype == dtype
    for x, old in zip(rollout, copies, strict=True):
        assert np.array_equal(x, old)
        assert not np.shares_memory(result, x)


@pytest.mark.parametrize("name", ALL)
def test_lists_integers_and_a_single_environment_are_fine(name):
    rollout = random_rollout(8, T=6, N=1)
    rollout = (np.round(rollout[0]), *rollout[1:])
    flat = ALL[name](*(x[:, 0] for x in rollout))
    assert flat.shape == (6,)
    np.testing.assert_allclose(flat, ALL[name](*rollout)[:, 0], rtol=1e-12)
    lists = ALL[name](*(x[:, 0].tolist() for x in rollout))
    np.testing.assert_allclose(lists, flat, rtol=1e-12)
    zeros = [0] * 6
    assert ALL[name](zeros, zeros, zeros, zeros, zeros).tolist() == [0.0] * 6


@pytest.mark.parametrize("name", ALL)
def test_a_trailing_axis_and_an_empty_rollout_are_named(name):
    rewards, values, next_values, terminated, truncated = random_rollout(9, T=4, N=2)
    with pytest.raises(ValueError, match=r"next_values has shape \(4, 2, 1\).*squeeze"):
        ALL[name](rewards, values, next_values[..., None], terminated, truncated)
    with pytest.raises(ValueError, match=r"terminated has shape \(4, 1\)"):
        ALL[name](rewards, values, next_values, terminated[:, :1], truncated)
    with pytest.raises(ValueError, match="at least one step"):
        ALL[name](*(x[:0] for x in (rewards, values, next_values, terminated, truncated)))


@pytest.mark.parametrize("bad", [-0.1, 1.1, float("nan")])
def test_gamma_and_lambda_outside_the_unit_interval_are_named(bad):
    rollout = random_rollout(10, T=3, N=1)
    for function in (gae, gae_scan):
        with pytest.raises(ValueError, match="gamma must lie in"):
            function(*rollout, bad, LAMBDA)
        with pytest.raises(ValueError, match="gae_lambda must lie in"):
            function(*rollout, GAMMA, bad)
    with pytest.raises(ValueError, match="gamma must lie in"):
        td_residuals(*rollout[:4], bad)
    with pytest.raises(ValueError, match="gamma must lie in"):
        n_step_advantages(*rollout, bad, 2)
    with pytest.raises(ValueError, match="gamma must lie in"):
        discounted_returns(rollout[0], *rollout[2:], bad)


@pytest.mark.parametrize("n", [0, -1, 1.5, np.inf, np.nan])
def test_n_must_be_a_positive_integer(n):
    with pytest.raises(ValueError, match="positive integer"):
        n_step_advantages(*random_rollout(11), GAMMA, n)


# --- normalisation ------------------------------------------------------------------------------


def test_normalize_gives_mean_zero_and_deviation_one_over_all_entries():
    x = np.random.default_rng(0).normal(5.0, 3.0, (50, 4))
    y = normalize(x)
    assert abs(y.mean()) < 1e-12
    assert y.std() == pytest.approx(1.0, abs=1e-7)
    np.testing.assert_allclose(y * x.std() + x.mean(), x, rtol=1e-6)


def test_normalize_of_a_constant_is_zero():
    assert normalize([2.0, 2.0]).tolist() == [0.0, 0.0]


def test_normalize_adds_epsilon_to_the_deviation():
    np.testing.assert_allclose(normalize([0.0, 2.0], epsilon=1.0), [-0.5, 0.5])


def test_normalize_keeps_dtype_and_input_and_checks_its_arguments():
    x = np.array([1.0, 2.0, 4.0], dtype=np.float32)
    assert normalize(x).dtype == np.float32
    assert x.tolist() == [1.0, 2.0, 4.0]
    assert normalize([1, 2]).dtype.kind == "f"
    with pytest.raises(ValueError, match="x is empty"):
        normalize([])
    with pytest.raises(ValueError, match="epsilon must not be negative"):
        normalize([1.0], epsilon=-1.0)


@pytest.mark.parametrize("lam", [0.0, 0.4, 0.95])
def test_gae_is_the_average_of_all_n_step_advantages(lam):
    """Eq. (2.5); where the data end first, the longest gets the weight of all that are missing."""
    rng = np.random.default_rng(5)
    data = *rng.normal(size=(3, 30, 4)), *(rng.random((2, 30, 4)) < 0.1)
    expected = sum(
        (1 - lam) * lam ** (n - 1) * n_step_advantages(*data, 0.9, n) for n in range(1, 30)
    ) + lam**29 * n_step_advantages(*data, 0.9, 30)
    np.testing.assert_allclose(gae(*data, 0.9, lam), expected, atol=1e-12)
