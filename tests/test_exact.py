"""The tabular lab: identities, divergences, bounds and how tight they are, exact improvement steps."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib import exact
from course_lib.exact import (
    MDP,
    bounds,
    improvement,
    kl_steps,
    ledger,
    random_mdp,
    random_policy,
    tightness,
)

EXACT = 1e-10

#: Gap over bound of `worst_case` at gamma = 0.5 and shift = 0.001, measured and rounded down.
TIGHTNESS = {
    "achiam": 0.999,
    "kakade_langford": 0.9999,
    "cpi": 0.998,
    "tv": 0.998,
    "kl": 0.577,
    "kl_paper": 0.288,
    "sqrt_kl": 0.707,
}


@st.composite
def problems(draw):
    """A random MDP with two policies, from nearly deterministic to nearly uniform ones."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    mdp = random_mdp(
        rng,
        n_states=draw(st.integers(1, 6)),
        n_actions=draw(st.integers(1, 4)),
        gamma=draw(st.sampled_from([0.0, 0.5, 0.9, 0.97])),
        concentration=draw(st.sampled_from([0.1, 1.0, 10.0])),
    )
    spread = draw(st.sampled_from([0.3, 1.0, 5.0]))
    return mdp, *(random_policy(rng, mdp.n_states, mdp.n_actions, spread) for _ in range(2))


def many_problems(n, **kwargs):
    """n random MDPs, each with an old policy and a new one near it or far from it."""
    rng = np.random.default_rng(0)
    for _ in range(n):
        mdp = random_mdp(
            rng,
            n_states=int(rng.integers(2, 6)),
            n_actions=int(rng.integers(2, 5)),
            gamma=kwargs.get("gamma", rng.choice([0.1, 0.5, 0.9, 0.99])),
            concentration=rng.choice([0.05, 0.5, 2.0]),
        )
        size = mdp.rewards.shape
        old, other = (random_policy(rng, *size, rng.choice([0.3, 1.0])) for _ in range(2))
        weight = rng.choice([0.01, 0.1, 1.0])
        yield mdp, old, (1 - weight) * old + weight * other


# Evaluation and identities ---------------------------------------------------------------------


def test_a_problem_solved_by_hand():
    # From state 0, action 1 leads to state 1, which pays 2 for ever; action 0 stays and pays 1.
    mdp = MDP([[[1, 0], [0, 1]], [[0, 1], [0, 1]]], [[1, 0], [2, 2]], 0.5, [1, 0])
    policy = np.array([[0.5, 0.5], [1.0, 0.0]])
    values = exact.policy_evaluation(mdp, policy)
    # V(1) = 2 / (1 - .5) = 4;  V(0) = .5 (1 + .5 V(0)) + .5 (.5 * 4), so V(0) = 2.
    np.testing.assert_allclose(values.v, [2, 4], atol=EXACT)
    np.testing.assert_allclose(values.q, [[2, 2], [4, 4]], atol=EXACT)
    assert exact.expected_return(mdp, policy) == pytest.approx(2, abs=EXACT)
    # State 0 is left with probability a half: rho(0) = 1 / (1 - .25).
    np.testing.assert_allclose(exact.visitation(mdp, policy), [4 / 3, 2 / 3], atol=EXACT)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(problems())
def test_values_solve_the_bellman_equation(problem):
    mdp, policy, _ = problem
    v, q, advantage = exact.policy_evaluation(mdp, policy)
    np.testing.assert_allclose(q, mdp.rewards + mdp.gamma * mdp.transitions @ v, atol=EXACT)
    np.testing.assert_allclose((policy * q).sum(axis=1), v, atol=EXACT)
    np.testing.assert_allclose((policy * advantage).sum(axis=1), 0, atol=EXACT)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(problems())
def test_visitation_is_the_discounted_sum_over_time(problem):
    mdp, policy, _ = problem
    chain = np.einsum("sa,sat->st", policy, mdp.transitions)
    now, total = mdp.initial, np.zeros(mdp.n_states)
    for _ in range(1000):  # 0.97^1000 / 0.03 is below 1e-11
        total += now
        now = mdp.gamma * now @ chain
    np.testing.assert_allclose(exact.visitation(mdp, policy), total, atol=EXACT)
    np.testing.assert_allclose(exact.state_distribution(mdp, policy).sum(), 1, atol=EXACT)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(problems())
def test_return_is_what_the_visited_states_pay(problem):
    mdp, policy, _ = problem
    paid = exact.visitation(mdp, policy) @ (policy * mdp.rewards).sum(axis=1)
    assert exact.expected_return(mdp, policy) == pytest.approx(paid, abs=EXACT)


@pytest.mark.parametrize("seed", range(3))
def test_discounted_values_telescope(seed):
    rng = np.random.default_rng(seed)
    mdp = exact.random_mdp(rng)
    policy, V = exact.random_policy(rng, 5, 3), rng.normal(size=5)
    weights = exact.visitation(mdp, policy)
    after = np.einsum("sa,sax,x->s", policy, mdp.transitions, V)  # E[V(s_{t+1}) | s_t]
    total = mdp.gamma * weights @ after - weights @ V
    assert total == pytest.approx(-(mdp.initial @ V), rel=1e-12)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(problems())
def test_performance_difference_lemma(problem):
    difference, advantage = exact.performance_difference(*problem)
    assert difference == pytest.approx(advantage, abs=EXACT)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(problems())
