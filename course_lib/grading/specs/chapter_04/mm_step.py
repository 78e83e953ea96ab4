"""Task 4.5: one step of minorisation-maximisation, over a list of candidates."""

import numpy as np

from ...catalogue import catalogue
from ...spec import Probe, Spec
from ..chapter_03.worlds import (
    draw_distributions,
    draw_policies,
    draw_rewards,
    values_of,
    visits_of,
)

SIZES = {  # states, actions, gamma, weights of the greedy policy
    "two states, three actions, three candidates": (2, 3, 0.2, (0.3,)),
    "three states, two actions, five candidates": (3, 2, 0.3, (0.2, 0.4, 0.6)),
    "four states, three actions, gamma 0.5": (4, 3, 0.5, (0.05, 0.1, 0.2, 0.4)),
    "the last candidate is the greedy policy, whose KL is infinite": (3, 4, 0.2, (0.1, 0.3, 1.0)),
    "gamma 0.9: a step has to be tiny": (2, 4, 0.9, (0.001, 0.01, 0.1)),
}
MARGIN = 0.002  # between the best minorant and the next, so that rounding cannot choose


def harness(function, old, candidates, advantages, visitation, expected_return, gamma):
    """Return the minorants before the policy: a wrong choice follows from wrong minorants."""
    answer = function(old, candidates, advantages, visitation, expected_return, gamma)
    if isinstance(answer, tuple | list) and len(answer) == 2:
        return answer[1], answer[0]
    return answer


def probes(generator):
    """Return old policies, candidates of which one is the old policy, and what is known of them."""
    calls = [Probe(title, draw(generator, title, *size)) for title, size in SIZES.items()]
    for size, scale in ((2, 1e6), (0, 1e-6)):
        old, candidates, advantages, visits, expected_return, gamma = calls[size].arguments
        arguments = (old, candidates[::-1].copy(), scale * advantages, visits)
        title = f"probe {size + 1} with rewards {scale:g} times as large, candidates reversed"
        calls.append(Probe(title, (*arguments, scale * expected_return, gamma), scale, True))
    old, candidates, advantages, *rest = calls[1].arguments
    twice = np.stack([old, old])  # of equal minorants any may win
    arguments = (old, twice, 0.0 * advantages, *rest)
    return [*calls, Probe("all advantages are 0, both candidates are the old policy", arguments)]


def draw(generator, title, states, actions, gamma, weights):
    """Return the arguments of one call, in which the best candidate is worth a choice."""
    while True:
        transitions = draw_distributions(generator, states, actions, states)
        rewards = draw_rewards(generator, states, actions)
        initial = draw_distributions(generator, states)
        old, other = draw_policies(generator, states, actions)
        values, action_values = values_of(transitions, rewards, gamma, old)
        advantages = action_values - values[:, None]
        if states == 4 and advantages.min() > -1.1 * advantages.max():
            continue  # the largest in size must be negative here
        greedy = np.eye(actions)[advantages.argmax(axis=1)]
        candidates = [(1 - w) * old + w * greedy for w in weights]
        candidates.insert(1, old)
        candidates.insert(0, other)
        visits = visits_of(transitions, gamma, initial, old)
        arguments = (old, np.array(candidates), advantages, visits, float(initial @ values), gamma)
        minorants, policy = oracle(*arguments)
        bold, _ = variant(*arguments, sign=0.0)
        first, second = np.sort(minorants)[:-3:-1]
        # With gamma 0.9 the guarantee is so narrow that the next candidate is the old policy.
        margin = MARGIN / 20 if gamma == 0.9 else MARGIN
        steps = first - second > margin * max(1.0, np.abs(minorants[np.isfinite(minorants)]).max())
        if steps and not np.array_equal(policy, old) and not np.array_equal(policy, bold):
            return arguments


