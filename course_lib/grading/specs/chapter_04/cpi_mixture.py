"""Task 4.4: the mixture policy of conservative policy iteration."""

import numpy as np

from ...catalogue import catalogue
from ...spec import Probe, Spec
from ..chapter_03.worlds import draw_distributions

SIZES = {
    "one state, three actions, omega 0.2": (1, 3, 0.2),
    "three states, two actions, omega 0.4": (3, 2, 0.4),
    "two states, five actions, omega 0.1": (2, 5, 0.1),
    "four states, three actions, omega 0.7": (4, 3, 0.7),
    "in state 1, actions 1 and 2 are equally good": (3, 4, 0.3),
    "omega is 1: nothing is left of the old policy": (2, 3, 1.0),
    "omega is 0: nothing changes": (2, 3, 0.0),
    "in state 0, action 1 is better than action 2 by 1e-9": (2, 4, 0.3),
    "all advantages are negative or 0": (2, 3, 0.35),
    "advantages around a million": (2, 3, 0.6),
    "advantages around 1e-12, omega 1e-3": (2, 3, 1e-3),
    "all advantages are 0": (2, 2, 0.25),
}


def probes(generator):
    """Return policies and advantages; with four states, the best action is no other maximum."""
    calls = []
    for title, (states, actions, omega) in SIZES.items():
        while True:
            old, advantages = draw(generator, states, actions, "equally good" in title)
            others = (-advantages, np.abs(advantages), old, old * advantages)
            best = advantages.argmax(axis=1)
            columns = advantages.max(axis=0).argmax(), advantages.sum(axis=0).argmax()
            told_apart = all((other.argmax(axis=1) != best).any() for other in others)
            if states < 4 or (told_apart and columns[0] != columns[1]):
                break
        scale = 1e6 if "million" in title else 1e-12 if "1e-12" in title else 1.0
        if "1e-9" in title:
            advantages[0] = [-0.5, 0.5 + 1e-9, 0.5, 0.1]
        if "negative" in title:
            advantages = advantages - advantages.max()
        if title.startswith("all advantages are 0"):
            scale = 0.0
        calls.append(Probe(title, (old, scale * advantages, omega)))
    return calls


def draw(generator, states, actions, tie):
    """Return a policy and its advantages: one decimal, and a mean of about 0 under the policy."""
    old = draw_distributions(generator, states, actions)
    raw = generator.permutation(np.arange(-25, 25))[: states * actions].reshape(old.shape) / 10
    if tie:
        low, middle, high = np.sort(raw[1])[:3]
        raw[1], old[1] = [middle, high, high, low], [0.2, 0.1, 0.4, 0.3]
    return old, np.round(raw - np.round((old * raw).sum(axis=1, keepdims=True), 1), 1)


def oracle(old, advantages, omega):
    """Return the mixture, entry by entry."""
    answer = old.copy()
    for s, row in enumerate(advantages.tolist()):
        best = row.index(max(row))
        for a in range(len(row)):
            answer[s, a] = omega * float(a == best) + (1 - omega) * old[s, a]
    return answer


def variant(
    old, advantages, omega, *, weights="right", target="greedy", ties="first", renormalise=False
):
    """Return the old policy moved towards the greedy one, with options that commit mistakes."""
    actions = old.shape[1]
    sizes = {
        "greedy": advantages,
        "worst": -advantages,
        "favourite": old,
        "largest": np.abs(advantages),
        "product": old * advantages,
    }.get(target, advantages)
    best = sizes == sizes.max(axis=1, keepdims=True)
    first = np.cumsum(best, axis=1) == 1
    last = np.cumsum(best[:, ::-1], axis=1)[:, ::-1] == 1
    greedy = {
        "first": best & first,
        "last": best & last,
        "shared": best / best.sum(axis=1, keepdims=True),
        "all": best,
    }[ties].astype(float)
    if target == "one action":
        greedy = np.zeros(old.shape)
        greedy[:, advantages.argmax() % actions] = 1.0
    if target == "one action by its sum":
        greedy = np.zeros(old.shape)
        greedy[:, advantages.sum(axis=0).argmax()] = 1.0
    if target == "softmax":
        powers = np.exp(advantages - advantages.max(axis=1, keepdims=True))
        greedy = powers / powers.sum(axis=1, keepdims=True)
    if target == "uniform":
        greedy = np.full(old.shape, 1 / actions)
    if target == "improving":
        better = (advantages > 0) * old
        greedy = better / np.maximum(better.sum(axis=1, keepdims=True), 1e-300)
    if target == "advantages":
        greedy = advantages
    kept, added = {
        "right": (1 - omega, omega),
        "swapped": (omega, 1 - omega),
        "added": (1.0, omega),
        "greedy": (0.0, 1.0),
    }.get(weights, (1 - omega, omega))
    answer = kept * old + added * greedy
    if weights == "set":
        answer = np.where(greedy > 0, omega, (1 - omega) * old)
    if weights == "taken evenly":
        answer = old + omega * (greedy - (1 - greedy) / (actions - 1))
    return answer / answer.sum(axis=1, keepdims=True) if renormalise else answer