def test_surrogate_matches_the_return_at_the_old_policy_and_to_first_order(problem):
    mdp, old, new = problem
    start = exact.expected_return(mdp, old)
    assert exact.surrogate(mdp, old, old) == pytest.approx(start, abs=EXACT)
    errors = []
    for weight in (1e-3, 1e-4):
        near = (1 - weight) * old + weight * new
        errors.append(exact.expected_return(mdp, near) - exact.surrogate(mdp, old, near))
    # A step ten times smaller makes an error of second order a hundred times smaller.
    assert errors[1] == pytest.approx(errors[0] / 100, rel=0.2, abs=1e-9)


def test_surrogate_is_not_the_return_further_away():
    mdp, old, new = next(many_problems(1, gamma=0.9))
    assert exact.surrogate(mdp, old, new) == pytest.approx(
        exact.expected_return(mdp, old)
        + exact.visitation(mdp, old)
        @ (
            new * exact.policy_evaluation(mdp, old).q - old * exact.policy_evaluation(mdp, old).q
        ).sum(1),
        abs=EXACT,
    )
    assert bounds.gap(mdp, old, new) > 1e-6


@settings(max_examples=60, deadline=None, derandomize=True)
@given(problems())
def test_the_gap_is_the_change_of_states_times_the_mean_advantage(problem):
    mdp, old, new = problem
    moved = exact.visitation(mdp, new) - exact.visitation(mdp, old)
    mean_advantage = (new * exact.policy_evaluation(mdp, old).advantage).sum(axis=1)
    assert bounds.gap(mdp, old, new) == pytest.approx(abs(moved @ mean_advantage), abs=EXACT)


def test_undiscounted_distribution_counts_steps_equally():
    mdp = MDP([[[0, 1]], [[0, 1]]], [[0], [0]], 0.9, [1, 0])
    policy = np.ones((2, 1))
    np.testing.assert_allclose(exact.undiscounted_distribution(mdp, policy, 1), [1, 0])
    np.testing.assert_allclose(exact.undiscounted_distribution(mdp, policy, 4), [0.25, 0.75])
    np.testing.assert_allclose(exact.state_distribution(mdp, policy), [0.1, 0.9])


def valid():
    return dict(
        transitions=np.full((2, 3, 2), 0.5), rewards=np.zeros((2, 3)), gamma=0.9, initial=[1, 0]
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(transitions=np.full((2, 3, 3), 1 / 3)), "must have shape"),
        (dict(transitions=np.full((2, 3, 2), 0.6)), "sum to one"),
        (dict(transitions=np.full((2, 3, 2), np.nan)), "probabilities"),
        (dict(transitions=np.tile([1.5, -0.5], (2, 3, 1))), "probabilities"),
        (dict(rewards=np.zeros((3, 2))), "rewards must have shape"),
        (dict(rewards=np.full((2, 3), np.inf)), "finite"),
        (dict(gamma=1.0), "gamma"),
        (dict(initial=[0.5, 0.4]), "initial"),
        (dict(initial=[1.0]), "initial must have shape"),
    ],
)
def test_an_impossible_mdp_is_refused(change, message):
    MDP(**valid())
    with pytest.raises(ValueError, match=message):
        MDP(**valid() | change)


def test_an_mdp_cannot_be_changed_by_accident():
    arguments = valid()
    mdp = MDP(**arguments)
    arguments["rewards"][0, 0] = 7.0
    assert mdp.rewards[0, 0] == 0.0
    with pytest.raises(ValueError, match="read-only"):
        mdp.rewards[0, 0] = 7.0


@pytest.mark.parametrize("policy", [np.full((3, 2), 0.5), np.full((2, 3), 0.3), [[2, -1, 0]] * 2])
def test_a_policy_that_is_none_is_refused(policy):
    with pytest.raises(ValueError, match="the policy"):
        exact.expected_return(MDP(**valid()), policy)


@pytest.mark.parametrize("horizon", [0, 1.5, np.inf, np.nan])
def test_a_horizon_must_count_steps(horizon):
    with pytest.raises(ValueError, match="horizon"):
        exact.undiscounted_distribution(MDP(**valid()), np.full((2, 3), 1 / 3), horizon)


# Divergences and epsilons ----------------------------------------------------------------------


def test_total_variation_by_hand():
    old, new = [[0.5, 0.5, 0], [0.2, 0.3, 0.5]], [[0, 0.5, 0.5], [0.2, 0.3, 0.5]]
    np.testing.assert_allclose(bounds.total_variation(old, new), [0.5, 0], atol=1e-15)


def test_total_variation_is_half_the_mean_distance_of_the_ratio_from_one():
    rng = np.random.default_rng(0)
    old, new = random_policy(rng, 50, 4), random_policy(rng, 50, 4)
    half = (old * np.abs(new / old - 1)).sum(axis=1) / 2
    np.testing.assert_allclose(bounds.total_variation(old, new), half, atol=1e-14)


def test_kl_by_hand():
    # .5 log(.5 / .25) + .5 log(.5 / .75), and the other way round something else.
    kl = bounds.kl_divergence([[0.5, 0.5]], [[0.25, 0.75]])
    np.testing.assert_allclose(kl, 0.5 * np.log(4 / 3), rtol=1e-14)
    back = bounds.kl_divergence([[0.25, 0.75]], [[0.5, 0.5]])
    np.testing.assert_allclose(back, 0.75 * np.log(3) - np.log(2), rtol=1e-14)