def oracle(old, candidates, advantages, visitation, expected_return, gamma):
    """Return the best candidate and all minorants, sum by sum."""
    states, actions = old.shape
    largest = max(abs(a) for a in advantages.ravel().tolist())
    minorants = []
    for new in candidates:
        gain, farthest = 0.0, 0.0
        for s in range(states):
            distance = 0.0
            for a in range(actions):
                gain += visitation[s] * new[s, a] * advantages[s, a]
                if new[s, a] == 0.0:
                    distance = np.inf
                else:
                    distance += old[s, a] * np.log(old[s, a] / new[s, a])
            farthest = max(farthest, distance)
        price = 2 * gamma * largest / (1 - gamma) ** 2
        minorants.append(expected_return + gain - price * farthest)
    best = int(np.argmax(minorants))
    return np.array(minorants), candidates[best]


def variant(
    old, candidates, advantages, visitation, expected_return, gamma, *, sign=-1.0, constant=2,
    direction="old to new", over="max", eps="A", base="J(old)", scale="rho", actions="new",
    horizon=2, discount="gamma", measure="kl", choose="largest", output="policy",
):  # fmt: skip
    """Return the step for all candidates at once, with options that commit mistakes."""
    new = candidates
    with np.errstate(all="ignore"):
        logs = np.log(old) - np.log(new)
        kl = (old * logs).sum(axis=2) if direction == "old to new" else -(new * logs).sum(axis=2)
        kl = np.where(np.isnan(kl), np.inf, kl)
        if direction == "new to old":  # 0 log 0 is 0
            kl = -np.where(new > 0, new * logs, 0.0).sum(axis=2)
    tv = np.abs(old - new).sum(axis=2) / 2
    with np.errstate(all="ignore"):
        both = np.where(new > 0, old * logs, 0.0).sum(axis=2)
    distance = {
        "kl": kl,
        "bits": kl / np.log(2),
        "mean over actions": kl / old.shape[1],
        "zeros skipped": both,
        "tv": 2 * tv**2,
    }[measure]
    weights = visitation * (1 - gamma)
    far = {
        "max": distance.max(axis=1),
        "min": distance.min(axis=1),
        "mean": distance.mean(axis=1),
        "d_old": (weights * distance).sum(axis=1),
        "sum": distance.sum(axis=1),
    }[over]
    taken = {"new": new, "old": np.broadcast_to(old, new.shape), "all": np.ones(new.shape)}
    taken = (taken | {"both": old * new})[actions]
    gains = (taken * advantages).sum(axis=2)
    largest = {
        "A": np.abs(advantages).max(),
        "signed": advantages.max(),
        "new": np.abs(gains).max(axis=1),
    }[eps]
    states = {
        "rho": visitation,
        "d": weights,
        "divided": visitation / (1 - gamma),
        "none": np.ones(len(visitation)),
    }[scale]
    start = expected_return if base == "J(old)" else 0.0
    price = constant * largest * (gamma if discount == "gamma" else 1.0) / (1 - gamma) ** horizon
    minorants = start + gains @ states + (sign * price * far if sign else 0.0)
    order = {"largest": minorants, "smallest": -minorants, "surrogate": gains @ states}[choose]
    best = int(order.argmax())
    return (np.asarray(best) if output == "number" else candidates[best]), minorants


