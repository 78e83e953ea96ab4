"""Task 15.3: the log-ratio of a whole answer."""

import numpy as np

from ...catalogue import catalogue
from ...spec import Probe, Spec
from .answers import LENGTHS, tokens


def probes(generator):
    """Return answers of unequal length, added up and averaged."""
    calls = []
    for title, (lengths, places) in LENGTHS.items():
        for average in (False, True):
            how = "averaged" if average else "added up"
            given = tokens(generator, lengths, places)
            calls.append(Probe(f"{title}, {how}", (*given, average)))
    far = tokens(generator, [200, 120], 200)
    calls.append(
        Probe("200 tokens, log-ratios that add up to hundreds", (far[0] - 3, *far[1:], False))
    )
    holes = tokens(generator, [4, 4], 4)
    holes[2][0, 1] = holes[2][1, 0] = False
    calls.append(Probe("a token in the middle does not count", (*holes, True)))
    return calls


def oracle(log_probs, old_log_probs, mask, average):
    """Return it token by token."""
    answers = []
    for new, old, counts in zip(log_probs, old_log_probs, mask, strict=True):
        terms = [a - b for a, b, m in zip(new, old, counts, strict=True) if m]
        answers.append(sum(terms) / (len(terms) if average else 1))
    return np.array(answers)


def variant(
    log_probs, old_log_probs, mask, average, *, masked="yes", sign=1.0, length="own", output="log"
):
    """Return it from masked arrays, with options that commit mistakes."""
    m = mask.astype(float) if masked != "no" else np.ones(mask.shape)
    x = np.where(m > 0, sign * (log_probs - old_log_probs), 0.0)
    if masked == "old only":
        x = log_probs - np.where(mask, old_log_probs, 0.0)
    total = x.sum(1)
    if average:
        total = total / {"own": m.sum(1), "places": mask.shape[1], "mean": m.sum(1).mean()}[length]
    return np.exp(np.clip(total, -700, 700)) if output == "ratio" else total


MISTAKES = catalogue(
    """
    mask_ignored: masked="no"
        You count what stands beyond the answers' ends. Only tokens whose mask is true belong to an
        answer; see the shorter ones.
    old_masked_only: masked="old only"
        You mask one of the two policies only. Where the mask is false, neither counts.
    divided_by_the_places: length="places"
        Your average divides by the number of places in the array. An answer is as long as its
        tokens in the mask; short answers come out too small.
    divided_by_the_mean_length: length="mean"
        You divide all answers by one length, their mean. Each has a length of its own.
    reversed: sign=-1.0
        Your log-ratio is old minus new. The ratio is new over old, as in the surrogate.
    ratio_for_log_ratio: output="ratio"
        You return the ratio. Its logarithm is asked for: a product of 200 ratios can be too large
        or too small for a computer, its logarithm is not.
    never_averaged: ignores(average=False)
        You never average. Where `average` is true the sum is divided by the answer's length.
    always_averaged: ignores(average=True)
        You always average. Where `average` is false the log-ratios are added up.
    """
)

SPEC = Spec(
    name="sequence_log_ratio",
    exercise="15_language_models",
    parameters=("log_probs", "old_log_probs", "mask", "average"),
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
    rows="answer",
)