def test_kl_with_zeros():
    assert bounds.kl_divergence([0.5, 0.5], [1.0, 0.0]) == np.inf  # an old action is ruled out
    assert bounds.kl_divergence([1.0, 0.0], [0.5, 0.5]) == pytest.approx(np.log(2))
    assert bounds.kl_divergence([1.0, 0.0], [1.0, 0.0]) == 0.0


@pytest.mark.parametrize("tiny", [1e-17, 1e-100, 1e-320])
def test_kl_of_probabilities_whose_ratio_leaves_float64(tiny):
    even, skewed = np.array([0.5, 0.5]), np.array([tiny, 1.0])
    expected = 0.5 * (np.log(0.5) - np.log(tiny)) + 0.5 * np.log(0.5)
    assert bounds.kl_divergence(even, skewed) == pytest.approx(
        expected, rel=1e-12
    )  # 18.9 for 1e-17
    assert bounds.kl_divergence(skewed, even) == pytest.approx(np.log(2), rel=1e-12)


def test_where_the_surrogate_is_exact_no_distance_costs_anything():
    mdp = random_mdp(np.random.default_rng(0), 4, 3, gamma=0.0)
    old, new = random_policy(np.random.default_rng(1), 4, 3), np.eye(3)[[0, 1, 2, 0]]
    assert bounds.kl_divergence(old, new).max() == np.inf
    assert set(bounds.all_bounds(mdp, old, new).values()) == {0.0}
    assert bounds.kl_bound(0.0, np.inf, 0.9) == bounds.sqrt_kl_bound(0.0, np.inf, 0.9) == 0.0


def test_all_bounds_but_one_follow_from_achiams():
    rng, smaller = np.random.default_rng(0), dict.fromkeys(range(2), 0)
    for _ in range(500):
        mdp, old, target = random_mdp(rng), random_policy(rng, 5, 3), random_policy(rng, 5, 3)
        for i, new in enumerate((target, 0.95 * old + 0.05 * target)):
            others = bounds.all_bounds(mdp, old, new)
            achiam, kakade = others.pop("achiam"), others.pop("kakade_langford")
            assert min(others.values()) >= achiam * (1 - 1e-12)
            smaller[i] += kakade < achiam
    assert smaller[0] > 450 > 50 > smaller[1]


def test_kl_of_policies_that_hardly_differ():
    # The plain sum of old * log(old / new) would return rounding errors of 1e-17 here.
    old = random_policy(np.random.default_rng(0), 50, 2, 5.0)
    shift = np.array([1e-9, -1e-9])
    expected = (shift**2 / old).sum(axis=1) / 2
    np.testing.assert_allclose(bounds.kl_divergence(old, old + shift), expected, rtol=1e-6)


def test_a_mean_leaves_out_states_without_weight():
    assert bounds.mean_over([0.25, 0.75, 0.0], [1.0, 2.0, np.inf]) == 1.75


def test_mixture_weight_recovers_omega():
    rng = np.random.default_rng(0)
    old = random_policy(rng, 4, 3)
    target = improvement.greedy_policy(rng.standard_normal((4, 3)))
    assert bounds.mixture_weight(old, 0.7 * old + 0.3 * target) == pytest.approx(0.3)


def test_the_three_epsilons_are_three_numbers():
    # One state; rewards are advantages because their mean under the old policy is zero.
    mdp = MDP(np.ones((1, 3, 1)), [[2.0, 1.0, -3.0]], 0.5, [1.0])
    old, new = np.full((1, 3), 1 / 3), np.array([[0.5, 0.5, 0.0]])
    assert bounds.eps_cpi(mdp, old) == pytest.approx(2.0)  # the greedy action
    assert bounds.eps_new(mdp, old, new) == pytest.approx(1.5)  # the new policy's mean
    assert bounds.eps_a(mdp, old) == pytest.approx(3.0)  # the largest, here of the worst action
    assert bounds.eps_new(mdp, old, [[0.0, 0.0, 1.0]]) == pytest.approx(3.0)  # absolute value


@settings(max_examples=60, deadline=None, derandomize=True)
@given(problems())
def test_how_the_epsilons_are_related(problem):
    mdp, old, new = problem
    tv = bounds.total_variation(old, new).max()
    assert bounds.eps_new(mdp, old, new) <= 2 * tv * bounds.eps_a(mdp, old) + EXACT
    mixture = improvement.conservative_step(mdp, old, 0.3)
    assert bounds.eps_new(mdp, old, mixture) == pytest.approx(
        0.3 * bounds.eps_cpi(mdp, old), abs=EXACT
    )


# Bounds ----------------------------------------------------------------------------------------


def test_the_constants_of_the_bounds():
    # gamma = 1/2 makes gamma / (1-gamma)^2 = 2 and gamma / ((1-gamma)(1-gamma/2)) = 4/3.
    assert bounds.achiam_bound(3.0, 0.1, 0.5) == pytest.approx(2 * 3 * 0.1 * 2)
    assert bounds.cpi_bound(3.0, 0.5, 0.5) == pytest.approx(2 * 3 * 0.25 * 2)
    assert bounds.kakade_langford_bound(3.0, 0.5, 0.5) == pytest.approx(2 * 3 * 0.25 * 4 / 3)
    assert bounds.tv_bound(3.0, 0.1, 0.5) == pytest.approx(4 * 3 * 0.01 * 2)
    assert bounds.kl_bound(3.0, 0.1, 0.5) == pytest.approx(2 * 3 * 0.1 * 2)
    assert bounds.kl_bound(3.0, 0.1, 0.5, pinsker=False) == pytest.approx(4 * 3 * 0.1 * 2)
    assert bounds.sqrt_kl_bound(3.0, 0.04, 0.5) == pytest.approx(np.sqrt(2) * 3 * 0.2 * 2)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(problems())
