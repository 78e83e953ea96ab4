"""Task 3.3: the surrogate objective, estimated from a batch."""

import numpy as np

from ...catalogue import catalogue
from ...sandbox.tools import gradient, tensor, without_leak
from ...spec import Probe, Spec
from ..draws import signed

SIZES = {  # steps, offset of the log-probabilities, scale of the advantages
    "three steps": (3, 0.0, 1.0),
    "one step": (1, 0.0, 1.0),
    "seven steps": (7, 0.0, 1.0),
    "five steps, the two policies are still the same": (5, 0.0, 1.0),
    "four steps, log-densities around +8": (4, 8.0, 1.0),
    "four steps, log-probabilities around -900": (4, -900.0, 1.0),
    "ratios from e^-4 to e^4": (33, 0.0, 1.0),
    "ratios from e^6 to e^14": (5, 0.0, 1.0),
    "ratios from e^-14 to e^-6": (5, -20.0, 1.0),
    "advantages around a million": (4, 0.0, 1e6),
    "advantages around 1e-9": (4, 0.0, 1e-9),
}
REACH = {"e^4": (-4, 4), "e^14": (6, 14), "e^-6": (-14, -6)}  # of the change, by end of title


def harness(function, log_probs, old_log_probs, advantages):
    """Return the surrogate and its gradients; two of the three should be nothing."""
    tensors = [tensor(x, True) for x in (log_probs, old_log_probs, advantages)]
    objective = function(*tensors)
    slope, *leaks = [gradient(objective, x) for x in tensors]
    return objective, slope, *(without_leak(leak, log_probs) for leak in leaks)


def probes(generator):
    """Return ratios on both sides of 1 and advantages of both signs, whose mean is not 0."""
    calls = []
    for title, (size, offset, scale) in SIZES.items():
        # Eighths are exact in float32 even at -900.
        old = offset - generator.integers(2, 24, size=size) / 8
        change = signed(generator, 2, 8, size, unit=8)
        if size > 1:
            change[:2] = np.abs(change[:2]) * [1, -1]
        if "the same" in title:
            change = np.zeros(size)
        ends = REACH.get(title.split()[-1])
        if ends:
            change = np.linspace(*ends, size)
        advantages = signed(generator, 5, 40, size)
        advantages[0] = abs(advantages[0]) + 4.0
        unit = 1e-3 if ends and ends[1] < 0 else scale
        calls.append(
            Probe(
                title,
                (old + change, old, scale * advantages),
                unit,
                extreme=bool(ends) or scale != 1.0,
            )
        )
    return calls


def oracle(log_probs, old_log_probs, advantages):
    """Return the mean and the gradient that it has on paper: ratio times advantage over B."""
    size = len(advantages)
    triples = zip(log_probs, old_log_probs, advantages, strict=True)
    terms = np.array([np.exp(new - old) * advantage for new, old, advantage in triples])
    return sum(terms) / size, terms / size, np.zeros(size), np.zeros(size)


def variant(
    log_probs, old_log_probs, advantages, *, sign=1.0, average="mean", weigh="data", old="data",
    ratio="right", scaled="not", cut=False, clip=False,
):  # fmt: skip
    """Return the surrogate by autograd, with options that commit mistakes."""
    weights = advantages if weigh == "graph" else advantages.detach()
    past = old_log_probs if old == "graph" else old_log_probs.detach()
    now = log_probs.detach() if cut else log_probs
    if scaled != "not":
        # torch divides by B - 1 unless it is told otherwise.
        degrees = len(weights) - (scaled == "normalised")
        centred = weights - weights.mean()
        weights = centred / ((centred.square().sum() / degrees).sqrt() + 1e-8)
    factors = {
        "right": lambda: (now - past).exp(),
        "inverted": lambda: (past - now).exp(),
        "logarithm": lambda: now - past,
        "of logarithms": lambda: now / past,
        "probabilities": lambda: now.exp() / past.exp(),
        "new probability": lambda: now.exp(),
        "new logarithm": lambda: now,
        "minus one": lambda: (now - past).exp() - 1,
    }[ratio]()
    if clip:
        factors = factors.clamp(0.8, 1.2)
    terms = factors if weigh == "nothing" else factors * weights
    if average == "product":
        return sign * factors.mean() * weights.mean()
    if average == "self-normalised":
        return sign * terms.sum() / factors.sum()
    return sign * (terms.sum() if average == "sum" else terms.mean())


