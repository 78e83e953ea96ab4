"""Task 10.1: the clipped surrogate as a loss."""

import numpy as np

from ...catalogue import catalogue
from ...sandbox.tools import gradient, tensor
from ...spec import Probe, Spec

BELOW, INSIDE, ABOVE = "below", "inside", "above"
CASES = {
    "both ratios lie inside the clip range": (0.3, [(INSIDE, 1), (INSIDE, -1)]),
    "positive advantages; ratios below, inside and above the range": (
        0.2,
        [(BELOW, 1), (INSIDE, 1), (ABOVE, 1)],
    ),
    "negative advantages; ratios below, inside and above the range": (
        0.2,
        [(BELOW, -1), (INSIDE, -1), (ABOVE, -1)],
    ),
    "the policy is still the old one": (0.2, [(None, 1), (None, -1), (None, 1), (None, -1)]),
    "ratios beyond the range on their good side": (0.2, [(ABOVE, 1), (BELOW, -1), (INSIDE, -1)]),
    "ratios beyond the range on their bad side": (0.3, [(BELOW, 1), (ABOVE, -1), (INSIDE, 1)]),
    "every kind of step, a narrow range": (
        0.1,
        [(side, sign) for side in (ABOVE, INSIDE, BELOW) for sign in (-1, 1)],
    ),
    "seven steps, a wide range": (
        0.5,
        [(ABOVE, 1), (BELOW, -1), (ABOVE, -1), (BELOW, 1), (INSIDE, 1), (ABOVE, -1), (INSIDE, -1)],
    ),
}


def harness(function, log_probs, old_log_probs, advantages, clip_range):
    """Return the loss and its gradients; a critic's gradient could flow through the advantages."""
    log_probs, advantages = tensor(log_probs, True), tensor(advantages, True)
    loss = function(log_probs, tensor(old_log_probs), advantages, clip_range)
    if loss is None:
        return None
    leak = gradient(loss, advantages)
    return loss, gradient(loss, log_probs), np.zeros(len(advantages)) if leak is None else leak


def probes(generator):
    """Return ratios on both sides of the range, for both signs of the advantage."""
    calls = []
    for title, (clip_range, kinds) in CASES.items():
        size = len(kinds)
        # Far from the edges of the range, where the gradient jumps.
        ratios = {
            BELOW: (1 - clip_range) * generator.uniform(0.5, 0.9, size),
            INSIDE: 1 + clip_range * generator.choice([-1, 1], size) * generator.uniform(0.3, 0.7),
            ABOVE: (1 + clip_range) * generator.uniform(1.1, 2.0, size),
            None: np.ones(size),
        }
        old = -generator.integers(3, 25, size) / 10
        log_ratios = [np.round(np.log(ratios[side][i]), 3) for i, (side, _) in enumerate(kinds)]
        signs = np.array([sign for _, sign in kinds])
        advantages = signs * generator.permutation(np.arange(5, 40))[:size] / 10
        # The first weighs most: neither the mean of the advantages nor that of the terms is 0.
        advantages[0] += 4.0 * signs[0]
        calls.append(Probe(title, (old + log_ratios, old, advantages, clip_range)))
    # Eighths are exact in float32 even at -900.
    old = -900 - generator.integers(2, 24, 4) / 8
    log_ratios = np.array([3, -1, -5, 1]) / 8 + generator.integers(0, 3, 4) * [1, 0, 1, 0] / 8
    advantages = np.array([1, -1, -1, 1]) * generator.permutation(np.arange(5, 40))[:4] / 10
    calls.append(Probe("log-probabilities around -900", (old + log_ratios, old, advantages, 0.2)))
    far = np.array([25.0, -25.0, 4.0, -4.0])  # on the bad side of the range, all of one weight
    advantages = -np.sign(far) * np.exp(-far) * generator.integers(8, 20, 4) / 10
    old = -generator.integers(30, 50, 4) / 8
    calls.append(Probe("ratios of e^25, e^-25, e^4 and e^-4", (old + far, old, advantages, 0.2)))
    log_ratios, old = np.log([0.05, 0.3, 1.7, 2.2, 2.4, 0.06]), np.full(6, -2.0)
    advantages = np.array([-1, -1, 1, 1, -1, 1]) * generator.integers(5, 40, 6) * 1e5
    title = "a range of 0.9, huge advantages"
    calls.append(Probe(title, (old + log_ratios, old, advantages, 0.9)))
    return calls


