"""Task 9.5, the case: repair what the environment is sent."""

import numpy as np

from ...catalogue import catalogue
from ...spec import Probe, Spec
from ..draws import signed
from .gaussian_log_prob import EXERCISE

# Actions, lower bounds and upper bounds.
SCENES = {
    "bounds -1 and 1": (4, [-1.0], [1.0]),
    "bounds -0.01 and 0.01": (5, [-0.01], [0.01]),
    "bounds 50 and 100": (5, [50.0], [100.0]),
    "bounds -3 and 5": (6, [-3.0], [5.0]),
    "two dimensions, each with bounds of its own": (5, [-2.0, 0.0], [2.0, 1.0]),
    "three dimensions, one of them below 0": (4, [-8.0, 10.0, -0.5], [-4.0, 30.0, 0.5]),
}


def probes(generator):
    """Return actions within and beyond [-1, 1] in every dimension."""
    calls = []
    for title, (count, low, high) in SCENES.items():
        actions = signed(generator, 1, 9, (count, len(low)))
        actions[0] = signed(generator, 12, 30, len(low))
        actions[1] = -actions[0]
        unit = min(1.0, *np.subtract(high, low))
        calls.append(Probe(title, (actions, np.array(low), np.array(high)), unit))
    return calls


def oracle(actions, low, high):
    """Return the weighted means of the bounds, entry by entry."""
    sent = np.zeros(actions.shape)
    for i, row in enumerate(actions):
        for j, a in enumerate(row):
            share = min(max((a + 1) / 2, 0.0), 1.0)  # of the way from low to high
            sent[i, j] = (1 - share) * low[j] + share * high[j]
    return sent


def variant(actions, low, high, *, half=0.5, centred=True, squash="clip", first="map"):
    """Return centre plus half width times action, clipped, with options that commit mistakes."""
    if first == "clip":  # to the environment's bounds, before they mean anything
        actions = np.minimum(np.maximum(actions, low), high)
    if squash == "tanh":
        actions = np.tanh(actions)
    centre = (low + high) / 2 if centred else 0.0 * low
    mapped = centre + half * (high - low) * actions
    return mapped if squash == "nothing" else np.minimum(np.maximum(mapped, low), high)


def printed(actions, low, high):
    """Return the actions clipped to the bounds, on whatever scale they are."""
    return np.clip(actions, low, high)


def from_the_lower_bound(actions, low, high):
    """Map 0 to the lower bound and 1 to the upper one."""
    return np.clip(low + (high - low) * actions, low, high)


def scaled_by_the_upper_bound(actions, low, high):
    """Multiply by the upper bound, which is right for symmetric bounds only."""
    return np.clip(actions * high, low, high)


MISTAKES = catalogue(
    """
    only_clipped: printed
        It is still the fault of the log: actions on the policy's scale are clipped to bounds on
        the environment's. The probe with bounds -1 and 1 is right. Where should an action of 0 go,
        and where an action of 1?
    not_clipped: squash="nothing"
        Your map is right and nothing is clipped. An action beyond -1 or 1 leaves the bounds, and
        the environment need not forgive that.
    whole_width: half=1.0
        You multiply by the distance between the bounds. From the centre to a bound it is half of
        that, so your actions reach the bounds at -0.5 and 0.5.
    centre_missing: centred=False
        You scale the actions and leave them around 0. An action of 0 belongs in the middle between
        the bounds. Symmetric bounds do not show it.
    squashed: squash="tanh"
        You squash by a hyperbolic tangent. That bends the scale between the bounds, where the map
        should be affine, and it reaches the bounds nowhere.
    clipped_first: first="clip"
        You clip to the environment's bounds first and map afterwards. Before the map the bounds
        are -1 and 1.
    from_zero_to_one: from_the_lower_bound
        You send 0 to the lower bound. The policy's scale is centred: -1 is the lower bound, and 0
        is the middle.
    symmetric_only: scaled_by_the_upper_bound
        You multiply by the upper bound. That is right where the lower one is its negative. What do
        you send between 50 and 100?
    """,
    printed,
    from_the_lower_bound,
    scaled_by_the_upper_bound,
)

SPEC = Spec(
    name="actions_sent",
    exercise=EXERCISE,
    parameters=("actions", "low", "high"),
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
    rows="action",
    printed=printed,
)
