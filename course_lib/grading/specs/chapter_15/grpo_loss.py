"""Task 15.6: GRPO's clipped loss over answers of unequal length."""

import numpy as np

from ...catalogue import catalogue
from ...sandbox.tools import gradient, tensor, without_leak
from ...spec import Probe, Spec
from ..draws import signed
from .answers import LENGTHS, tokens


def harness(function, log_probs, old_log_probs, advantages, mask, clip_low, clip_high):
    """Return the loss, its gradient, and the one that should not flow into the advantages."""
    new, A = tensor(log_probs, True), tensor(advantages, True)
    loss = function(new, tensor(old_log_probs), A, tensor(mask), clip_low, clip_high)
    if loss is None:
        return None
    return loss, gradient(loss, new), without_leak(gradient(loss, A), advantages)


def probes(generator):
    """Return ratios on both sides of unequal edges, far enough from them."""
    calls = []
    clips = ((0.2, 0.3), (0.1, 0.4), (0.3, 0.2), (0.15, 0.25), (0.4, 0.1))
    for (title, (lengths, places)), (low, high) in zip(LENGTHS.items(), clips, strict=True):
        new, old, mask = tokens(generator, lengths, places)
        ratio = generator.choice(
            [0.5 * (1 - low), 1 - low / 2, 1 + high / 2, 1.6 + high], new.shape
        )
        new[mask] = old[mask] + np.log(ratio[mask])
        A = signed(generator, 5, 30, len(lengths))
        A[0] += 4.0 * np.sign(A[0])
        calls.append(
            Probe(f"{title}, edges {1 - low:g} and {1 + high:g}", (new, old, A, mask, low, high))
        )
    for title, sign, low, high, far in (
        ("all advantages positive, the upper range is the smaller one", 1.0, 0.4, 0.1, 0),
        ("all advantages negative, the lower range is the smaller one", -1.0, 0.1, 0.4, 0),
        ("log-probabilities around -900", 1.0, 0.2, 0.28, 900),
    ):
        new, old, mask = tokens(generator, [3, 1], 3)
        ratio = np.array([[0.5, 1.05, 2.0], [1.05, 1.0, 1.0]])
        new[mask] = old[mask] + np.log(ratio[mask])
        A = sign * np.array([1.5, 0.7])
        calls.append(Probe(title, (new - far, old - far, A, mask, low, high)))
    new, old, mask = tokens(generator, [2, 4], 4)
    new = np.where(mask, old, new)
    A = np.array([2.0, -0.5])
    return [*calls, Probe("the policy is still the old one", (new, old, A, mask, 0.2, 0.2))]


def oracle(log_probs, old_log_probs, advantages, mask, clip_low, clip_high):
    """Return loss and gradient token by token: beyond its edge, on the good side, it is constant."""
    B, slope, loss = len(mask), np.zeros(log_probs.shape), 0.0
    for b, t in np.ndindex(mask.shape):
        if not mask[b, t]:
            continue
        r, A, share = (
            np.exp(log_probs[b, t] - old_log_probs[b, t]),
            advantages[b],
            B * mask[b].sum(),
        )
        if A > 0 and r > 1 + clip_high:
            loss -= (1 + clip_high) * A / share
        elif A < 0 and r < 1 - clip_low:
            loss -= (1 - clip_low) * A / share
        else:
            loss -= r * A / share
            slope[b, t] = -r * A / share
    return loss, slope, np.zeros(B)


def variant(
    log_probs, old_log_probs, advantages, mask, clip_low, clip_high, *, sign=-1.0, average="own",
    masked=True, clip="ratio", choose="smaller", compare="token", detach=True,
):  # fmt: skip
    """Return the loss by autograd, with options that commit mistakes."""
    import torch

    counts = mask.to(log_probs.dtype) if masked else torch.ones_like(log_probs)
    x = torch.where(counts > 0, log_probs - old_log_probs, 0.0 * log_probs)
    if compare == "answer":
        x = x.sum(-1, keepdim=True).expand_as(x)
    if compare == "mean":
        x = (x.sum(-1, keepdim=True) / counts.sum(-1, keepdim=True)).expand_as(x)
    if compare == "inverted":
        x = -x
    A = (advantages.detach() if detach else advantages)[:, None]
    ratio = {"difference": x, "quotient": log_probs / old_log_probs}.get(compare, x.exp())
    low, high = 1 - clip_low, 1 + clip_high
    edge = ratio.clamp(low, high)
    if clip == "logarithm":
        edge = x.clamp(-clip_low, clip_high).exp()
    bounded = (ratio * A).clamp(low, high) if clip == "product" else edge * A
    gain = {
        "smaller": torch.minimum(ratio * A, bounded),
        "larger": torch.maximum(ratio * A, bounded),
        "clipped": bounded,
        "free": ratio * A,
        "smaller ratio": torch.minimum(ratio, edge) * A,
    }[choose]
    gain = gain * counts
    loss = {
        "own": (gain.sum(-1) / counts.sum(-1)).mean(),
        "tokens": gain.sum() / counts.sum(),
        "places": gain.mean(),
        "sum": gain.sum(-1).mean(),
        "answers added": (gain.sum(-1) / counts.sum(-1)).sum(),
    }[average]
    return sign * loss


