"""Task 14.5: repair the line search of a popular implementation."""

import numpy as np

from ...catalogue import catalogue
from ...sandbox.tools import watched
from ...spec import Probe, Spec

# Per scene: backtrack factor, most trials, accept ratio, and for each trial what the objective
# improves by (as a multiple of what the linear model expects of that trial) and the KL (as a
# multiple of the bound). There are more entries than trials, for who tries too often.
SCENES = {
    "the full step passes both tests": (
        (0.5, 4, 0.3),
        (0.7, 0.8, 0.9, 0.9, 0.95, 0.95),
        (0.8, 0.5, 0.3, 0.2, 0.1, 0.05),
    ),
    "the second trial passes": (
        (0.5, 4, 0.4),
        (0.35, 0.55, 0.9, 0.9, 0.95, 0.95),
        (1.6, 0.7, 0.3, 0.2, 0.1, 0.05),
    ),
    "the third trial improves too little": (
        (0.5, 5, 0.5),
        (0.1, 0.2, 0.4, 0.8, 0.9, 0.95, 0.95),
        (1.9, 1.4, 0.7, 0.4, 0.2, 0.1, 0.05),
    ),
    "the full step improves enough but leaves the region": (
        (0.6, 6, 0.2),
        (0.9, 0.9, 0.05, 0.15, 0.5, 0.9, 0.9, 0.9),
        (2.5, 1.3, 0.9, 0.8, 0.6, 0.4, 0.3, 0.2),
    ),
    "no trial passes, the next one would have": (
        (0.7, 3, 0.25),
        (-0.6, -0.2, 0.05, 0.9, 0.9),
        (0.9, 1.5, 0.5, 0.4, 0.3),
    ),
    "only the last trial passes": (
        (0.6, 4, 0.1),
        (-0.8, -0.5, 0.02, 0.7, 0.8, 0.9),
        (1.2, 0.9, 0.7, 0.6, 0.5, 0.4),
    ),
    "the first trial improves by exactly the share that is asked for": (
        (0.5, 3, 0.25),
        (0.25, 0.8, 0.9, 0.9, 0.95),
        (0.9, 0.6, 0.3, 0.2, 0.1),
    ),
    "the KL of the second trial is exactly the bound": (
        (0.5, 3, 0.25),
        (0.1, 0.8, 0.9, 0.9, 0.95),
        (1.4, 1.0, 0.3, 0.2, 0.1),
    ),
    "only the 45th trial passes": (
        (0.8, 45, 0.25),
        (*[0.1] * 44, 0.8, 0.9, 0.9),
        (*[1.5] * 43, 0.9, 0.6, 0.3, 0.3),
    ),
    "improvement and KL are about 1e-12": (
        (0.05, 3, 0.25),
        (0.9, 0.5, 0.6, 0.9, 0.9),
        (1.5, 0.5, 0.3, 0.2, 0.1),
    ),
    "improvements of about 1e6, the KL a millionth above its bound": (
        (0.5, 3, 0.25),
        (0.9, 0.2, 0.5, 0.9, 0.9),
        (1 + 2.0**-20, 0.6, 0.3, 0.2, 0.1),
    ),
    "the improvement is small at every trial": (
        (0.8, 6, 0.5),
        (0.3, 0.42, 0.35, 0.3, 0.22, 0.45, 0.45, 0.9),
        (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2),
    ),
}


def printed(
    evaluate,
    theta,
    full_step,
    expected_improvement,
    max_kl,
    backtrack_factor,
    max_steps,
    accept_ratio,
):
    """Return the accepted parameters, where the expectation shrinks twice."""
    fraction = 1.0
    for _ in range(max_steps):
        candidate = theta + fraction * full_step
        improvement, kl = evaluate(candidate)
        expected_improvement *= fraction
        if improvement > accept_ratio * expected_improvement and kl <= max_kl:
            return candidate
        fraction *= backtrack_factor
    return theta


