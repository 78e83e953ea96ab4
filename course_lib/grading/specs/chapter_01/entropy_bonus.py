"""Task 1.3: the entropy bonus of a categorical policy."""

import numpy as np

from ...catalogue import catalogue
from ...sandbox.tools import gradient, tensor
from ...spec import Probe, Spec

SHAPES = {  # shape of the logits, coefficient, offset
    "one state, two actions": ((1, 2), 1.0, 0.0),
    "three states, four actions": ((3, 4), 0.5, 0.0),
    "five states, three actions": ((5, 3), 0.01, 0.0),
    "logits around 900": ((2, 3), 0.2, 900.0),
    "in state 0 one logit is 2000 above the others": ((2, 3), 0.7, 0.0),
    "one action is likely, 400 are rare": ((2, 401), 1.0, -11.0),
    "all logits are equal, the coefficient is 1e-7": ((2, 9), 1e-7, -1e6),
    "the coefficient is 0": ((3, 2), 0.0, 0.0),
}


def harness(function, logits, coefficient):
    """Return the bonus and its gradient."""
    logits = tensor(logits, True)
    bonus = function(logits, coefficient)
    return bonus, gradient(bonus, logits)


def probes(generator):
    """Return logits that are not normalised."""
    calls = []
    for title, (shape, coefficient, offset) in SHAPES.items():
        logits = generator.integers(-20, 20, size=shape) / 10 + offset
        if "2000" in title:
            logits[0, 1] += 2000.0
        if "rare" in title:  # what is added to each of many small probabilities adds up
            logits = offset * np.array([[1.0], [2.5]]) + (logits - offset) / 10
            logits[:, 7] = 0.0
        if "equal" in title:
            logits[:] = offset
        unit = 0.03 if "rare" in title else 1e-7 if coefficient == 1e-7 else 1.0
        calls.append(Probe(title, (logits, coefficient), unit, extreme=unit != 1.0))
    return calls


def oracle(logits, coefficient):
    """Return the sum over states and actions, and the gradient that it has on paper."""
    states, actions = logits.shape
    entropy, slope = 0.0, np.zeros(logits.shape)
    for s in range(states):
        weights = [np.exp(z - logits[s].max()) for z in logits[s]]
        p = [w / sum(weights) for w in weights]
        logs = [z - logits[s].max() - np.log(sum(weights)) for z in logits[s]]
        own = -sum(q * log for q, log in zip(p, logs, strict=True))
        entropy += own / states
        for a in range(actions):
            slope[s, a] = -p[a] * (logs[a] + own) / states
    return coefficient * entropy, coefficient * slope


def variant(
    logits, coefficient, *, sign=1.0, average="mean", log="natural", scale="coefficient",
    weigh="probability", cut=False, axis=-1, form="log_softmax",
):  # fmt: skip
    """Return the bonus by autograd, with options that commit mistakes."""
    import torch

    log_p = logits - logits.logsumexp(dim=axis, keepdim=True)
    p = log_p.exp()
    if form == "log of softmax":
        log_p = p.log()
    if log == "base two":
        log_p = log_p / np.log(2.0)
    if weigh == "cut":
        p = p.detach()
    terms = -log_p if weigh == "nothing" else -p * log_p
    if form == "cases":
        terms = torch.where(p > 0, -p * p.log(), 0.0)
    entropy = {
        "mean": terms.sum(dim=-1).mean(),
        "sum": terms.sum(),
        "over actions too": terms.mean(),
    }[average]
    factor = coefficient if scale == "coefficient" else 1.0
    return sign * factor * (entropy.detach() if cut else entropy)


def of_logits(logits, coefficient):
    """Take the logits for log-probabilities."""
    return -coefficient * (logits.softmax(dim=-1) * logits).sum(dim=-1).mean()


def of_exponentials(logits, coefficient):
    """Take the logits for log-probabilities, and their exponentials for probabilities."""
    return -coefficient * (logits.exp() * logits).sum(dim=-1).mean()


MISTAKES = catalogue(
    """
    sign: sign=-1.0
        Your bonus is negative. Entropy is never negative for a categorical distribution, and a
        bonus that is added to the objective must grow as the policy becomes more random.
    sum_over_states: average="sum"
        Your bonus is too large by the number of states: the entropies of the states are summed. The
        first probe has one state and is right.
    mean_over_actions: average="over actions too"
        Your bonus is too small by the number of actions. Over the actions of one state the terms of
        an entropy add up; only over states is there a mean.
    coefficient_ignored: scale="one"
        The coefficient has no effect. The first probe, where it is 1, is right.
    logits_as_log_probabilities: of_logits
        You use the logits where their logarithmic probabilities belong. Logits may be shifted by
        any number without changing the policy; look at the probe with logits around 900, where your
        bonus is enormous.
    logits_never_normalised: of_exponentials
        You take the logits for logarithms of probabilities and their exponentials for
        probabilities. Nothing makes these sum to 1, so already the first probe is wrong; around 900
        they are infinite. What turns logits into a distribution?
    softmax_over_the_states: axis=0
        You normalise over the states, down the columns. One state alone then has probability 1 for
        every action and no entropy, as the first probe shows. Which axis holds the actions of one
        state?
    probabilities_underflow: form="log of softmax"
        Where logits are 2000 apart a probability has underflowed to 0, and 0 times the logarithm of 0 is NaN.
        The other probes are right. The logarithm itself is an ordinary number, about -2000: which
        function gives it without the probability on the way?
    gradient_underflows: form="cases"
        Your bonus is right everywhere, but where logits are 2000 apart its gradient is NaN: the slope of p
        log p is infinite at 0, and choosing another branch there does not help autograd, which
        multiplies both. Begin with logarithms that never see that 0.
    probabilities_missing: weigh="nothing"
        You add up minus the log-probabilities of all actions with equal weight. Entropy is an
        expectation: how often does each action occur?
    base_two: log="base two"
        Your entropies are too large by 1 / ln 2, about 1.44: they are in bits. The book, and every
        policy-gradient code, measures entropy in nats.
    probabilities_detached: weigh="cut"
        The bonus is right but its gradient is not: the probabilities that weigh the logarithms are
        cut off. Both factors depend on the policy.
    detached: cut=True
        The bonus is the right number, but it has no gradient: it would change the loss that is
        printed and nothing else.
    """,
    of_logits,
    of_exponentials,
)

SPEC = Spec(
    name="entropy_bonus",
    exercise="01_policy_gradients",
    parameters=("logits", "coefficient"),
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
    harness=harness,
    parts=("bonus", "gradient with respect to `logits`"),
    rows="state",
)
