"""Task 10.4: how many epochs are taken before the KL says stop."""

import numpy as np

from ...catalogue import catalogue
from ...spec import Probe, Spec

TITLES = {
    "the third epoch exceeds the limit": [0.4, 0.8, 1.8, 2.6],
    "no epoch exceeds the limit": [0.3, 0.5, 0.6, 0.8, 0.9],
    "the first epoch exceeds the limit": [2.2, 2.5, 3.1],
    "the KL falls below the limit again": [0.5, 1.2, 0.7, 0.4, 1.9, 0.8],
    "the KL grows slowly beyond the limit": [0.6, 1.2, 1.9, 2.4],
    "the last epoch exceeds the limit": [0.2, 0.4, 0.8, 1.3],
    "no limit, max_kl is None": [0.7, 1.7, 2.9],
    "one epoch, one that exceeds the limit": [1.8],
}


def probes(generator):
    """Return KLs as they would grow over the epochs, in multiples of a limit."""
    calls = []
    for title, multiples in TITLES.items():
        limit = round(float(generator.choice([0.01, 0.015, 0.02, 0.03])), 3)
        kls = np.round(limit * np.array(multiples) * generator.uniform(0.97, 1.03), 5)
        calls.append(Probe(title, (kls, None if "None" in title else limit)))
    kls = np.array([0.0, *np.sort(generator.integers(5, 40, 3)) / 1000])
    calls.append(Probe("max_kl is 0, and the KL after the first epoch is 0 too", (kls, 0.0)))
    kls = np.array([0.125, 0.25, 0.375, 0.5])
    where = int(generator.integers(0, 3))
    calls.append(Probe("one epoch is exactly at the limit", (kls, float(kls[where]))))
    little = 1 - 2.0**-20
    grows = np.sort(generator.integers(5, 90, 60)) / 1000
    return [
        *calls,
        Probe("one epoch is a millionth above the limit", (kls, float(kls[where]) * little)),
        Probe("60 epochs, the 45th exceeds the limit", (grows + 0.1 * (np.arange(60) > 43), 0.1)),
        Probe("60 epochs within the limit", (grows, 0.1)),
        Probe("KLs and limit are about 1e-9", (1e-9 * np.array([0.5, 0.75, 1.5, 2.5]), 1e-9)),
    ]


def oracle(kls, max_kl):
    """Return one more than the number of epochs that begin a run of KLs within the limit."""
    if max_kl is None:
        return len(kls)
    within = np.cumprod(np.asarray(kls) <= max_kl)  # 1 until the first one that exceeds it
    return min(int(within.sum()) + 1, len(kls))


def variant(
    kls, max_kl, *, count="with the last", test="above", watch="each", none="never", stop="first",
    factor=1.0, zero="limit",
):  # fmt: skip
    """Return the number of epochs by a loop, with options that commit mistakes."""
    if max_kl is None:
        if none == "never":
            return len(kls)
        max_kl = 0.0
    if max_kl == 0 and zero == "no limit":
        return len(kls)
    watched = {
        "each": kls,
        "the one before": np.concatenate([[0.0], kls[:-1]]),
        "sum": np.cumsum(kls),
        "mean": np.cumsum(kls) / np.arange(1, len(kls) + 1),
        "increase": np.diff(kls, prepend=0.0),
    }[watch]
    limit = factor * max_kl
    stops = {"above": watched > limit, "at or above": watched >= limit, "below": watched < limit}
    found = np.flatnonzero(stops[test])
    if stop.startswith("count"):
        return len(kls) - len(found) + (1 if "one more" in stop else 0)
    if stop == "argmax" and not len(found):
        return 1
    if stop == "never" or not len(found):
        return len(kls)
    epoch = int(found[-1] if stop == "last" else found[0])
    return epoch + (1 if count == "with the last" else 0)


MISTAKES = catalogue(
    """
    last_epoch_not_counted: count="without the last"
        Your number is one too small wherever the limit is exceeded. The epoch whose KL exceeds the
        limit has been taken: its KL is known only because its steps were made.
    never_stops: stop="never"
        You return the number of all epochs: nothing ever stops. The same happens where the KL is
        tested in the last epoch only. See the first probe.
    last_crossing: stop="last"
        You find the last epoch that exceeds the limit. The updates stop at the first one; the
        epochs after it never happen. Does your loop go on after it has found one?
    counts_all_within: stop="count"
        You count the epochs whose KL lies within the limit, wherever they are. Once the limit is
        exceeded, the rest never happens. See the probe where the KL falls below the limit again.
    stale: watch="the one before", count="with the last"
        You stop one epoch too late: you test the KL that was measured before the epoch's steps, not
        after them. In the first epoch that KL is always 0.
    limit_included: test="at or above"
        You stop where the KL is exactly at the limit. The test asks whether the KL exceeds it. See
        the probe in which one epoch is exactly at the limit.
    stops_below: test="below"
        You stop where the KL is below the limit. A small KL is no reason to stop: the policy has
        hardly moved yet.
    limit_times_1.5: factor=1.5
        You stop only above 1.5 times the limit. Some code does that with a target; here the limit
        is meant as it stands.
    kls_added_up: watch="sum"
        You add up the KLs of the epochs. Each of them is measured from the old policy, so it holds
        what the epochs before it moved already.
    kls_averaged: watch="mean"
        You test the mean of the KLs so far. The early epochs, where the policy has hardly moved,
        then hide the last one.
    increases: watch="increase"
        You test how much the KL grew in an epoch. The limit is one on the distance from the old
        policy, and each KL is measured from there.
    none_is_zero: none="zero"
        Where max_kl is None you stop at once, as if the limit were 0. None means that there is no
        limit.
    zero_is_no_limit: zero="no limit"
        A limit of 0 is a limit; only None means that there is none. In a condition, 0 and None
        count as false alike. See the probe where max_kl is 0.
    argmax_of_nothing: stop="argmax"
        Where no epoch exceeds the limit you stop after the first one. `argmax` returns 0 both where
        the first entry is true and where none is. See the second probe.
    counts_all_within_and_one: stop="count and one more"
        You count the epochs whose KL lies within the limit, wherever they are, and add one. Where
        the KL falls below the limit again you count too many, and where it never exceeds the limit
        you count an epoch that does not exist.
    """
)

SPEC = Spec(
    name="early_stopping",
    exercise="10_ppo_objectives",
    parameters=("kls", "max_kl"),
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
)
