"""Task 12.1: the clipped value loss."""

import numpy as np

from ...catalogue import catalogue
from ...sandbox.tools import gradient, tensor
from ...spec import Probe, Spec

# How far a value has moved, and where its target lies, both from the old value, in clip ranges.
STAYED, STAYED_BELOW = (0.6, 2.4), (-0.5, 1.7)
TOWARDS, TOWARDS_BELOW = (1.8, 3.1), (-2.2, -3.7)
AWAY, AWAY_BELOW = (1.7, -1.3), (-1.6, 2.3)
PAST, PAST_BELOW = (3.4, 1.6), (-2.9, -1.4)
# Past the target, and still nearer to it than the edge of the range is.
JUST_PAST, JUST_PAST_BELOW = (2.6, 2.2), (-2.7, -2.3)
# Nearer to the target than the old value was, but not than the edge is.
BETTER_THAN_OLD, BETTER_THAN_OLD_BELOW = (3.0, 1.75), (-3.2, -1.85)
CASES = {
    "no value has moved beyond the range": (0.5, [STAYED, STAYED_BELOW]),
    "values moved far towards their targets": (0.5, [TOWARDS, TOWARDS_BELOW, STAYED]),
    "values moved far away from their targets": (0.4, [AWAY, AWAY_BELOW, STAYED_BELOW]),
    "values moved far past their targets": (0.4, [PAST_BELOW, PAST, STAYED, STAYED_BELOW]),
    "values moved just past their targets": (0.5, [JUST_PAST, JUST_PAST_BELOW, STAYED_BELOW]),
    "values moved past their targets, by less than the old ones were off": (
        0.4,
        [BETTER_THAN_OLD_BELOW, BETTER_THAN_OLD, STAYED],
    ),
    "everything at once, a wide range": (
        1.5,
        [
            AWAY,
            TOWARDS_BELOW,
            PAST,
            STAYED_BELOW,
            AWAY_BELOW,
            TOWARDS,
            PAST_BELOW,
            JUST_PAST,
            BETTER_THAN_OLD,
            JUST_PAST_BELOW,
            BETTER_THAN_OLD_BELOW,
        ],
    ),
}


def harness(function, values, targets, old_values, value_clip_range):
    """Return the loss and its gradient."""
    values = tensor(values, True)
    loss = function(values, tensor(targets), tensor(old_values), value_clip_range)
    return None if loss is None else (loss, gradient(loss, values))


def probes(generator):
    """Return values that stayed near the old ones or left the range, on either side."""
    calls = []
    for title, (clip_range, kinds) in CASES.items():
        moved, aims = clip_range * np.array(kinds).T
        jitter = generator.uniform(0.95, 1.05, (2, len(kinds)))  # no kind becomes another
        old = generator.choice([-1, 1], len(kinds)) * generator.integers(10, 30, len(kinds)) / 10
        old[0] *= 0.3  # a relative range would be much narrower here
        values = np.round(old + moved * jitter[0], 2)
        targets = np.round(old + aims * jitter[1], 2)
        calls.append(Probe(title, (values, targets, old, clip_range)))
    *everything, wide = calls[-1].arguments
    for title, size in (("numbers of about 1e6", 2.0**20), ("about 1e-6", 2.0**-20)):
        arrays = (size * array for array in everything)
        calls.append(Probe(title, (*arrays, wide * size), min(size, 1.0) ** 2))
    many = (np.tile(array, 20) + np.arange(220) for array in everything)
    calls.append(Probe("220 samples", (*many, wide)))
    return calls


def oracle(values, targets, old_values, value_clip_range):
    """Return loss and gradient by cases: a value that left the range may have no gradient."""
    size = len(values)
    loss, slope = 0.0, np.zeros(size)
    for i in range(size):
        v, target, old = values[i], targets[i], old_values[i]
        held = sorted([old - value_clip_range, v, old + value_clip_range])[1]
        if abs(v - target) >= abs(held - target):
            loss += (v - target) ** 2 / (2 * size)
            slope[i] = (v - target) / size
        else:
            loss += (held - target) ** 2 / (2 * size)
    return loss, slope