MISTAKES = catalogue(
    """
    no_penalty: sign=0.0
        You choose by the surrogate alone. It may lie above J, so its maximum promises nothing, and
        it always goes as far as it can. What keeps the step close to the old policy?
    penalty_added: sign=1.0
        Your penalty has the wrong sign: it rewards candidates that are far away. A minorant lies
        below J. At the old policy itself yours is right, since its KL is 0.
    kl_negative: sign=1.0, over="min"
        Your KL is negative. Its largest value over the states is then the smallest KL, and the
        penalty has become a reward for candidates that are far away. If you call `categorical_kl`,
        repair that one first.
    kl_in_bits: measure="bits"
        Your penalties are too large by 1 / ln 2, about 1.44: the KL is in bits. The constant in
        front belongs to nats. If you call `categorical_kl`, repair that one first.
    kl_averaged_over_actions: measure="mean over actions"
        Your penalties are too small by the number of actions: the KL is averaged over them, where
        its terms add up. If you call `categorical_kl`, repair that one first.
    zeros_skipped: measure="zeros skipped"
        In the fourth probe the last candidate rules out actions of the old policy, and your KL
        skips them. It is infinite there, so this candidate may never be chosen. If you call
        `categorical_kl`, repair that one first.
    penalty_halved: constant=1
        Your penalties are half as large as they should be, so your minorants promise too much. In
        kind max_kl the factor 2 of eps_A and the half of Pinsker's inequality cancel, and the
        theorem's own 2 is left. If you call `improvement_bound`, look there first.
    number_for_the_policy: output="number"
        Your minorants are right, but you return the number of the best candidate. Its policy is
        asked for, an array of shape (S, A).
    chosen_by_the_surrogate: choose="surrogate"
        Your minorants are right, but you choose the candidate with the largest surrogate. The
        guarantee belongs to the largest minorant.
    smallest_minorant: choose="smallest"
        Your minorants are right, but you choose the smallest. J of the new policy is at least its
        minorant, so a large one is wanted.
    paper_constant: constant=4
        Your penalty is twice as large as it has to be. That is the constant of the TRPO paper, from
        TV^2 <= KL. Pinsker's inequality gives half of it, as in kind max_kl of `improvement_bound`.
        If you call that one, look there first.
    kl_reversed: direction="new to old"
        You measure KL(new || old). The guarantee is stated for KL(old || new). The candidate that
        rules out actions of the old policy shows it: its minorant should be minus infinity. If you
        call `categorical_kl`, look there first.
    mean_kl: over="mean"
        You take the mean of the KL over the states with equal weight. The guarantee needs the
        largest KL of all states: the new policy may go where the old one seldom was.
    mean_kl_of_visited_states: over="d_old"
        You take the mean of the KL over the states that the old policy visits. That is TRPO's
        practice. The guarantee with this constant needs the largest KL of all states.
    kl_added_up: over="sum"
        You add up the KL over the states. The guarantee asks for less: only the largest one counts.
        Your penalty grows with the number of states.
    largest_advantage_without_size: eps="signed"
        Your eps_A is the largest advantage. It has to be the largest in size: an action that is
        strongly negative counts too. Where no negative one is larger in size you are right.
    eps_of_the_new_policy: eps="new"
        You use eps_new, which depends on the candidate. It belongs to the bound with the total
        variation to the first power. With the max KL goes eps_A, one number for all candidates.
    old_return_missing: base="nothing"
        Your choice is right, but all minorants lack J(old). That constant does not change the
        maximum. Without it they cannot be compared with J: at the old policy the two must agree.
    visitation_normalised: scale="d"
        Your gains are too small by the factor 1 - gamma: you weigh the states with d. The argument
        is rho already, unnormalised, as the surrogate needs it.
    visitation_divided: scale="divided"
        Your gains are too large by the factor 1 / (1 - gamma). The argument is rho, which sums to
        that number already.
    visitation_ignored: scale="none"
        You add up the gains of the states with equal weight. The surrogate weighs each state by how
        often the old policy visits it.
    old_actions: actions="old"
        Your gains are 0 for every candidate: the old policy's own actions have advantage 0 on
        average. Whose actions does the surrogate judge?
    actions_weighted_twice: actions="both"
        You weigh the advantages by the probabilities of both policies. An average over the
        candidate's actions needs its own probabilities alone; the old policy is inside the
        advantages and the visitation already.
    actions_not_weighted: actions="all"
        You add up the advantages with equal weight, so every candidate gets the same gain. The
        surrogate averages them over the candidate's actions.
    total_variation_for_kl: measure="tv"
        You measure the candidates by their total variation. With the right constant that is a
        minorant too, and a higher one. Here the KL is asked for, as in kind max_kl of
        `improvement_bound`.
    horizon_once: horizon=1
        Your penalty lacks one factor 1 / (1 - gamma). Compare with kind max_kl of
        `improvement_bound`. If you call that one, look there first.
    gamma_missing: discount="none"
        Your penalty lacks the factor gamma. Were gamma 0, later states would not count and the
        surrogate would be exact. Compare with kind max_kl of `improvement_bound`.
    """
)

SPEC = Spec(
    name="mm_step",
    exercise="04_monotonic_improvement",
    parameters=("old", "candidates", "advantages", "visitation", "expected_return", "gamma"),
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
    harness=harness,
    parts=("list of minorants", "policy"),
    rows="entry",
)