def test_the_gap_is_the_change_of_visitation_times_the_mean_advantage(problem):
    mdp, old, new = problem
    advantage = (new * exact.policy_evaluation(mdp, old).advantage).sum(axis=1)
    moved = exact.visitation(mdp, new) - exact.visitation(mdp, old)
    assert bounds.gap(mdp, old, new) == pytest.approx(abs(moved @ advantage), abs=1e-9)


def test_how_far_the_visitation_can_move():
    nearest = 0.0
    for mdp, old, new in many_problems(300):
        moved = np.abs(exact.visitation(mdp, new) - exact.visitation(mdp, old)).sum()
        mean_tv = exact.state_distribution(mdp, old) @ bounds.total_variation(old, new)
        limit = 2 * mdp.gamma / (1 - mdp.gamma) ** 2 * mean_tv
        assert moved <= limit * (1 + 1e-9)
        nearest = max(nearest, moved / limit)
    assert nearest > 0.8


def test_pinskers_inequality_and_where_it_is_tight():
    rng = np.random.default_rng(0)
    for spread in (0.1, 1.0, 10.0):
        old, new = random_policy(rng, 300, 4, spread), random_policy(rng, 300, 4, spread)
        assert (bounds.total_variation(old, new) ** 2 <= bounds.kl_divergence(old, new) / 2).all()
    even, shifted = [[0.5, 0.5]], [[0.501, 0.499]]
    ratio = bounds.total_variation(even, shifted) ** 2 / (bounds.kl_divergence(even, shifted) / 2)
    assert ratio == pytest.approx(1.0, abs=1e-5)


def test_beyond_the_guaranteed_distance_no_bound_promises_anything():
    promised, nearest = 0, 0.0
    cases = [*many_problems(300), *(tightness.worst_case("tv", g, 0.1) for g in (0.1, 0.9))]
    for mdp, old, new in cases:
        # Around every pair also the steps that are small enough to be promised something.
        for weight in (1.0, 0.1, 0.01, 0.001):
            near = (1 - weight) * old + weight * new
            gain = exact.surrogate(mdp, old, near) - exact.expected_return(mdp, old)
            limit = bounds.guaranteed_tv(mdp.gamma)
            tv, kl = bounds.total_variation(old, near), bounds.kl_divergence(old, near)
            d_old = exact.state_distribution(mdp, old)
            size = {
                "achiam": bounds.mean_over(d_old, tv),
                "tv": tv.max(),
                "kl": np.sqrt(kl.max() / 2),
                "sqrt_kl": np.sqrt(bounds.mean_over(d_old, kl) / 2),
            }
            for name, bound in bounds.all_bounds(mdp, old, near).items():
                if name in size and gain > bound:
                    assert size[name] < limit
                    promised, nearest = promised + 1, max(nearest, size[name] / limit)
    assert promised > 100
    assert nearest > 0.5


@pytest.mark.parametrize("gamma", [0.0, 1.0, np.nan])
def test_the_guaranteed_distance_needs_a_discount(gamma):
    with pytest.raises(ValueError, match="gamma"):
        bounds.guaranteed_tv(gamma)


@pytest.mark.parametrize(("gamma", "eps"), [(1.0, 1.0), (-0.1, 1.0), (0.9, -1.0), (0.9, np.nan)])
def test_bounds_refuse_impossible_numbers(gamma, eps):
    for bound in (bounds.achiam_bound, bounds.cpi_bound, bounds.tv_bound, bounds.kl_bound):
        with pytest.raises(ValueError, match=r"gamma must lie|cannot be"):
            bound(eps, 0.1, gamma)


def violations(cases, slack=1e-9):
    return [
        (name, gap, bound)
        for mdp, old, new in cases
        for gap in [bounds.gap(mdp, old, new)]
        for name, bound in bounds.all_bounds(mdp, old, new).items()
        if gap > bound + slack * (1 + gap)
    ]


def test_no_bound_is_violated_by_a_thousand_random_mdps():
    assert violations(many_problems(1000)) == []


@pytest.mark.parametrize("gamma", [0.1, 0.5, 0.9, 0.99])
def test_no_bound_is_violated_by_the_worst_cases(gamma):
    cases = [
        tightness.worst_case(name, gamma, shift)
        for name in tightness.LIMITS
        for shift in (0.25, 0.1, 0.01, 0.001)
    ]
    assert violations(cases) == []


@pytest.fixture(scope="module")
def searched():
    """Short searches, from a random point and from the worst case known, for every bound."""
    found = {}
    for name in tightness.LIMITS:
        rng = np.random.default_rng(1)
        start = tightness.worst_case(name, 0.5, 0.1)
        found[name] = (
            tightness.tightest(name, rng, steps=150),
            tightness.tightest(name, rng, steps=60, start=start),
        )
    return found


def test_no_bound_is_violated_by_what_the_search_finds(searched):
    assert violations(case for pair in searched.values() for case in pair) == []


def test_random_mdps_have_no_power():
    # A KL bound 20 times too small would pass. This is why the worst cases are constructed.
    ratios = [tightness.Case(*problem).tightness("kl") for problem in many_problems(300, gamma=0.9)]
    assert max(ratios) < 0.05
    assert tightness.worst_case("kl", 0.9).tightness("kl") > 0.2


