"""Task 3.2: the performance-difference lemma as a number."""

import numpy as np

from ...catalogue import catalogue
from ...spec import Probe, Spec
from .worlds import (
    chain_of,
    draw_distributions,
    draw_policies,
    draw_rewards,
    values_of,
    visits_of,
)

SIZES = {  # states, actions, gamma, scale of the rewards
    "two states, three actions": (2, 3, 0.5, 1.0),
    "three states, two actions": (3, 2, 0.9, 1.0),
    "gamma is 0: only the first step counts": (3, 4, 0.0, 1.0),
    "four states, three actions": (4, 3, 0.7, 1.0),
    "five states, two actions": (5, 2, 0.8, 1.0),
    "gamma 0.998": (3, 2, 0.998, 1.0),
    "rewards around a million": (2, 2, 0.6, 1e6),
    "rewards around 1e-9": (3, 2, 0.4, 1e-9),
    "both policies are the same": (3, 3, 0.9, 1.0),
}


def probes(generator):
    """Return MDPs and two policies, of which now one and now the other is better."""
    calls = []
    for title, (states, actions, gamma, scale) in SIZES.items():
        transitions = draw_distributions(generator, states, actions, states)
        initial = draw_distributions(generator, states)
        while True:
            rewards = draw_rewards(generator, states, actions)
            old, new = draw_policies(generator, states, actions)
            new = old.copy() if "the same" in title else new
            arguments = (transitions, scale * rewards, gamma, initial, old, new)
            # The states must matter: the surrogate's gain is another number.
            gap = oracle(*arguments) - variant(*arguments, states="old")
            if abs(gap) > 0.02 * scale or gamma == 0 or "the same" in title:
                break
        unit = 100.0 if gamma > 0.99 else scale
        calls.append(Probe(title, arguments, unit, extreme=unit != 1.0))
    return calls


def oracle(transitions, rewards, gamma, initial, old, new):
    """Return the other side of the lemma: J(new) - J(old), from two Bellman equations."""
    earned = []
    for policy in (old, new):
        system = np.eye(len(initial)) - gamma * chain_of(transitions, policy)
        earned.append(initial @ np.linalg.solve(system, (policy * rewards).sum(axis=1)))
    return earned[1] - earned[0]


def variant(
    transitions, rewards, gamma, initial, old, new, *, states="new", actions="new", sign=1.0,
    judge="advantage", factor="1 / (1 - gamma)", constant="none",
):  # fmt: skip
    """Return the lemma's sum, with options that commit mistakes."""
    values, action_values = values_of(transitions, rewards, gamma, old)
    advantages = {
        "advantage": action_values - values[:, None],
        "action value": action_values,
    }[judge]
    gains = {
        "new": (new * advantages).sum(axis=1),
        "old": (old * advantages).sum(axis=1),
        "all": advantages.sum(axis=1),
        "mean": (new * advantages).mean(axis=1),
        "best": advantages.max(axis=1),
    }[actions]
    # What a visitation with rows and columns of the chain exchanged would be.
    system = np.eye(len(initial)) - gamma * chain_of(transitions, new)
    transposed = np.linalg.solve(system, initial)
    visits = {
        "new": visits_of(transitions, gamma, initial, new),
        "old": visits_of(transitions, gamma, initial, old),
        "first": initial / (1 - gamma),
        "all": np.full(len(initial), 1 / len(initial) / (1 - gamma)),
        "without the first": visits_of(transitions, gamma, initial, new) - initial,
        "from the next": visits_of(transitions, gamma, initial, new) @ chain_of(transitions, new),
        "transposed": transposed,
        "transposed, rescaled": transposed / transposed.sum() / (1 - gamma),
    }[states]
    scale = {"1 / (1 - gamma)": 1.0, "one": 1 - gamma, "twice": 1 / (1 - gamma)}[factor]
    answer = sign * scale * visits @ gains
    return answer + initial @ values if constant == "J(old)" else answer


MISTAKES = catalogue(
    """
    states_of_the_old_policy: states="old"
        You weigh the states as the old policy visits them. That sum is the gain of the surrogate:
        it agrees with the lemma to first order only. Where gamma is 0 both visit the same states,
        and there you are right. Whose states does the lemma sum over?
    one_policy_only: actions="old"
        Your answer is 0 in every probe. A policy's own actions have advantage 0 on average, in
        every state. Advantages and actions must belong to two different policies: which is which?
    sign: sign=-1.0
        Your answer has the wrong sign: it is J(old) - J(new). In the lemma the old policy judges by
        its advantages, and the new one acts. Are two of your arguments swapped?
    factor_missing: factor="one"
        Your answer is too small by the factor 1 - gamma: it is an average over visited states, a
        gain per step. The return adds up all steps. Where gamma is 0 you are right.
    factor_twice: factor="twice"
        Your answer is too large by the factor 1 / (1 - gamma). The unnormalised visitation has that
        factor inside already; the distribution has not. Which one do you use? If you call
        `visitation_distribution`, see first whether its numbers sum to 1.
    action_values_for_advantages: judge="action value"
        You weigh Q, not the advantage. Q without V counts everything that follows, again at every
        step on the way. Let both policies be the same: the difference must then be 0.
    actions_not_weighted: actions="all"
        You add up the advantages of all actions of a state with equal weight. The new policy does
        not take them equally often: an average over its actions is asked for.
    mean_over_actions: actions="mean"
        Your answer is too small by the number of actions: you take a mean where the probabilities
        of the actions have done the averaging already. What do the weights of one state sum to?
    best_actions: actions="best"
        You take the largest advantage of every state. That is the gain of the greedy policy's
        actions. The new policy does what its probabilities say.
    chain_transposed: states="transposed"
    chain_transposed_and_rescaled: states="transposed, rescaled"
        Your visits come from a chain whose rows and columns have changed places. Row s says where s
        leads to, so the distribution of the states stands on its left. If you call
        `visitation_distribution`, repair that one first.
    first_state_missing: states="without the first"
        The first state is missing from your visits. At time 0 the new policy acts in a state drawn
        from `initial`, and that gain counts fully. Where gamma is 0 your answer is 0. If you call
        `visitation_distribution`, repair that one first.
    starts_after_the_first_step: states="from the next"
        The first state is missing from your visits. At time 0 the new policy acts in a state drawn
        from `initial`, and that gain counts fully. Yours begins with the states after the first
        action, undiscounted. If you call `visitation_distribution`, repair that one first.
    states_equally_often: states="all"
        You average over the states with equal weight. Some are visited more often than others, and
        early visits count more. What says how often?
    first_states_only: states="first"
        You weigh the states by `initial` alone. That is how often they are visited at time 0; later
        the new policy is elsewhere. Where gamma is 0 you are right.
    return_for_difference: constant="J(old)"
        Your number is J(new). The lemma is about the difference: either J(old) is added, or the
        rewards stand where the old policy's advantages belong. Let both policies be the same: the
        answer must then be 0.
    """
)

SPEC = Spec(
    name="performance_difference",
    exercise="03_the_surrogate_objective",
    parameters=("transitions", "rewards", "gamma", "initial", "old", "new"),
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
)