def harness(function, table, theta, full_step, expected, max_kl, factor, max_steps, ratio):
    """Build `evaluate`, which knows improvement and KL at the fractions 1, kappa, kappa^2, ...

    Between two fractions the nearer one answers, so that rounding changes nothing.
    """
    start, step, moved = theta.copy(), full_step.copy(), watched([0], theta)

    def evaluate(candidate):
        moved[0] += not np.array_equal(theta, start)  # even if it is put back later
        fraction = np.dot(np.asarray(candidate, dtype=float) - start, step) / np.dot(step, step)
        nearest = int(np.argmin(np.abs(factor ** np.arange(table.shape[1]) - fraction)))
        return float(table[0, nearest]), float(table[1, nearest])

    return function(evaluate, theta, full_step, expected, max_kl, factor, max_steps, ratio)


def probes(generator):
    """Return one search per scene; only size and scale are drawn."""
    calls = []
    for title, ((factor, max_steps, ratio), gains, kls) in SCENES.items():
        size = int(generator.integers(2, 5))
        theta = generator.integers(-30, 30, size=size) / 10
        full_step = generator.choice([-1.0, 1.0], size) * generator.integers(10, 40, size) / 10
        # Powers of two keep the two scenes exact in which a number meets its bound.
        expected = float(2.0 ** generator.choice([-2, 1, 2]))
        max_kl = float(2.0 ** -generator.integers(3, 7))
        if "1e" in title:
            expected, max_kl = (2.0**20, max_kl) if "1e6" in title else (2.0**-40, 2.0**-40)
        fractions = factor ** np.arange(len(gains))
        table = np.array([expected * fractions * gains, max_kl * np.array(kls)])
        arguments = (table, theta, full_step, expected, max_kl, factor, max_steps, ratio)
        calls.append(Probe(title, arguments))
    return calls


def oracle(table, theta, full_step, expected, max_kl, factor, max_steps, ratio):
    """Return the parameters at the first trial of the table that passes both tests."""
    fractions = factor ** np.arange(table.shape[1])
    passes = (table[0] > ratio * expected * fractions) & (table[1] <= max_kl)
    places = np.flatnonzero(passes[:max_steps])
    return theta + fractions[places[0]] * full_step if len(places) else theta.copy()