@pytest.mark.parametrize("name", TIGHTNESS)
def test_a_constant_ten_percent_below_the_tightness_is_violated(name):
    case = tightness.worst_case(name, 0.5, 0.001)
    bound = bounds.all_bounds(*case)[name]
    assert bounds.gap(*case) > 0.9 * TIGHTNESS[name] * bound
    assert bounds.gap(*case) >= TIGHTNESS[name] * bound
    assert case.tightness(name) == bounds.gap(*case) / bound


def test_the_tightness_promised():
    assert TIGHTNESS["tv"] >= 0.6
    assert TIGHTNESS["achiam"] >= 0.95


@pytest.mark.parametrize("name", TIGHTNESS)
@pytest.mark.parametrize("gamma", [0.3, 0.5, 0.9])
def test_worst_cases_approach_their_limits(name, gamma):
    limit = tightness.LIMITS[name](gamma)
    far, near = (tightness.worst_case(name, gamma, x).tightness(name) for x in (0.05, 0.0005))
    assert far < near <= limit + 1e-6
    assert near > 0.97 * limit


def test_the_greedy_target_is_at_most_half_as_bad_as_the_cpi_bound_allows():
    for mdp, old, _ in many_problems(100):
        new = improvement.conservative_step(mdp, old, 0.2)
        half = bounds.kakade_langford_bound(bounds.eps_cpi(mdp, old), 0.2, mdp.gamma) / 2
        assert bounds.gap(mdp, old, new) <= half + EXACT


@pytest.mark.parametrize(("gamma", "promises"), [(0.3, True), (0.5, False), (0.9, False)])
def test_with_the_largest_advantage_the_sqrt_kl_bound_promises_nothing(gamma, promises):
    # One state where Pinsker and eps_A are tight: the best case for a promise.
    old, shift = np.array([[0.5, 0.5]]), 0.01
    new = old + np.array([shift, -shift])
    mdp = MDP(np.ones((1, 2, 1)), [[1.0, -1.0]], gamma, [1.0])
    gain = exact.surrogate(mdp, old, new) - exact.expected_return(mdp, old)
    kl = bounds.kl_divergence(old, new)[0]
    assert (gain > bounds.sqrt_kl_bound(bounds.eps_a(mdp, old), kl, gamma)) == promises


def test_the_search_improves_on_where_it_starts(searched):
    for name, (found, refined) in searched.items():
        first = tightness.tightest(name, np.random.default_rng(1), steps=1)
        assert found.tightness(name) > 1.5 * first.tightness(name)
        assert refined.tightness(name) >= tightness.worst_case(name, 0.5, 0.1).tightness(name)


def test_the_search_repeats_itself():
    one, two = (tightness.tightest("tv", np.random.default_rng(3), steps=20) for _ in range(2))
    np.testing.assert_array_equal(one.mdp.transitions, two.mdp.transitions)
    np.testing.assert_array_equal(one.new, two.new)


def test_worst_cases_refuse_what_they_do_not_know():
    for arguments in (("tvv", 0.5), ("tv", 1.0), ("tv", 0.5, 0.3)):
        with pytest.raises(ValueError, match=r"must be one of|need 0 < gamma"):
            tightness.worst_case(*arguments)


# Improvement -----------------------------------------------------------------------------------

DELTA, PRICE = 0.05, 2.0


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(5)
    return random_mdp(rng, 4, 3, 0.9), random_policy(rng, 4, 3)


def price_of_each_action(old, advantages, new, price):
    """A + price old / new, which is one number nu per state if and only if the step is optimal."""
    return advantages + np.asarray(price) * old / new


def assert_rows_constant(x, rtol=1e-7):
    np.testing.assert_allclose(
        x, np.broadcast_to(x.mean(axis=1, keepdims=True), x.shape), rtol=rtol
    )


def test_policy_iteration_ends_at_the_best_of_all_policies(problem):
    mdp, policy = problem
    result = improvement.policy_iteration(mdp, policy)
    every = (np.eye(3)[list(actions)] for actions in itertools.product(range(3), repeat=4))
    best = max(exact.expected_return(mdp, candidate) for candidate in every)
    assert result.returns[-1] == pytest.approx(best, abs=EXACT)
    assert (np.diff(result.returns) > -EXACT).all()


def test_policy_iteration_from_an_optimal_policy_stops():
    mdp = MDP(np.ones((1, 2, 1)), [[1.0, 1.0]], 0.9, [1.0])
    assert len(improvement.policy_iteration(mdp, [[0.5, 0.5]]).policies) <= 2


@pytest.mark.parametrize("gamma", [0.0, 0.9, 0.999999, 1.0 - 1e-9])
@pytest.mark.parametrize("unit", [1e-12, 1e6, 1e12])
def test_policy_iteration_ends_whatever_the_unit_and_the_horizon(problem, gamma, unit):
    mdp, policy = problem
    mdp = MDP(mdp.transitions, unit * mdp.rewards, gamma, mdp.initial)
    result = improvement.policy_iteration(mdp, policy)
    last = exact.policy_evaluation(mdp, result.policies[-1])
    assert last.advantage.max() <= 1e-12 * np.abs(last.q).max()
    assert len(result.policies) < 10


def test_policy_iteration_ends_where_all_actions_are_equally_good():
    rng = np.random.default_rng(1)
    mdp = random_mdp(rng, 30, 3)
    mdp = MDP(mdp.transitions, np.full((30, 3), 0.1), 0.999999, mdp.initial)  # A is all rounding
    assert len(improvement.policy_iteration(mdp, random_policy(rng, 30, 3)).policies) <= 3


