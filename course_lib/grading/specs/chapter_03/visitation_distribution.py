"""Task 3.1: the discounted state distribution of a policy."""

import numpy as np

from ...catalogue import catalogue
from ...spec import Probe, Spec
from .worlds import chain_of, draw_distributions

SIZES = {
    "two states, three actions": (2, 3, 0.5),
    "three states, two actions": (3, 2, 0.9),
    "gamma is 0: only the first state counts": (3, 2, 0.0),
    "four states, three actions, gamma 0.97": (4, 3, 0.97),
    "the last of five states is never left": (5, 4, 0.8),
    "gamma 0.998, and states are hardly ever left": (3, 3, 0.998),
    "start, policy and transitions are certain: a cycle": (4, 2, 0.9),
}


def probes(generator):
    """Return MDPs without rewards, and policies that prefer some actions."""
    calls = []
    for title, (states, actions, gamma) in SIZES.items():
        transitions = draw_distributions(generator, states, actions, states)
        if "never left" in title:
            transitions[-1] = np.eye(states)[-1]
        initial = draw_distributions(generator, states)
        policy = draw_distributions(generator, states, actions)
        if "hardly ever" in title:
            transitions = 0.999 * np.eye(states)[:, None] + 0.001 * transitions
        if "certain" in title:
            policy, initial = np.eye(actions)[[0, 1, 1, 0]], np.eye(states)[1]
            transitions[:] = np.eye(states)[(np.arange(states)[:, None] + [1, 3]) % states]
        # Where the horizon is long, float32 loses what the system's condition costs.
        unit = 10.0 if gamma > 0.99 else 1.0
        calls.append(Probe(title, (transitions, gamma, initial, policy), unit, extreme=unit > 1))
    return calls


def oracle(transitions, gamma, initial, policy):
    """Return the definition's series: twice as many terms each time, until gamma^t vanishes."""
    step = gamma * np.stack([p @ rows for p, rows in zip(policy, transitions, strict=True)])
    answer = (1 - gamma) * initial
    while step.max() > 1e-17:
        answer, step = answer + answer @ step, step @ step
    return answer


def variant(
    transitions, gamma, initial, policy, *, scale="1 - gamma", start="initial", act="policy",
    side="left", terms="all", weight="gamma^t", discount="gamma",
):  # fmt: skip
    """Return the distribution by an inverse matrix, with options that commit mistakes."""
    states, actions = policy.shape
    if act == "uniform":
        policy = np.full(policy.shape, 1 / actions)
    if act == "sum":
        policy = np.ones(policy.shape)
    chain = chain_of(transitions, policy)
    first = {
        "initial": initial,
        "uniform": np.full(states, 1 / states),
        "state 0": np.eye(states)[0],
    }[start]
    if discount == "none":  # what the chain settles into, by 16 doublings
        return first @ np.linalg.matrix_power(chain / chain.sum(axis=1, keepdims=True), 2**16)
    if side == "right":
        chain = chain.T
    resolvent = np.linalg.inv(np.eye(states) - gamma * chain)
    visits = first @ resolvent
    if terms == "a hundred":
        visits = visits - first @ np.linalg.matrix_power(gamma * chain, 100) @ resolvent
    if terms == "without the first":
        visits = visits - first
    if weight == "gamma^(t + 1)":
        visits = gamma * visits
    if terms == "from the next state":
        visits = first @ chain @ resolvent
    if scale == "its sum":
        return visits / (visits.sum() or 1.0)  # gamma 0 may leave nothing
    power = {"1 - gamma": 1, "one": 0, "twice": 2, "divided": -1}[scale]
    return (1 - gamma) ** power * visits


MISTAKES = catalogue(
    """
    not_normalised: scale="one"
        Your numbers do not sum to 1 but to 1 / (1 - gamma): they are rho, the expected discounted
        number of visits. A distribution is asked for. Where gamma is 0 the two are the same, which
        is why that probe is right.
    normalised_twice: scale="twice"
        Your numbers sum to 1 - gamma instead of 1: the normalising factor is in them twice. How
        often does a sum of gamma to the power t need it?
    divided_by_one_minus_gamma: scale="divided"
        You divide by 1 - gamma where the sum of visits is already that large. Add up your numbers:
        a distribution gives 1.
    chain_transposed: side="right"
        Rows and columns of the chain have changed places. Row s of the chain says where s leads to;
        a distribution is carried along from where it is to where it goes. Your numbers do not sum
        to 1. Which side of the matrix does a distribution stand on?
    chain_transposed_and_rescaled: side="right", scale="its sum"
        You divide by the sum, which hides that rows and columns of the chain have changed places.
        Row s of the chain says where s leads to. Without the division your numbers would not sum to
        1: with the right matrix they do by themselves.
    starts_after_the_first_step: terms="from the next state"
        Your sum starts with the state after the first action, at full weight. The state at time 0
        counts too, and it counts most. Where gamma is 0 the answer is `initial`; yours is where the
        first action leads.
    initial_ignored: start="uniform"
        Your process starts in every state equally often. The first state is drawn from `initial`;
        where gamma is 0 the answer is `initial` itself.
    starts_in_state_0: start="state 0"
        Your process always starts in state 0. The first state is drawn from `initial`; where gamma
        is 0 the answer is `initial` itself.
    policy_ignored: act="uniform"
        You average the transitions over the actions with equal weight. The policy does not take its
        actions equally often: which weight belongs to action a in state s?
    actions_added_up: act="sum"
        You add up the transitions of all actions. The rows of your chain then sum to the number of
        actions instead of 1. What weighs the actions?
    first_state_missing: terms="without the first"
        Your sum starts at t = 1, so the state in which the process starts is not counted. Your
        numbers sum to gamma. Where gamma is 0 nothing is left of them.
    one_discount_too_many: weight="gamma^(t + 1)"
        All your numbers are too small by one factor gamma. The state at time 0 has weight 1 in the
        sum, before it is normalised.
    a_hundred_steps: terms="a hundred"
        Your sum stops after 100 steps. With gamma 0.97 almost 5 percent of the weight lies behind
        them, so your numbers do not sum to 1. The sum has no last term; what is its closed form?
    stationary_distribution: discount="none"
        You return where the chain settles in the long run. That does not depend on gamma or on
        `initial`. The discounted distribution gives early states more weight: where gamma is 0 it
        is `initial`.
    """
)

SPEC = Spec(
    name="visitation_distribution",
    exercise="03_the_surrogate_objective",
    parameters=("transitions", "gamma", "initial", "policy"),
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
    rows="state",
)