MISTAKES = catalogue(
    """
    sign: sign=-1.0
        Your surrogate has the wrong sign. It estimates how much better the new policy is, so it is
        to be maximised. An optimiser that minimises gets the minus sign where it is called.
    sum_for_mean: average="sum"
        Your surrogate is too large by the number of steps: it is a sum. The mean estimates an
        expectation, whatever the size of the batch.
    ratio_inverted: ratio="inverted"
        Your ratio is upside down. An action that the new policy takes more often than the old one
        must count more, so its ratio is above 1. Look at the sign of the gradient where the
        advantage is positive.
    logarithm_of_the_ratio: ratio="logarithm"
        You weigh the advantages by the logarithm of the ratio. At the old policy its gradient is
        the right one, but its value there is 0. Elsewhere neither is right. Compare the fourth
        probe with the others.
    ratio_of_logarithms: ratio="of logarithms"
        You divide one log-probability by the other. The ratio is one of probabilities: where a step
        is half as likely as before it must be 1/2. What becomes of a quotient under the logarithm?
    probabilities_underflow: ratio="probabilities"
        You turn both log-probabilities into probabilities and divide then. Around -900 both are 0
        in floating point, and 0 / 0 is NaN. Every other probe is right. The ratio itself is an
        ordinary number: which operation comes first?
    old_policy_ignored: ratio="new probability"
        The old log-probabilities have no effect: you weigh by the probability under the new policy.
        The actions came from the old policy, so frequent ones are frequent in the batch already.
    policy_gradient_objective: ratio="new logarithm"
        You weigh log-probabilities: the objective of chapter 1. Its gradient is right only while
        the two policies are the same, as in the fourth probe. Its value means nothing.
    ratio_minus_one: ratio="minus one"
        Your gradient is right, the value is off by the mean advantage: 1 is subtracted from the
        ratio. While the two policies are the same, as in the fourth probe, the ratio is 1 and the
        surrogate is the mean advantage.
    advantages_ignored: weigh="nothing"
        The advantages have no effect: your mean is that of the ratios alone. It is near 1 for every
        policy and says nothing about which one is better.
    data_not_detached: old="graph", weigh="graph"
        The surrogate is right, but gradients also flow into the old log-probabilities and into the
        advantages. Both are data. If they were computed from the network itself, the old policy
        would move along with the new one.
    gradient_through_the_old_policy: old="graph"
        The surrogate is right, but a gradient also flows into the old log-probabilities. The old
        policy does not move. If both sides came from one network the two gradients would cancel,
        and nothing would be learned.
    gradient_through_the_advantages: weigh="graph"
        The surrogate is right, but a gradient also flows into the advantages. They are data here:
        where they come from a critic, maximising the surrogate would make the critic promise too
        little in the states it met, so that the advantages look large.
    detached: cut=True
        The surrogate is the right number, but it has no gradient: the new log-probabilities are cut
        off from the policy. Which of the three arguments are data, and which is not?
    self_normalised: average="self-normalised"
        You divide by the sum of the ratios instead of the number of steps. That is the
        self-normalised estimator. It has less variance and some bias, and with one step it has no
        gradient, as the second probe shows.
    product_of_means: average="product"
        You multiply the mean ratio by the mean advantage. With one step that is the same, with more
        it is not: each ratio belongs to its own advantage.
    advantages_normalised: scaled="normalised"
        You normalise the advantages first. That is a step of its own, chapter 2, and changes the
        value of the surrogate. With one step it leaves NaN.
    advantages_normalised_population: scaled="normalised, population"
        You normalise the advantages first. That is a step of its own, chapter 2, and changes the
        value of the surrogate. With one step it leaves 0, and nothing is learned.
    clipped: clip=True
        You clip the ratio to the range from 0.8 to 1.2, and steps outside have no gradient. That is
        an idea of chapter 10, and not quite that either. The surrogate of this chapter keeps every
        ratio as it is.
    """
)

SPEC = Spec(
    name="surrogate",
    exercise="03_the_surrogate_objective",
    parameters=("log_probs", "old_log_probs", "advantages"),
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
    harness=harness,
    parts=(
        "surrogate",
        "gradient with respect to `log_probs`",
        "gradient with respect to `old_log_probs`",
        "gradient with respect to `advantages`",
    ),
    rows="step",
)