@pytest.mark.parametrize("gamma", [0.0, 0.9, 0.99])
def test_conservative_step_at_optimal_policies(gamma):
    for seed in range(10):
        rng = np.random.default_rng(seed)
        mdp = random_mdp(rng, 5, 3, gamma)
        best = improvement.policy_iteration(mdp, random_policy(rng, 5, 3)).policies[-1]
        new = improvement.conservative_step(mdp, best)
        assert exact.expected_return(mdp, new) == pytest.approx(
            exact.expected_return(mdp, best), abs=1e-12
        )
        assert bounds.cpi_bound(bounds.eps_cpi(mdp, best), 0.5, gamma) == pytest.approx(0, abs=1e-9)


def test_conservative_step_mixes_and_by_default_maximises_the_guarantee(problem):
    mdp, old = problem
    greedy = improvement.greedy_policy(exact.policy_evaluation(mdp, old).q)
    mixture = improvement.conservative_step(mdp, old, 0.25)
    np.testing.assert_allclose(mixture, 0.75 * old + 0.25 * greedy)
    eps, gain = bounds.eps_cpi(mdp, old), exact.surrogate(mdp, old, greedy)
    gain -= exact.expected_return(mdp, old)
    weights = np.linspace(0, 1, 100001)
    promised = weights * gain - [bounds.cpi_bound(eps, w, mdp.gamma) for w in weights]
    chosen = bounds.mixture_weight(old, improvement.conservative_step(mdp, old))
    assert chosen == pytest.approx(weights[promised.argmax()], abs=2e-5)


def test_kl_penalty_step_is_optimal(problem):
    mdp, old = problem
    advantages = exact.policy_evaluation(mdp, old).advantage
    new = improvement.kl_penalty_step(old, advantages, PRICE)
    np.testing.assert_allclose(new.sum(axis=1), 1)
    nu = price_of_each_action(old, advantages, new, PRICE)
    assert_rows_constant(nu)
    assert (nu > advantages.max(axis=1, keepdims=True)).all()


def test_reps_step_is_optimal_and_agrees_to_first_order(problem):
    mdp, old = problem
    advantages = exact.policy_evaluation(mdp, old).advantage
    new = improvement.reps_step(old, advantages, PRICE)
    np.testing.assert_allclose(new.sum(axis=1), 1)
    assert_rows_constant(np.exp(advantages - PRICE * np.log(new / old)))
    other = improvement.kl_penalty_step(old, advantages, 1e4)
    near = improvement.reps_step(old, advantages, 1e4)
    assert 0 < np.abs(near - other).max() < 0.01 * np.abs(near - old).max()


def test_kl_limit_step_uses_the_limit_in_every_state(problem):
    mdp, old = problem
    advantages = exact.policy_evaluation(mdp, old).advantage
    new = improvement.kl_limit_step(old, advantages, DELTA)
    np.testing.assert_allclose(bounds.kl_divergence(old, new), DELTA, rtol=1e-9)
    gain = ((new - old) * advantages).sum(axis=1, keepdims=True)
    price = gain / ((new - old) ** 2 / new).sum(axis=1, keepdims=True)
    assert_rows_constant(price_of_each_action(old, advantages, new, price))


def test_the_price_can_be_read_off_a_step(problem):
    mdp, old = problem
    advantages = exact.policy_evaluation(mdp, old).advantage
    prices = np.array([0.1, 1.0, 10.0, 1000.0])
    new = improvement.kl_penalty_step(old, advantages, prices)
    np.testing.assert_allclose(kl_steps.price_of_step(old, advantages, new), prices, rtol=1e-7)


def test_a_limit_on_the_mean_kl_limits_the_fall():
    fell = 0
    for mdp, old, _ in many_problems(100, gamma=0.9):
        for max_kl in (0.01, 1.0):
            # The worst that the surrogate lets through: any policy it does not call worse.
            new = improvement.trust_region_step(mdp, old, max_kl)
            eps = bounds.eps_new(mdp, old, new)
            fall = exact.expected_return(mdp, old) - exact.expected_return(mdp, new)
            assert fall <= bounds.sqrt_kl_bound(eps, max_kl, mdp.gamma)
    for mdp, old, new in many_problems(300, gamma=0.9):
        if exact.surrogate(mdp, old, new) >= exact.expected_return(mdp, old):
            mean_kl = exact.state_distribution(mdp, old) @ bounds.kl_divergence(old, new)
            fall = exact.expected_return(mdp, old) - exact.expected_return(mdp, new)
            eps = bounds.eps_new(mdp, old, new)
            assert fall <= bounds.sqrt_kl_bound(eps, mean_kl, mdp.gamma) + EXACT
            fell += fall > 0
    assert fell > 0


def test_kl_limit_step_with_a_limit_for_each_state(problem):
    mdp, old = problem
    advantages = exact.policy_evaluation(mdp, old).advantage
    limits = np.array([1e-6, 0.01, 0.1, 1.0])
    new = improvement.kl_limit_step(old, advantages, limits)
    np.testing.assert_allclose(bounds.kl_divergence(old, new), limits, rtol=1e-6)
    for s, limit in enumerate(limits):
        row = slice(s, s + 1)
        alone = improvement.kl_limit_step(old[row], advantages[row], limit)
        np.testing.assert_allclose(new[row], alone, rtol=1e-12)
    with pytest.raises(ValueError, match="max_kl"):
        improvement.kl_limit_step(old, advantages, -limits)