def clip_high_for_both(new, old, advantages, mask, clip_low, clip_high):
    """Take the upper range below as well."""
    return variant(new, old, advantages, mask, clip_high, clip_high)


def clip_low_for_both(new, old, advantages, mask, clip_low, clip_high):
    """Take the lower range above as well."""
    return variant(new, old, advantages, mask, clip_low, clip_low)


def edges_swapped(new, old, advantages, mask, clip_low, clip_high):
    """Take each range for the other."""
    return variant(new, old, advantages, mask, clip_high, clip_low)


MISTAKES = catalogue(
    """
    sign: sign=1.0
        The sign is wrong: a step down your loss makes good answers less likely.
    mean_of_all_tokens: average="tokens"
        You average over all tokens of the batch at once, as DAPO does. GRPO as published takes each
        answer's mean over its own tokens first: see answers of unequal length.
    divided_by_the_places: average="places"
        You divide by the number of places in the array. GRPO as published divides each answer by
        its own length; see the shorter ones.
    summed_over_the_answer: average="sum"
        You add up an answer's tokens and do not divide by its length.
    answers_added_up: average="answers added"
        You add up the answers. The loss is their mean: twice as many answers should not make it
        twice as large.
    mask_ignored: masked=False
        You count what stands beyond the answers' ends, and the gradient is not 0 there.
    upper_range_for_both: clip_high_for_both
    lower_range_for_both: clip_low_for_both
        You use one clip range for both edges. They are arguments of their own: the lower edge is
        1 - clip_low, the upper one 1 + clip_high.
    edges_swapped: edges_swapped
        You have swapped the two clip ranges: clip_low belongs below 1, clip_high above it.
    product_clipped: clip="product"
        You clip ratio times advantage. The range around 1 belongs to the ratio.
    log_ratio_clipped: clip="logarithm"
        You clip the logarithm of the ratio. The edges are then exponentials, near those asked for
        but not there.
    larger_of_the_two: choose="larger"
        Of the clipped and the unclipped term you take the larger one. The objective is pessimistic.
    no_minimum: choose="clipped"
        You use the clipped term alone. A token beyond its range on the bad side then has no
        gradient, and cannot come back.
    not_clipped: choose="free"
        Nothing is clipped. It is right only where all ratios lie inside the range.
    smaller_ratio: choose="smaller ratio"
        You take the smaller ratio and multiply by the advantage afterwards. For a negative
        advantage that is the larger product.
    ratio_of_the_answer: compare="answer"
        You use one ratio for all of an answer's tokens, the product of theirs. GRPO clips each
        token's own ratio.
    length_normalised_ratio: compare="mean"
        You use one ratio for all of an answer's tokens, their geometric mean. That is GSPO; GRPO
        clips each token's own ratio.
    ratio_inverted: compare="inverted"
        Your ratio is old over new. For an unchanged policy the loss is right, its gradient has the
        wrong sign.
    logs_not_exponentiated: compare="difference"
        You use the difference of the log-probabilities as the ratio. For an unchanged policy a
        ratio is 1, that difference is 0.
    gradient_through_the_advantages: detach=False
        The loss is right, but a gradient flows into the advantages too. They are data here.
    """,
    clip_high_for_both,
    clip_low_for_both,
    edges_swapped,
)

SPEC = Spec(
    name="grpo_loss",
    exercise="15_language_models",
    parameters=("log_probs", "old_log_probs", "advantages", "mask", "clip_low", "clip_high"),
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
    rows="answer",
)
