"""The vine: restored states, common random numbers, and both estimators of the surrogate."""

from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch

from course_lib.algorithms.vine import (
    CommonRandomNumbers,
    RolloutSet,
    branch,
    finite_action_surrogate,
    self_normalised_surrogate,
    vine_policy_step,
    visited_states,
)
from course_lib.experience.envs import BatchedCartPole, BatchedEnv, BatchedSwingUp
from course_lib.parameters import flatten
from course_lib.policies import CategoricalPolicy, GaussianPolicy


class Walk(BatchedEnv):
    """A number that moves by -1 or +1 and pays itself; beyond 5 it ends."""

    default_max_episode_steps = 10
    single_observation_space = gym.spaces.Box(-np.inf, np.inf, (1,), np.float32)
    single_action_space = gym.spaces.Discrete(2)

    def initial_states(self, rng, n):
        return rng.integers(-2, 3, size=(1, n)).astype(np.float64)

    def dynamics(self, state, actions):
        state = state + np.where(actions == 1, 1.0, -1.0)
        return state, state[0].copy(), np.abs(state[0]) >= 5

    def observe(self, state):
        return state.T.astype(np.float32)


def coin(bias=0.0):
    """A policy that goes right with probability sigmoid(bias) everywhere."""
    policy = CategoricalPolicy(1, 2, torch.Generator().manual_seed(0), hidden=())
    with torch.no_grad():
        policy.net.layers[0].weight.zero_()
        policy.net.layers[0].bias.copy_(torch.tensor([0.0, bias]))
    return policy


def exact_q(x, action, gamma, steps, p=0.5):
    """Q of the walk by enumeration: the coin decides all later steps."""
    x = x + (1 if action else -1)
    if steps == 1 or abs(x) >= 5:
        return x
    ahead = [exact_q(x, a, gamma, steps - 1, p) for a in (0, 1)]
    return x + gamma * ((1 - p) * ahead[0] + p * ahead[1])


def walk_set(states, repeats, seed, common, gamma=0.9, steps=6):
    """Both actions in every state, many times over."""
    states = np.repeat(np.array([states], dtype=np.float64), repeats, axis=1)
    S = states.shape[1]
    env = Walk(2 * S)
    env.reset(seed=0)
    actions = np.tile([0, 1], (S, 1))
    rng = np.random.default_rng(seed)
    return branch(env, coin(), states, actions, gamma, steps, rng, common_random_numbers=common)


@pytest.mark.parametrize("common", [True, False])
def test_branches_estimate_the_exact_action_values(common):
    sampled = walk_set([0, 3, -2], repeats=4000, seed=1, common=common)
    q = sampled.q_values.reshape(3, 4000, 2)
    for i, x in enumerate((0, 3, -2)):
        for a in (0, 1):
            error = q[i, :, a].std() / np.sqrt(4000)
            assert abs(q[i, :, a].mean() - exact_q(x, a, 0.9, 6)) < 4 * error


def test_common_random_numbers_cancel_between_the_branches_of_a_state():
    spread = {}
    for common in (True, False):
        q = walk_set([0], repeats=2000, seed=1, common=common).q_values
        spread[common] = np.var(q[:, 1] - q[:, 0])
    assert spread[True] < 0.2 * spread[False]


def test_ended_branches_earn_and_cost_nothing_more():
    sampled = walk_set([4], repeats=1, seed=0, common=True)
    assert sampled.q_values[0, 1] == 5.0  # the episode ended at once
    assert sampled.simulator_steps <= 7


def test_rewards_after_a_branch_has_ended_cannot_spoil_it():
    class Sick(Walk):
        """What follows an end starts at 2 and pays no number."""

        def initial_states(self, rng, n):
            return np.full((1, n), 2.0)

        def dynamics(self, state, actions):
            spoilt = state[0] < 3
            state, reward, terminated = super().dynamics(state, actions)
            return state, np.where(spoilt, np.nan, reward), terminated

    env = Sick(2)
    env.reset(seed=0)
    actions, states = np.array([[0, 1]]), np.array([[6.0]])  # -1: on to 5, which ends; +1: to 7
    found = branch(env, coin(), states, actions, 0.9, 6, np.random.default_rng(0))
    assert found.q_values.tolist() == [[5.0, 7.0]]
    states = np.array([[4.0]])  # -1 goes on while the other branch has ended
    found = branch(env, coin(bias=50.0), states, actions, 0.9, 6, np.random.default_rng(0))
    assert found.q_values.tolist() == [[3.0 + 0.9 * 4.0 + 0.81 * 5.0, 5.0]]