def variant(
    values, targets, old_values, value_clip_range, *, choose="larger", around="old", average="mean",
    half=0.5, power="square", cut="nothing", sign=1.0,
    edge="both",
):  # fmt: skip
    """Return the loss by autograd, with options that commit mistakes."""
    import torch

    if cut == "everything":
        values = values.detach()
    bound = value_clip_range
    centre = 0.0 if around == "0" else old_values
    low = -bound if edge != "above only" else -float("inf")
    high = bound if edge != "below only" else float("inf")
    held = centre + (values - centre).clamp(low, high)
    if around == "old, only the change":
        held = (values - old_values).clamp(low, high)
    if around == "old, relative":
        held = old_values * (values / old_values).clamp(1 - bound, 1 + bound)
    free, clipped = values - targets, held - targets
    if around == "error":
        clipped = free.clamp(low, high)
    if cut == "held":
        clipped = clipped.detach()
    if cut == "free":
        free = free.detach()
    larger_error = torch.maximum(free, clipped)
    moved, aim = values - old_values, targets - old_values
    outside, nearer = moved.abs() > bound, free.abs() < aim.abs()
    before = outside & (free * moved < 0)
    free, clipped = (e.abs() if power == "size" else e**2 for e in (free, clipped))
    if average == "before choosing":
        free, clipped = free.mean(), clipped.mean()
    terms = {
        "larger": torch.maximum(free, clipped),
        "smaller": torch.minimum(free, clipped),
        "clipped": clipped,
        "free": free,
        "larger error": larger_error**2,
        "held before the target": torch.where(before, clipped, free),
        "held on the target's side": torch.where(outside & (aim * moved > 0), clipped, free),
        "held if nearer than the old": torch.where(outside & nearer, clipped, free),
    }[choose]
    return sign * half * (terms.sum() if average == "sum" else terms.mean())


MISTAKES = catalogue(
    """
    smaller_of_the_two: choose="smaller"
        Of the two squared errors you take the smaller one. As in the policy's objective, the
        pessimistic of the two counts, and of two losses that is the larger. It is sometimes printed
        as a minimum; PPO's code takes the maximum.
    no_maximum: choose="clipped"
        You use the clipped values alone. A value that moved far away from its target, or past it,
        then has no gradient and stays wrong. See the third and the fourth probe.
    not_clipped: choose="free"
        Your loss is the plain squared error. If you do take the larger of two, ask what is clipped:
        values held near their targets, or clipped errors, are never the larger ones. The range is
        one around the old values. See the second probe.
    not_halved: half=1.0
        Your loss is twice as large as it should be. The contract has half the mean of the squared
        errors, so that the gradient is the error itself.
    sum_for_mean: average="sum"
        Your loss is too large by the number of samples: it is a sum. The weight of the value loss
        would depend on the size of the minibatch.
    mean_before_maximum: average="before choosing"
        You average first and take the larger of the two means. The choice is made for every sample
        by itself: one value that left the range must not decide for the others.
    clipped_around_0: around="0"
        You clip the values themselves to plus or minus the range. The range bounds how far the
        held value lies from the old one. Where should its middle lie?
    old_values_not_added: around="old, only the change"
        You clip the change of the value, which is right, but compare that change with the target. A
        change is no value: what has to be added to it?
    range_is_relative: around="old, relative"
        You clip the quotient of new and old value, as if it were a ratio of probabilities. Values
        are on a scale of their own and may be negative. The range here is a distance.
    errors_clipped: choose="clipped", around="error"
        You clip the errors, the distances to the targets. The range is one around the old values.
        Which distance should stay small in one update?
    only_clipped_above: edge="above only"
        Values that fell below the range are not held. See the second probe: one value moved up, one
        moved down, and only the first is right.
    only_clipped_below: edge="below only"
        Values that rose above the range are not held. See the second probe: one value moved up, one
        moved down, and only the second is right.
    absolute_errors: power="size"
        You take absolute errors in place of squared ones. Their gradient does not tell a large
        error from a small one, and what they estimate is the median, not the mean.
    sign: sign=-1.0
        Your loss is negative. A squared error is minimised as it stands; minus signs belong to what
        is maximised.
    detached: cut="everything"
        The loss is the right number, but it has no gradient: the values are cut off from the
        network. Only the targets and the old values are constants.
    larger_before_the_square: choose="larger error"
        You take the larger of the two errors with their signs, and square it then. Of two negative
        errors that is the one nearer to 0. Compare the squares.
    held_only_before_the_target: choose="held before the target"
        You hold a value only as long as it has not passed its target. One that has just passed it
        can still be nearer to it than the edge of the range is, and then the held error is the
        larger one. Compare the two squares themselves.
    held_on_the_way_to_the_target: choose="held on the target's side"
        You hold every value that left the range on the side of its target. One that went far past
        the target has the larger error where it stands, and it must be free to come back.
    held_where_nearer_than_the_old: choose="held if nearer than the old"
        You hold a value that is nearer to its target than the old value was. What it has to be
        compared with is the held value, at the edge of the range. See the probe in which values
        moved past their targets by less than the old ones were off.
    held_value_detached: cut="held"
        The loss is right, but inside the range your gradient is half of what it should be. There
        both squares are equal and share the gradient, and the held value is cut off from the
        network. Only the old values are constants.
    free_value_detached: cut="free"
        The loss is right, but the plain squared error is cut off from the network. Inside the range
        the gradient is half of what it should be, and where a value moved away from its target
        there is none. Which of your lines leaves the graph?
    """
)

SPEC = Spec(
    name="value_clip_loss",
    exercise="12_implementation_matters",
    parameters=("values", "targets", "old_values", "value_clip_range"),
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
    harness=harness,
    parts=("loss", "gradient with respect to `values`"),
    rows="sample",
)