MISTAKES = catalogue(
    """
    weights_swapped: weights="swapped"
        The two weights have changed places: with omega 0 you return the greedy policy. omega is how
        far the step goes, so a small omega leaves most of the old policy.
    old_policy_not_reduced: weights="added"
        Your rows sum to 1 + omega. What the greedy action gains must be taken from somewhere: what
        happens to the old probabilities?
    added_and_renormalised: weights="added", renormalise=True
        You add omega to the best action and divide by the sum. Your rows sum to 1, but the greedy
        policy has weight omega / (1 + omega) in them. With omega 1 nothing of the old policy should
        be left.
    old_share_of_the_best_lost: weights="set"
        The best action has probability omega exactly, so your rows sum to less than 1. The old
        policy took that action now and then as well, and goes on doing so.
    taken_evenly: weights="taken evenly"
        What the best action gains you take from the others in equal parts, so a rare action can get
        a negative probability. In a mixture the old policy shrinks as a whole: its actions keep
        their proportions.
    greedy_policy: weights="greedy"
        omega has no effect: you return the greedy policy itself, as policy iteration does. The
        conservative step goes only part of the way.
    worst_action: target="worst"
        Your mixture moves towards the action with the smallest advantage. Look at which entry of a
        row grows, and at its advantage.
    largest_magnitude: target="largest"
        Your mixture moves towards the action whose advantage is largest in size, whatever its sign.
        A strongly negative one is to be avoided.
    favourite_action: target="favourite"
        Your mixture moves towards the action that the old policy takes most often. Greedy means
        greedy in the advantages: how often an action was taken does not say how good it is.
    advantages_weighted_by_old: target="product"
        You compare advantage times probability. A rarely taken action can be the best one; the
        greedy policy looks at the advantage alone.
    one_action_for_all_states: target="one action"
        You look for one maximum in the whole array, so the same action grows in every row. Each
        state has a best action of its own. The probe with one state is right.
    one_action_by_its_sum: target="one action by its sum"
        You add up the advantages over the states, so the same action grows in every row. Each state
        has a best action of its own: a maximum is taken in every row. The probe with one state is
        right.
    softmax_target: target="softmax"
        You mix with a softmax of the advantages. The policy mixed in takes the best action with
        probability 1: with omega 1 every row must hold one 1 and zeros.
    uniform_target: target="uniform"
        You mix with the uniform policy. That would be a way to explore, and the advantages
        have no effect on it. This step is meant to improve.
    improving_actions: target="improving"
        You mix in all actions with a positive advantage. The policy mixed in takes the best one
        alone: with omega 1 every row must hold one 1 and zeros.
    ties_shared: ties="shared"
        Where two actions are equally good you share omega between them. As good a policy, but not
        the one that is asked for: the first of them gets all.
    ties_counted_twice: ties="all"
        Where two actions are equally good each of them gets omega, so that row sums to more than 1.
        Only the first of them is asked for.
    last_of_ties: ties="last"
        Where two actions are equally good the last of them gets omega. The first one is asked for;
        all other rows are right.
    """
)

SPEC = Spec(
    name="cpi_mixture",
    exercise="04_monotonic_improvement",
    parameters=("old", "advantages", "omega"),
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
    rows="state",
)