def test_the_time_limit_knows_what_had_elapsed():
    env = Walk(2)
    env.reset(seed=0)
    actions = np.array([[0, 1]])
    rng = np.random.default_rng(0)
    sampled = branch(env, coin(), np.zeros((1, 1)), actions, 1.0, 50, rng, elapsed=np.array([9]))
    assert sampled.q_values.tolist() == [[-1.0, 1.0]]
    assert sampled.simulator_steps == 2


@pytest.mark.parametrize("kind", [BatchedCartPole, BatchedSwingUp])
def test_a_restored_state_repeats_the_trajectory_it_came_from(kind):
    """Placed where a trajectory passed, and given its actions, a copy goes the same way."""
    space = kind.single_action_space
    size, generator = kind.single_observation_space.shape[0], torch.Generator().manual_seed(0)
    if isinstance(space, gym.spaces.Discrete):
        policy = CategoricalPolicy(size, 2, generator)
    else:
        policy = GaussianPolicy(size, 1, generator)
    act = policy.sampler(np.random.default_rng(0))
    env = kind(3)
    observations, _ = env.reset(seed=1)
    path, actions = [], []
    for _ in range(8):
        path.append((env.state, env.elapsed, observations))
        actions.append(act(observations))
        observations = env.step(actions[-1])[0]
    states, elapsed, seen = path[4]
    other = kind(3)
    np.testing.assert_array_equal(other.place(states, elapsed), seen)
    for t in range(4, 8):
        reached = other.step(actions[t])[0]
    np.testing.assert_array_equal(reached, observations)
    assert other.elapsed.tolist() == env.elapsed.tolist()


def test_visited_states_are_states_of_trajectories():
    env = Walk(4)
    env.reset(seed=0)
    states, elapsed = visited_states(env, coin(), 30, 10, np.random.default_rng(0))
    assert states.shape == (1, 30)
    assert ((elapsed >= 0) & (elapsed < 10)).all()
    assert (np.abs(states) < 5).all()
    assert np.all(np.abs(states[0]) <= 2 + elapsed)


def test_an_environment_that_was_never_reset_has_no_states_to_visit():
    with pytest.raises(ValueError, match="never reset"):
        visited_states(Walk(4), coin(), 30, 10, np.random.default_rng(0))


def test_finite_estimator_is_the_sum_over_actions_and_its_gradient():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 3, generator=generator, requires_grad=True)
    q = torch.randn(5, 3, generator=generator)
    L = finite_action_surrogate(torch.softmax(logits, -1), q)
    L.sum().backward()
    p = torch.softmax(logits, -1).detach()
    torch.testing.assert_close(L.detach(), torch.stack([p[n] @ q[n] for n in range(5)]))
    centred = q - (p * q).sum(-1, keepdim=True)
    torch.testing.assert_close(logits.grad, p * centred)  # softmax: p (Q - E Q)


def test_self_normalised_estimator_is_the_ratio_of_two_sums():
    rng = np.random.default_rng(0)
    new, proposal, q = rng.normal(size=(3, 4, 6))
    expected = []
    for n in range(4):
        w = [np.exp(new[n, k]) / np.exp(proposal[n, k]) for k in range(6)]
        expected.append(sum(w[k] * q[n, k] for k in range(6)) / sum(w))
    L = self_normalised_surrogate(*map(torch.from_numpy, (new, proposal, q)))
    np.testing.assert_allclose(L.numpy(), expected, rtol=1e-12)