@pytest.mark.parametrize("rare", [1e-9, 1e-300, 5e-324])
def test_no_step_rules_an_action_out(rare):
    # Two equally good actions and a bad one that is hardly ever taken: the limit is used up by it.
    old, advantages = np.array([[0.95, 0.05, rare]]), np.array([[0.0, 0.0, -7.0]])
    new = improvement.kl_limit_step(old, advantages, 1e-4)
    assert bounds.kl_divergence(old, new).item() <= 1e-4 * (1 + 1e-9)
    assert new[0, 2] > 0
    np.testing.assert_allclose(new.sum(), 1, atol=1e-15)


def test_trust_region_step_uses_the_mean_kl_at_one_price(problem):
    mdp, old = problem
    advantages = exact.policy_evaluation(mdp, old).advantage
    new = improvement.trust_region_step(mdp, old, DELTA)
    kl = bounds.kl_divergence(old, new)
    assert exact.state_distribution(mdp, old) @ kl == pytest.approx(DELTA, rel=1e-9)
    prices = -np.ptp(advantages[:, :2], axis=1) / np.ptp((old / new)[:, :2], axis=1)
    np.testing.assert_allclose(prices, prices[0], rtol=1e-7)
    strict = improvement.trust_region_step(mdp, old, DELTA, mean=False)
    assert bounds.kl_divergence(old, strict).max() == pytest.approx(DELTA, rel=1e-9)
    assert exact.surrogate(mdp, old, strict) < exact.surrogate(mdp, old, new)


@pytest.mark.parametrize("coefficient", [None, 5.0, 0.2])
@pytest.mark.parametrize("mean", [False, True])
def test_mm_step_maximises_its_minorant(problem, coefficient, mean):
    mdp, old = problem
    new = improvement.mm_step(mdp, old, coefficient, mean)
    if coefficient is None:
        coefficient = bounds.kl_coefficient(bounds.eps_a(mdp, old), mdp.gamma)

    def minorant(policy):
        kl = bounds.kl_divergence(old, policy)
        kl = exact.state_distribution(mdp, old) @ kl if mean else kl.max()
        return exact.surrogate(mdp, old, policy) - coefficient * kl

    best, rng = minorant(new), np.random.default_rng(0)
    assert best > minorant(old)
    for scale in 10.0 ** -np.arange(1, 6):
        for _ in range(40):
            other = new * np.exp(scale * rng.standard_normal(new.shape))
            assert minorant(other / other.sum(axis=1, keepdims=True)) <= best + 1e-12
    for weight in (1e-3, 1e-2, -1e-3):  # and along the line through the old policy
        assert minorant(new + weight * (old - new)) <= best + 1e-12


@pytest.mark.parametrize("step", [improvement.conservative_step, improvement.mm_step])
def test_the_guaranteed_steps_never_lose(step):
    for mdp, old, _ in many_problems(3):
        result = improvement.iterate(mdp, old, step, 2)
        assert len(result.policies) == 3
        assert (np.diff(result.returns) > -EXACT).all()
        assert result.returns[-1] > result.returns[0]


def test_an_action_never_taken_stays_untaken_and_changes_nothing():
    old, advantages = np.array([[0.5, 0.5, 0.0]]), np.array([[1.0, -1.0, 9.0]])
    for step, setting in (
        (improvement.kl_penalty_step, 1.0),
        (improvement.kl_limit_step, 0.1),
        (improvement.reps_step, 1.0),
    ):
        new = step(old, advantages, setting)
        assert new[0, 2] == 0.0
        np.testing.assert_allclose(new[:, :2], step(old[:, :2], advantages[:, :2], setting))


def test_the_penalty_step_is_the_best_among_those_that_take_no_new_action():
    old, advantages = np.array([[0.5, 0.5, 0.0]]), np.array([[1.0, -1.0, 9.0]])
    new = improvement.kl_penalty_step(old, advantages, 1.0)

    def objective(policy):
        return (policy * advantages).sum() - bounds.kl_divergence(old, policy).item()

    for weight in np.linspace(0.01, 0.99, 99):
        assert objective(np.array([[weight, 1.0 - weight, 0.0]])) <= objective(new) + 1e-12
    # The reason for the condition: among all policies it is not the best.
    assert objective(0.9 * new + [[0.0, 0.0, 0.1]]) > objective(new)


def test_reps_step_where_the_best_action_is_not_taken():
    old, advantages = np.array([[0.5, 0.5, 0.0]]), np.array([[0.0, -1.0, 1e6]])
    new = improvement.reps_step(old, advantages, 1.0)
    np.testing.assert_allclose(new, [[1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1)), 0.0]])
    for temperature in (1e-3, 1e-300):
        assert improvement.reps_step(old, advantages, temperature).tolist() == [[1.0, 0.0, 0.0]]


@pytest.mark.parametrize("unit", [1e-20, 1e20])
def test_the_trust_region_step_does_not_depend_on_the_unit_of_rewards(problem, unit):
    mdp, old = problem
    scaled = MDP(mdp.transitions, unit * mdp.rewards, mdp.gamma, mdp.initial)
    expected = improvement.trust_region_step(mdp, old, DELTA)
    np.testing.assert_allclose(improvement.trust_region_step(scaled, old, DELTA), expected, 1e-6)