def variant(
    evaluate,
    theta,
    full_step,
    expected_improvement,
    max_kl,
    backtrack_factor,
    max_steps,
    accept_ratio,
    *,
    shrink="fraction",
    region="tested",
    improve="share",
    both=True,
    first=0,
    trials=0,
    move="from the start",
    output="parameters",
    failure="start",
):
    """Return the parameters with all trials written down first, with options for mistakes."""
    number = max_steps + trials
    powers = [j + first for j in range(number)]
    fractions = [backtrack_factor**power for power in powers]
    if move == "shrinking twice":
        fractions = [backtrack_factor ** (j * (j + 1) // 2) for j in range(number)]
    if move == "on and on":
        fractions = [sum(fractions[: j + 1]) for j in range(number)]
    for j in range(number):
        exponent = {
            "fraction": powers[j],
            "all fractions": j * (j + 1) // 2,
            "nothing": 0,
            "one more": powers[j] + 1,
            "one less": powers[j] - 1,
            "squared": 2 * powers[j],
            "divided": -powers[j],
        }[shrink]
        expected = backtrack_factor**exponent * expected_improvement
        candidate = theta + fractions[j] * full_step
        improvement, kl = evaluate(candidate)
        good = {
            "share": improvement > accept_ratio * expected,
            "at least": improvement >= accept_ratio * expected,
            "anything": improvement > 0,
            "everything": improvement > expected,
            "not tested": True,
            "too little": improvement <= accept_ratio * expected,
        }[improve]
        inside = {
            "tested": kl <= max_kl,
            "strictly": kl < max_kl,
            "not tested": True,
        }[region]
        if (good and inside) if both else (good or inside):
            return {
                "parameters": candidate,
                "full step": theta + full_step,
                "step": fractions[j] * full_step,
            }[output]
    if failure == "last trial":
        return candidate
    if output == "step":
        return np.zeros_like(theta)
    return theta + full_step if failure == "full step" else theta.copy()


MISTAKES = catalogue(
    """
    expectation_shrinks_twice: shrink="all fractions"
        The expectation still shrinks twice, which is the fault as printed. It is multiplied by a
        fraction that holds all earlier factors already, so after three rejections it has shrunk six
        times. Write down, for each trial, the expectation that you compare with.
    expectation_of_the_full_step: shrink="nothing"
        Every trial is held to the expectation of the full step. A shorter step cannot deliver that:
        the linear model expects of a fraction of the step the same fraction of the improvement. The
        second probe rejects a good step.
    expectation_one_trial_ahead: shrink="one more"
        The expectation shrinks once too often: already the full step is held to the backtrack
        factor times its expectation. When must the first factor come in, before the test or after
        it?
    expectation_one_trial_behind: shrink="one less"
        The expectation is one factor too large at every trial: it belongs to the step before. The
        full step is expected to improve by `expected_improvement` itself.
    ratio_shrinks_too: shrink="squared"
        You shrink the accept ratio along with the expectation, so their product shrinks with the
        square of the fraction. The share that is asked for stays the same at every trial.
    improvement_not_tested: improve="not tested"
        The improvement is not tested any more: you accept the first step inside the region, even
        one that makes the objective worse, as in the sixth probe.
    any_improvement: improve="anything"
        You accept any improvement, however small. The test asks for a share of what the linear
        model expects of this trial.
    whole_expectation: improve="everything"
        You ask for all of the improvement that the linear model expects; accept_ratio has no
        effect. Where the objective bends down, no step reaches that.
    improvement_test_inverted: improve="too little"
        You accept where the improvement is too small. A condition for going on looks almost like
        the one for stopping; one of them is the opposite of the other.
    exact_share_accepted: improve="at least"
        You accept a step that improves by exactly the share that is asked for. The task says more
        than that share, as it was printed.
    region_not_tested: region="not tested"
        The KL is not tested any more. The fourth probe takes a full step that improves the
        objective and leaves the trust region.
    boundary_rejected: region="strictly"
        You reject a step whose KL is exactly the bound. The task lets the KL reach it, as it was
        printed.
    either_test: both=False
        You accept a step that passes one of the two tests. It needs both: improvement enough, and a
        KL within the bound.
    full_step_not_tried: first=1
        Your first trial is already shortened: the full step is never tried. Where it would have
        passed, as in the first probe, you give part of it away.
    one_trial_too_many: trials=1
        You try once more than max_steps allows. The full step counts as the first trial.
    one_trial_too_few: trials=-1
        You try once less than max_steps allows: in the sixth probe the last trial passes, and you
        never get there.
    steps_shrink_twice: move="shrinking twice"
        Now the steps shrink too fast: the third trial is not the factor squared times the full
        step. Is a step that is shortened already multiplied by the whole fraction again?
    starts_from_the_last_trial: move="on and on"
        Each of your trials starts where the last one ended, so rejected steps are never taken back.
        Every trial starts from `theta`.
    full_step_returned: output="full step"
        You test shortened steps but return the full one. What was tested must be what is taken.
    step_returned: output="step"
        You return the step that was accepted. Asked for are the parameters after it.
    last_trial_kept: failure="last trial"
        Where no trial passes, you return the last one that was rejected. The policy must stay where
        it was.
    full_step_on_failure: failure="full step"
        Where no trial passes, you return the full step, which failed the tests as well. The policy
        must stay where it was.
    expectation_divided: shrink="divided"
        You divide the expectation by the fraction, so it grows as the steps get shorter. Good short
        steps are rejected then. The linear model expects of half a step half of the improvement.
    """
)

SPEC = Spec(
    name="popular_line_search",
    exercise="14_reading_code",
    parameters=(
        "evaluate",
        "theta",
        "full_step",
        "expected_improvement",
        "max_kl",
        "backtrack_factor",
        "max_steps",
        "accept_ratio",
    ),
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
    harness=harness,
    rows="entry",
    printed=printed,
)