def oracle(log_probs, old_log_probs, advantages, clip_range):
    """Return loss and gradients by cases: a step beyond the range on its good side is constant."""
    size = len(log_probs)
    loss, slope = 0.0, np.zeros(size)
    for i in range(size):
        ratio, advantage = np.exp(log_probs[i] - old_log_probs[i]), advantages[i]
        if advantage > 0 and ratio > 1 + clip_range:
            loss -= (1 + clip_range) * advantage / size
        elif advantage < 0 and ratio < 1 - clip_range:
            loss -= (1 - clip_range) * advantage / size
        else:
            loss -= ratio * advantage / size
            slope[i] = -ratio * advantage / size
    return loss, slope, np.zeros(size)


def variant(
    log_probs, old_log_probs, advantages, clip_range, *, sign=-1.0, average="mean", choose="smaller",
    compare="new over old", clip="both sides", weigh="data", cut="nothing",
):  # fmt: skip
    """Return the loss by autograd, with options that commit mistakes."""
    import torch

    log_ratio = log_probs - (log_probs.detach() if compare == "new over new" else old_log_probs)
    ratio = {
        "new over old": log_ratio.exp(),
        "new over new": log_ratio.exp(),
        "old over new": (-log_ratio).exp(),
        "difference": log_ratio,
        "quotient of logs": log_probs / old_log_probs,
        "probabilities": log_probs.exp() / old_log_probs.exp(),
    }[compare]
    if cut == "ratio":
        ratio = ratio.detach()
    factors = advantages if weigh == "graph" else advantages.detach()
    if weigh.startswith("normalised"):
        ddof = 0 if "number of steps" in weigh else 1
        factors = (factors - factors.mean()) / (factors.std(correction=ddof) + 1e-8)
    low, high = 1 - clip_range, 1 + clip_range
    clipped = {
        "both sides": ratio.clamp(low, high) * factors,
        "above only": ratio.clamp(max=high) * factors,
        "below only": ratio.clamp(min=low) * factors,
        "around 0": ratio.clamp(-clip_range, clip_range) * factors,
        "logarithm": log_ratio.clamp(-clip_range, clip_range).exp() * factors,
        "product": (ratio * factors).clamp(low, high),
        "reciprocal": ratio.clamp(1 / high, high) * factors,
    }[clip]
    free = ratio * factors
    if cut == "clipped term":
        clipped = clipped.detach()
    if cut == "unclipped term":
        free = free.detach()
    if average == "before choosing":
        free, clipped = free.mean(), clipped.mean()
    terms = {
        "smaller": torch.minimum(free, clipped),
        "larger": torch.maximum(free, clipped),
        "clipped": clipped,
        "free": free,
        "both": free + clipped,
        "smaller ratio": torch.minimum(ratio, ratio.clamp(low, high)) * factors,
    }[choose]
    return sign * (terms.sum() if average == "sum" else terms.mean())