def test_self_normalised_gradient_needs_no_baseline():
    generator = torch.Generator().manual_seed(0)
    new = torch.randn(4, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    proposal, q = torch.randn(2, 4, 6, generator=generator, dtype=torch.float64)
    plain, shifted = (
        torch.autograd.grad(self_normalised_surrogate(new, proposal, x).sum(), new)[0]
        for x in (q, q + 100.0)
    )
    torch.testing.assert_close(plain, shifted, rtol=1e-9, atol=1e-12)


def test_self_normalised_bias_falls_as_one_over_k():
    """Two actions with Q = 0 and 1; the new policy takes the second with probability 0.8."""
    rng = np.random.default_rng(0)
    biases = []
    for K in (2, 8, 32):
        actions = rng.integers(2, size=(50_000, K))
        log_new = torch.tensor([0.2, 0.8], dtype=torch.float64).log()[torch.from_numpy(actions)]
        log_old = torch.full_like(log_new, np.log(0.5))
        q = torch.from_numpy(actions.astype(np.float64))
        biases.append(self_normalised_surrogate(log_new, log_old, q).mean().item() - 0.8)
    assert biases[0] < -0.1  # K = 2 is far off
    assert abs(biases[1]) < 0.35 * abs(biases[0])
    assert abs(biases[2]) < 0.35 * abs(biases[1])


def test_policy_step_climbs_the_finite_action_surrogate():
    generator = torch.Generator().manual_seed(1)
    policy = CategoricalPolicy(1, 2, generator, hidden=(8,), output_scale=1.0)
    sampled = walk_set([0, 1, 2, -1], repeats=5, seed=0, common=True)
    observations, q = torch.from_numpy(sampled.observations), torch.from_numpy(sampled.q_values)

    def objective():
        return finite_action_surrogate(policy(observations).log_probs.exp(), q.float()).mean()

    before = objective()
    gradient = flatten(torch.autograd.grad(before, list(policy.parameters())))
    step = vine_policy_step(policy, sampled, max_kl=0.01)
    torch.testing.assert_close(step.gradient, gradient, rtol=1e-4, atol=1e-6)
    assert step.search.accepted
    assert step.search.kl <= 0.01
    assert (objective() - before).item() == pytest.approx(step.search.improvement, rel=1e-3)
    once = RolloutSet(*map(np.copy, (sampled.states, sampled.observations)), None, q.numpy(), 0)
    twice = replace(once, actions=np.ones((20, 2), dtype=np.int64))
    with pytest.raises(ValueError, match="each of the actions 0 to 1 once"):
        vine_policy_step(policy, twice)


def test_common_random_numbers_repeat_in_groups():
    numbers = CommonRandomNumbers(np.random.default_rng(0), 3)
    for x in (numbers.gumbel(size=(6, 2)), numbers.standard_normal((6, 2), dtype=np.float32)):
        assert (x[0] == x[1]).all()
        assert (x[1] == x[2]).all()
        assert (x[2] != x[3]).all()
    with pytest.raises(ValueError, match="groups of 3"):
        numbers.gumbel(size=(7, 2))


def test_errors():
    env = Walk(4)
    with pytest.raises(ValueError, match="6 copies"):
        branch(env, coin(), np.zeros((1, 3)), np.zeros((3, 2), int), 0.9, 5, None)
    for gamma in (5.0, -0.1, np.nan):
        with pytest.raises(ValueError, match="gamma must lie"):
            branch(env, coin(), np.zeros((1, 2)), np.zeros((2, 2), int), gamma, 5, None)
    with pytest.raises(ValueError, match=r"\(S, K\)"):
        finite_action_surrogate(torch.zeros(3, 2), torch.zeros(3))
    with pytest.raises(ValueError, match=r"\(S, K\)"):
        self_normalised_surrogate(torch.zeros(3, 2), torch.zeros(3, 2), torch.zeros(2, 3))


def test_impossible_places_are_refused():
    env = Walk(4)
    for shape in ((1, 3), (2, 4), (4,)):
        with pytest.raises(ValueError, match=r"\(1, 4\)"):
            env.place(np.zeros(shape))
    for elapsed in (10, -1, 1.7, np.nan, [0, 1, 2, 0.5]):
        with pytest.raises(ValueError, match="elapsed must be integers"):
            env.place(np.zeros((1, 4)), elapsed)
    with pytest.raises(ValueError, match="finite"):
        env.place(np.full((1, 4), np.nan))
