"""The six weights and the two baselines of chapter 1, against exact expectations."""

import itertools

import numpy as np
import pytest

from course_lib import exact
from course_lib import policy_gradient as pg
from course_lib.exact import ledger

GAMMA, STEPS = 0.5, 3


def every_episode():
    """All episodes of three steps on a random MDP, with their probabilities, and its exact values.

    Values are those of the task that ends after three steps, so they depend on the time: [t, s].
    """
    rng = np.random.default_rng(7)
    mdp = exact.random_mdp(rng, n_states=2, n_actions=2, gamma=GAMMA)
    theta = rng.normal(size=(2, 2))
    policy = ledger.softmax_policy(theta, np.eye(2))
    v, q = np.zeros((STEPS + 1, 2)), np.zeros((STEPS, 2, 2))
    for t in reversed(range(STEPS)):
        q[t] = mdp.rewards + GAMMA * mdp.transitions @ v[t + 1]
        v[t] = (policy * q[t]).sum(1)
    episodes = []
    for states in itertools.product(range(2), repeat=STEPS + 1):
        for actions in itertools.product(range(2), repeat=STEPS):
            p = mdp.initial[states[0]]
            for s, a, s2 in zip(states, actions, states[1:], strict=False):
                p *= policy[s, a] * mdp.transitions[s, a, s2]
            episodes.append((p, np.array(states), np.array(actions)))
    return mdp, theta, v, q, episodes


def expected_gradients(baseline=None):
    """The exact mean of every choice's estimate, by enumeration."""
    mdp, theta, v, q, episodes = every_episode()
    policy, t = ledger.softmax_policy(theta, np.eye(2)), np.arange(STEPS)
    total = dict.fromkeys(pg.CHOICES, 0.0)
    for p, states, actions in episodes:
        s, reached = states[:-1], states[1:]
        b = None if baseline is None else baseline[t, s]
        weights = pg.gradient_weights(
            mdp.rewards[s, actions], q[t, s, actions], v[t, s], v[t + 1, reached], GAMMA, b
        )
        for name, w in weights.items():
            gradient = np.zeros((2, 2))
            for k in range(STEPS):
                gradient[s[k]] += (np.eye(2)[actions[k]] - policy[s[k]]) * w[k]
            total[name] = total[name] + p * gradient
    return total


def true_gradient():
    """Finite differences of the three-step return."""
    mdp, theta, *_ = every_episode()

    def value(theta):
        policy, v = ledger.softmax_policy(theta, np.eye(2)), np.zeros(2)
        for _ in range(STEPS):
            v = (policy * (mdp.rewards + GAMMA * mdp.transitions @ v)).sum(1)
        return mdp.initial @ v

    slopes = np.zeros((2, 2))
    for index in np.ndindex(2, 2):
        nudge = np.zeros((2, 2))
        nudge[index] = 1e-6
        slopes[index] = (value(theta + nudge) - value(theta - nudge)) / 2e-6
    return slopes


@pytest.mark.parametrize("name", pg.CHOICES)
def test_all_six_weights_have_the_gradient_as_their_mean(name):
    np.testing.assert_allclose(expected_gradients()[name], true_gradient(), atol=1e-9)


def test_any_baseline_leaves_the_mean_and_changes_the_third_choice():
    baseline = np.random.default_rng(1).normal(size=(STEPS, 2))
    gradients = expected_gradients(baseline)
    np.testing.assert_allclose(gradients["reward-to-go - b"], true_gradient(), atol=1e-9)
    with_v, without = (
        pg.gradient_weights([1.0, 2.0], [3.0, 2.0], [1.0, 1.0], [1.0, 0.0], 0.5, b)
        for b in (None, [0.0, 0.0])
    )
    assert with_v["reward-to-go - b"].tolist() == [1.0, 0.5]
    assert without["reward-to-go - b"].tolist() == without["reward-to-go"].tolist() == [2.0, 1.0]


def test_the_six_by_hand():
    weights = pg.gradient_weights([1.0, 2.0], [3.0, 2.5], [1.5, 1.0], [0.75, 0.0], 0.5)
    assert {name: w.tolist() for name, w in weights.items()} == {
        "total return": [2.0, 2.0],
        "reward-to-go": [2.0, 1.0],
        "reward-to-go - b": [0.5, 0.5],
        "Q": [3.0, 1.25],
        "advantage": [1.5, 0.75],
        "TD residual": [-0.125, 0.5],
    }


def policies_and_values():
    rng = np.random.default_rng(3)
    return exact.random_policy(rng, 20, 4), rng.normal(size=(20, 4))


def enumerated_variance(policy, q, b):
    """The variance from torch-free scores, action by action."""
    draws = np.array([(np.eye(len(policy))[a] - policy) * (q[a] - b) for a in range(len(policy))])
    mean = policy @ draws
    return sum(p * np.sum((x - mean) ** 2) for p, x in zip(policy, draws, strict=True))


def test_score_variance_is_the_variance_of_the_scores():
    policy, q = policies_and_values()
    b = np.linspace(-2, 2, 20)
    expected = [enumerated_variance(*args) for args in zip(policy, q, b, strict=True)]
    np.testing.assert_allclose(pg.score_variance(policy, q, b), expected, rtol=1e-12)


def test_no_baseline_has_less_variance_than_the_optimal_one():
    policy, q = policies_and_values()
    best = pg.optimal_baseline(policy, q)
    least = pg.score_variance(policy, q, best)
    for b in (best - 1e-3, best + 1e-3, (policy * q).sum(1), np.zeros(20)):
        assert (pg.score_variance(policy, q, b) > least).all()


def test_with_two_actions_the_optimal_baseline_leaves_no_variance():
    policy, q = np.array([[0.9, 0.1], [0.5, 0.5]]), np.array([[2.0, 7.0], [1.0, 3.0]])
    best = pg.optimal_baseline(policy, q)
    np.testing.assert_allclose(best, [0.1 * 2 + 0.9 * 7, 2.0])  # probabilities change places
    np.testing.assert_allclose(pg.score_variance(policy, q, best), 0, atol=1e-12)


def test_where_an_action_is_certain_the_baseline_is_its_value():
    assert pg.optimal_baseline([1.0, 0.0, 0.0], [4.0, 9.0, -9.0]) == 4.0


def test_what_does_not_fit_is_named():
    ones = np.ones((3, 2))
    with pytest.raises(ValueError, match="q_values has"):
        pg.gradient_weights(ones, ones[:, :1], ones, ones, 0.9)
    for nothing in (1.0, np.ones((0, 2))):
        with pytest.raises(ValueError, match="at least one step"):
            pg.gradient_weights(nothing, nothing, nothing, nothing, 0.9)
    with pytest.raises(ValueError, match="gamma"):
        pg.gradient_weights(ones, ones, ones, ones, 1.5)
    with pytest.raises(ValueError, match="q_values has"):
        pg.optimal_baseline(ones, ones[0])
    with pytest.raises(ValueError, match="baseline has"):
        pg.score_variance(ones / 2, ones, ones)
