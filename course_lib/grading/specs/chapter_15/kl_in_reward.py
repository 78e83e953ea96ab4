"""Task 15.5: the KL to a reference in the reward of an answer."""

import numpy as np

from ...catalogue import catalogue
from ...sandbox.tools import gradient, tensor, without_leak
from ...spec import Probe, Spec
from ..draws import signed
from .answers import LENGTHS, tokens


def harness(function, rewards, log_probs, reference_log_probs, mask, beta):
    """Return the rewards, and the gradient that should not flow."""
    new = tensor(log_probs, True)
    found = function(tensor(rewards), new, tensor(reference_log_probs), tensor(mask), beta)
    return None if found is None else (found, without_leak(gradient(found, new), log_probs))


def probes(generator):
    """Return answers of unequal length, and weights of every size."""
    calls = []
    for number, (title, (lengths, places)) in enumerate(LENGTHS.items()):
        beta = (0.5, 0.1, 2.0, 0.25, 0.0)[number]
        rewards = signed(generator, 1, 30, len(lengths))
        given = tokens(generator, lengths, places)
        calls.append(Probe(f"{title}, beta {beta:g}", (rewards, *given, beta)))
    given = tokens(generator, [3, 2], 3)
    rewards = np.array([1.0, 0.0])
    calls.append(Probe("right and wrong, beta 1", (rewards, *given, 1.0)))
    calls.append(Probe("a huge beta", (rewards, *tokens(generator, [2, 4], 4), 1e6)))
    calls.append(Probe("a tiny beta", (0 * rewards, *tokens(generator, [2, 4], 4), 1e-6), 1e-6))
    return calls


def oracle(rewards, log_probs, reference_log_probs, mask, beta):
    """Return it answer by answer."""
    answer = np.array(rewards, dtype=float)
    for b, t in np.ndindex(mask.shape):
        if mask[b, t]:
            answer[b] -= beta * (log_probs[b, t] - reference_log_probs[b, t])
    return answer, np.zeros(log_probs.shape)


def variant(
    rewards, log_probs, reference_log_probs, mask, beta, *, sign=1.0, masked=True, over="tokens",
    estimator="k1", graph=False,
):  # fmt: skip
    """Return it from masked tensors, with options that commit mistakes."""
    x = log_probs - reference_log_probs
    if not graph:
        x = x.detach()
    x = {"k1": x, "k2": x**2 / 2, "k3": (-x).exp() - 1 + x, "size": x.abs()}[estimator]
    counts = mask.to(x.dtype) if masked else mask.to(x.dtype) * 0 + 1
    kl = (x * counts).sum(-1)
    if over == "mean":
        kl = kl / counts.sum(-1)
    if over == "batch":
        kl = kl.mean() + 0 * kl
    return rewards - sign * beta * kl


MISTAKES = catalogue(
    """
    kl_added: sign=-1.0
        You add the KL to the reward, or take reference minus policy: the policy is paid for leaving
        the reference.
    mask_ignored: masked=False
        You count what stands beyond the answers' ends. See the shorter answers.
    mean_over_the_tokens: over="mean"
        You take the mean over an answer's tokens. The KL of a whole answer is a sum over its
        tokens: a mean lets long answers pay less for each of them.
    kl_of_the_batch: over="batch"
        Every answer pays the mean KL of the batch. Then no answer is told apart from another, and
        the penalty has no gradient. Each answer pays its own.
    k2_in_the_reward: estimator="k2"
        You put k2 into the reward. As a loss it has the right gradient; in the reward only the
        plain log-ratio, k1, does.
    k3_in_the_reward: estimator="k3"
        You put k3 into the reward. Its mean is the KL, but in the reward the gradient is the
        difference of two KLs' gradients, which nearly cancel. Here k1 is asked for.
    absolute_values: estimator="size"
        You take absolute values. A token that the reference finds likelier than the policy does
        earns something back.
    gradient_flows: graph=True
        The numbers are right, but a gradient flows from them into the policy. A reward is data: the
        score function brings the gradient.
    beta_ignored: ignores(beta=1.0)
        Your answers do not depend on beta, the weight of the penalty. See the probe where it is
        large, and the one where it is 0.
    """
)

SPEC = Spec(
    name="kl_in_reward",
    exercise="15_language_models",
    parameters=("rewards", "log_probs", "reference_log_probs", "mask", "beta"),
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
    harness=harness,
    parts=("rewards", "gradient with respect to `log_probs`"),
    rows="answer",
)