MISTAKES = catalogue(
    """
    sign: sign=1.0
        Your loss has the wrong sign. The objective is to be maximised and an optimiser makes its
        loss smaller. In the first probe, the gradient must push the log-probability of the step
        with the positive advantage up.
    larger_of_the_two: choose="larger"
        Of the clipped and the unclipped term you take the larger one. The objective is meant to be
        pessimistic: a lower bound of the unclipped one. If you work with negative terms, ask which
        of two losses is the pessimistic one.
    no_minimum: choose="clipped"
        You use the clipped term alone. A step that went the wrong way, good and rarer or bad and
        likelier, then has no gradient, and the policy cannot correct it. Compare the gradient of the
        second and the third probe with the sign of the advantage.
    not_clipped: choose="free"
        Nothing is clipped: your loss is the unclipped surrogate. It is right only where all ratios
        lie inside the range. What should a good action earn beyond 1 + epsilon?
    both_added: choose="both"
        You add the clipped and the unclipped term. With the old policy, your loss is twice as large
        as it should be. Of the two terms, only one counts for each step.
    product_clipped: clip="product"
        You clip ratio times advantage. The range around 1 belongs to the ratio: advantages have
        another scale, and most of yours end up at an edge of the range whatever the policy does.
    log_ratio_clipped: clip="logarithm"
        You clip the logarithm of the ratio and take the exponential afterwards. The edges are then
        exp(-epsilon) and exp(epsilon). Near, but not where the formula puts them: the wide range
        shows it best.
    reciprocal_edge: clip="reciprocal"
        Your lower edge is 1 / (1 + epsilon). The range is symmetric in the ratio itself, not in its
        logarithm. Look at negative advantages with ratios below the range.
    clipped_around_0: clip="around 0"
        You clip the ratio to the range between -epsilon and epsilon. A ratio is 1 where nothing has
        changed: with the old policy, nothing should be clipped.
    no_lower_edge: clip="above only"
        Ratios below the range are not clipped. For positive advantages the minimum hides that; for
        negative ones it does not. Look at the first row of the third probe.
    no_upper_edge: clip="below only"
        Ratios above the range are not clipped. For negative advantages the minimum hides that; for
        positive ones it does not. Look at the last row of the second probe.
    ratio_inverted: compare="old over new"
        Your ratio is old over new. The sign of your gradient is wrong although the loss of an
        unchanged policy is right. Which policy should an importance weight have above the line?
    logs_not_exponentiated: compare="difference"
        You use the difference of the log-probabilities as the ratio. For an unchanged policy that
        is 0, and a ratio is 1 there. What turns a difference of logarithms into a quotient?
    quotient_of_logs: compare="quotient of logs"
        You divide one log-probability by the other. The ratio is one of probabilities, and the
        logarithm of a quotient is not the quotient of the logarithms.
    old_log_probs_ignored: compare="new over new"
        The old log-probabilities have no effect: your ratio is always 1, as if every step were the
        first one. Nothing is ever clipped. Which of the arguments remembers the policy that took
        the actions?
    sum_for_mean: average="sum"
        Your loss is too large by the number of steps: it is a sum. The size of the gradient would
        depend on the size of the minibatch.
    mean_before_minimum: average="before choosing"
        You average first and take the smaller of the two means. The choice between clipped and
        unclipped is made for every step by itself. One step beyond the range must not decide for
        the others.
    gradient_through_the_advantages: weigh="graph"
        The loss is right, but a gradient also flows into the advantages. They are data here: where
        they come from a critic, the policy loss would train the critic.
    normalised_inside: weigh="normalised"
        You normalise the advantages inside the loss. That is a step of its own, done once per
        rollout. Here it changes the size of the loss, and the sign of some advantages: see the
        probe where all of them are positive.
    normalised_inside_by_the_number_of_steps: weigh="normalised, by the number of steps"
        You normalise the advantages inside the loss, with a deviation that divides by the number of
        steps. That is a step of its own, done once per rollout. The contract takes the advantages
        as they are.
    ratio_detached: cut="ratio"
        The loss is the right number, but it has no gradient: the ratio is cut off from the policy.
        Only the old log-probabilities are constants.
    smaller_ratio_times_advantage: choose="smaller ratio"
        You take the smaller of the two ratios and multiply by A afterwards. For a negative A the
        smaller ratio gives the larger product. The comparison is one of products. See the third
        probe.
    clipped_term_detached: cut="clipped term"
        The loss is right, but inside the range your gradient is half of what it should be. There
        both terms are equal and share the gradient, and your clipped term is cut off from the
        policy. Which of your lines leaves the graph?
    unclipped_term_detached: cut="unclipped term"
        The loss is right, but your unclipped term is cut off from the policy. Inside the range the
        gradient is half of what it should be, and steps beyond the range on their bad side have
        none. Which of your lines leaves the graph?
    probabilities_underflow: compare="probabilities"
        You turn both log-probabilities into probabilities and divide then. Around -900 both are 0
        for a computer, and 0 / 0 is no number. What must be done to the logarithms, before any
        exponential is taken?
    """
)

SPEC = Spec(
    name="ppo_clip_loss",
    exercise="10_ppo_objectives",
    parameters=("log_probs", "old_log_probs", "advantages", "clip_range"),
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
    harness=harness,
    parts=(
        "loss",
        "gradient with respect to `log_probs`",
        "gradient with respect to `advantages`",
    ),
    rows="step",
)