def test_where_nothing_is_better_nothing_changes():
    mdp = MDP(np.ones((1, 2, 1)), [[1.0, 1.0]], 0.9, [1.0])
    old = np.array([[0.25, 0.75]])
    for new in (
        improvement.mm_step(mdp, old, 1.0),
        improvement.trust_region_step(mdp, old, 0.1),
        improvement.trust_region_step(mdp, old, 0.0),
    ):
        np.testing.assert_allclose(new, old, atol=1e-15)


def test_improvement_steps_refuse_impossible_settings(problem):
    mdp, old = problem
    for step, message in (
        (lambda: improvement.conservative_step(mdp, old, 1.5), "omega"),
        (lambda: improvement.trust_region_step(mdp, old, -1.0), "max_kl"),
        (lambda: improvement.mm_step(mdp, old, -1.0), "coefficient"),
        (lambda: improvement.kl_penalty_step(old, old, 0.0), "price"),
        (lambda: improvement.kl_penalty_step(old, old[:, :2], 1.0), "one shape"),
        (lambda: improvement.reps_step(old, old, 0.0), "temperature"),
        (lambda: improvement.reps_step(old, old[:, :1], 1.0), "one shape"),
        (lambda: improvement.kl_limit_step(old[0], old[0], 1.0), "one shape"),
        (lambda: improvement.kl_limit_step(2 * old, old, 1.0), "sum to one"),
        (lambda: improvement.reps_step(old, old * np.inf, 1.0), "finite"),
        (lambda: improvement.iterate(mdp, old, improvement.mm_step, -1), "steps"),
    ):
        with pytest.raises(ValueError, match=message):
            step()


# The gap ledger's MDP --------------------------------------------------------------------------


def cosine(a, b):
    return (a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b)


def ledger_return(theta):
    policy = ledger.softmax_policy(theta, ledger.ledger_features())
    return exact.expected_return(ledger.ledger_mdp(), policy)


def test_policy_gradient_agrees_with_finite_differences():
    theta = np.random.default_rng(0).standard_normal((5, 3))
    gradient = ledger.policy_gradient(ledger.ledger_mdp(), theta, ledger.ledger_features())
    for index in np.ndindex(theta.shape):
        nudge = np.zeros_like(theta)
        nudge[index] = 1e-6
        slope = (ledger_return(theta + nudge) - ledger_return(theta - nudge)) / 2e-6
        assert gradient[index] == pytest.approx(slope, abs=1e-8)


def test_the_two_doors_look_alike_and_need_different_actions():
    mdp = ledger.ledger_mdp()
    policy = ledger.softmax_policy(
        np.random.default_rng(0).normal(size=(5, 3)), ledger.ledger_features()
    )
    np.testing.assert_array_equal(policy[0], policy[4])
    advantage = exact.policy_evaluation(mdp, np.full((6, 3), 1 / 3)).advantage
    assert advantage[0].argmax() == ledger.RIGHT
    assert advantage[4].argmin() == ledger.RIGHT


@pytest.mark.parametrize(("aliased", "expected"), [(True, -0.597), (False, 0.390)])
def test_dropping_the_discount_points_the_wrong_way_only_if_states_are_aliased(aliased, expected):
    mdp = ledger.ledger_mdp()
    features = ledger.ledger_features() if aliased else np.eye(6)
    theta = np.zeros((features.shape[1], 3))
    often = exact.undiscounted_distribution(mdp, ledger.softmax_policy(theta, features), 200)
    right = ledger.policy_gradient(mdp, theta, features)
    dropped = ledger.policy_gradient(mdp, theta, features, often)
    assert cosine(right, dropped) == pytest.approx(expected, abs=5e-4)
    blocks = [cosine(a, b) for a, b in zip(right, dropped, strict=True)]
    assert (min(blocks) < 0) == aliased
    if not aliased:  # every state's block is only rescaled
        np.testing.assert_allclose(blocks, 1)


@pytest.mark.parametrize(("dropped", "expected"), [(False, 3.658), (True, -3.749)])
def test_following_the_wrong_gradient_makes_the_ledger_policy_worse(dropped, expected):
    mdp, features, theta = ledger.ledger_mdp(), ledger.ledger_features(), np.zeros((5, 3))
    assert ledger_return(theta) == pytest.approx(-1.635, abs=1e-3)
    for _ in range(100):
        policy = ledger.softmax_policy(theta, features)
        states = (
            exact.undiscounted_distribution(mdp, policy, 200)
            if dropped
            else exact.state_distribution(mdp, policy)
        )
        theta = theta + ledger.policy_gradient(mdp, theta, features, states)
    assert ledger_return(theta) == pytest.approx(expected, abs=1e-3)


def test_what_the_ledger_can_earn():
    mdp = ledger.ledger_mdp()
    best = improvement.policy_iteration(mdp, np.full((6, 3), 1 / 3)).returns[-1]
    blind = max(
        exact.expected_return(mdp, np.eye(3)[np.array(actions)[ledger.LOOKS]])
        for actions in itertools.product(range(3), repeat=5)
    )
    assert (best, blind) == pytest.approx((4.162, 3.945), abs=1e-3)


def test_the_softmax_policy_refuses_parameters_that_do_not_fit():
    with pytest.raises(ValueError, match="theta must be"):
        ledger.softmax_policy(np.zeros((6, 3)), ledger.ledger_features())
    with pytest.raises(ValueError, match="states must have"):
        ledger.policy_gradient(
            ledger.ledger_mdp(), np.zeros((5, 3)), ledger.ledger_features(), [1.0]
        )
