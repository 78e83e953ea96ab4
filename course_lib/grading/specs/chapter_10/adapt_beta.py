"""Task 10.2: the adaptive coefficient of the KL penalty."""

import numpy as np

from ...catalogue import catalogue
from ...spec import Probe, Spec


def harness(function, beta, kl, target_kl):
    """Return the new beta in multiples of the old one, because beta may be tiny."""
    changed = function(beta, kl, target_kl)
    if changed is None:
        return None
    if hasattr(changed, "detach"):
        changed = changed.detach()
    try:
        return (np.asarray(changed, dtype=float) / beta,)
    except (TypeError, ValueError):
        return (changed,)


def probes(generator):
    """Return updates that moved far too much, too much, enough, too little, far too little."""

    def between(low, high):
        return round(float(generator.uniform(low, high)), 2)

    multiples = {
        "the KL is more than 3 times its target": between(3.2, 6),
        "the KL is less than a third of its target": between(0.1, 0.3),
        "the KL is a little above its target": between(1.1, 1.25),
        "the KL is a little below its target": between(0.8, 0.9),
        "the KL lies between 1.3 and 1.5 targets": between(1.33, 1.45),
        "the KL lies between 1.5 and 2 targets": between(1.6, 1.9),
        "the KL lies between a half and 1 / 1.5 of its target": between(0.53, 0.63),
        "the KL lies between 1 / 1.5 and 0.75 of its target": between(0.69, 0.73),
    }
    calls = []
    for title, multiple in multiples.items():
        target = float(generator.choice([0.01, 0.02, 0.03, 0.05]))
        beta = between(0.3, 5)
        calls.append(Probe(title, (beta, multiple * target, target)))
    few = float(generator.choice([0.25, 0.5, 1.0]))  # exact in binary, and so are 1.5 of them
    calls += [
        Probe("the KL is exactly 1.5 times its target", (between(0.3, 5), 1.5 * few, few)),
        Probe("1.5 times the KL is exactly the target", (between(0.3, 5), few, 1.5 * few)),
        Probe("beta is near its upper bound", (between(0.6, 0.9) * 1e6, 0.08, 0.01)),
        Probe("beta is near its lower bound", (between(1.2, 1.8) * 1e-6, 0.002, 0.01)),
    ]
    little = 1 + 2.0**-20
    for title, kl, target in (
        ("the KL is 0", 0.0, few),
        ("the KL is a million times its target", 1e6 * few, few),
        ("the KL is a millionth above 1.5 times its target", 1.5 * few * little, few),
        ("the KL is a millionth below the target divided by 1.5", few / little, 1.5 * few),
        ("the KL is a millionth above the target divided by 1.5", few * little, 1.5 * few),
        ("KL and target are about 1e-10, the KL above", few * 4e-10, few * 1e-10),
        ("KL and target are about 1e-10, the KL below", few * 1e-10, few * 4e-10),
    ):
        calls.append(Probe(title, (between(0.3, 5), kl, target)))
    return calls


def oracle(beta, kl, target_kl):
    """Return the factor from the logarithm of the distance to the target, then the bounds."""
    distance = np.log(kl / target_kl) / np.log(1.5) if kl > 0 else -np.inf
    steps = 1 if distance > 1 + 1e-9 else -1 if distance < -1 - 1e-9 else 0
    return (float(np.clip(beta * 2.0**steps, 1e-6, 1e6)) / beta,)


def variant(
    beta, kl, target_kl, *, factor=2.0, upper="1.5", lower="1.5", rule="steps", edge="outside",
    bounds="kept", up="doubles", down="halves",
):  # fmt: skip
    """Return the new beta by cases, with options that commit mistakes."""
    if rule == "proportional":
        changed = beta * kl / target_kl
    else:
        high = {"1.5": 1.5 * target_kl, "2": 2 * target_kl, "1": target_kl}[upper]
        low = {
            "1.5": target_kl / 1.5,
            "2": target_kl / 2,
            "1": target_kl,
            "multiplied": 1.5 * target_kl,
        }[lower]
        far, near = kl > high, kl < low
        if edge == "inside":  # the KLs exactly at an edge, up to rounding
            far, near = kl > high * (1 - 1e-12), kl < low * (1 + 1e-12)
        if rule == "the other way":
            far, near = near, far
        changed = beta
        if far and up == "doubles":
            changed = beta * factor
        elif near and down == "halves":
            changed = beta / factor
    return changed if bounds == "forgotten" else min(max(changed, 1e-6), 1e6)


MISTAKES = catalogue(
    """
    wrong_direction: rule="the other way"
        Your beta goes the wrong way: where the policy moved too far, you make the penalty weaker.
        Beta is the price of a KL, and a price that is too low is raised. The same happens if KL and
        target change places.
    factor_1.5: factor=1.5
        You change beta by a factor 1.5. That number belongs to the test; the change itself is
        larger. See the first two probes.
    tests_at_2: upper="2", lower="2"
        You test at twice the target and at half of it. Two is the factor by which beta changes; the
        tests are nearer to the target. See the probes between 1.5 and 2 targets and between a half
        and 1 / 1.5.
    lower_test_at_half: lower="2"
        Your lower test is at half the target; the upper one is right. The target is divided by the
        same number by which it is multiplied above. See the probe between a half and 1 / 1.5.
    no_tolerance: upper="1", lower="1"
        Your beta changes after every update, even where the KL is nearly on target. Around the
        target there is a range in which beta stays. See the third and the fourth probe.
    doubles_above_the_target: upper="1"
        Your beta doubles as soon as the KL is above its target. It should wait until the KL is well
        above: the third probe leaves beta as it is.
    halves_below_the_target: lower="1"
        Your beta is halved as soon as the KL is below its target. It should wait until the KL is
        well below: the fourth probe leaves beta as it is.
    lower_test_multiplied: lower="multiplied"
        Your lower test compares with 1.5 targets, like the upper one. Beta then hardly ever stays:
        whatever is not too far counts as too near. On which side of the target does too near begin?
    never_halves: down="stays"
        Your beta never falls. After a few updates that moved too far, the policy would hardly move
        again. What happens where the KL is far below its target?
    never_doubles: up="stays"
        Your beta never rises, even where the KL is more than 3 times its target. Nothing would stop
        a policy that moves too far.
    edges_included: edge="inside"
        Your beta changes where the KL is exactly at an edge. The paper's tests are strict: at
        exactly 1.5 times the target, beta stays.
    bounds_forgotten: bounds="forgotten"
        Your beta leaves the range in which it is kept, from 1e-6 to 1e6. Without bounds, a long run
        of updates in one direction takes equally long to undo. The
        probes with beta near its upper and its lower bound show it.
    proportional: rule="proportional"
        You multiply beta by the KL over its target. A sensible controller, but another one: the
        paper's rule knows three answers only, double, half or unchanged.
    """
)

SPEC = Spec(
    name="adapt_beta",
    exercise="10_ppo_objectives",
    parameters=("beta", "kl", "target_kl"),
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
    tolerance=2e-7,  # one rounding to float32 passes, an upper bound that is off by 1 does not
    harness=harness,
    parts=("new beta over the old one",),
)
