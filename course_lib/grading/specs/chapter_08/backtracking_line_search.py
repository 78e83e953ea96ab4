"""Task 8.1: the largest fraction of a step that improves and stays in the region."""

from dataclasses import dataclass

import numpy as np

from ...catalogue import catalogue
from ...sandbox.tools import tensor, watched
from ...spec import Probe, Spec

EXERCISE = "08_line_search"
PARAMETERS = (
    *("surrogate_fn", "kl_fn", "theta", "full_step", "expected_improvement", "max_kl"),
    *("backtrack_factor", "max_steps", "accept_ratio"),
)
FAR = 9.0


@dataclass(frozen=True)
class Scene:
    """What the two functions do along the step, with u = 1 at its end.

    Parameters
    ----------
    title : str
        For the student.
    gains, kls : tuple of float
        Coefficients of u, u^2, ...: improvement over what is expected, KL over max_kl.
    factor, tries, ratio : float, int, float
        The settings of the search.
    expected : float
        Sign of the expected improvement.
    gain_edge, kl_edge : float
        Where the functions stop being finite.
    beyond : str
        What they are from there on.
    start, unit : float or None, float
        The surrogate at theta, drawn if None; what its improvements and the KL are multiples of.
    """

    title: str
    gains: tuple[float, ...]
    kls: tuple[float, ...] = (0.0, 0.5)
    factor: float = 0.5
    tries: int = 6
    ratio: float = 0.25
    expected: float = 1.0
    gain_edge: float = FAR
    kl_edge: float = FAR
    beyond: str = "nan"
    start: float | None = None
    unit: float = 1.0


# All numbers that decide at equality are sums of powers of two, so that every way to compute them
# rounds nothing.
SCENES = (
    Scene("the full step passes both tests", (1.0, -0.25)),
    Scene("the full step leaves the region, half of it does not", (1.0, -0.125), (0.0, 2.0)),
    Scene("the full step improves too little", (1.0, -0.875), (0.0, 0.25)),
    Scene("the full step makes the surrogate worse", (1.0, -2.0), ratio=0.125),
    Scene("the surrogate bends down strongly", (1.0, -3.25)),
    Scene("the two tests fail in turn", (1.0, -3.2, 2.8), (0.0, 2.0)),
    Scene("the surrogate falls and rises again behind the step", (1.0, -2.3, 1.3), (0.0, 0.25)),
    Scene("several fractions pass", (1.0, -0.6875)),
    Scene("a backtracking factor of 0.8", (1.0, -0.3), (0.0, 1.7, 0.5), 0.8, 9, 0.1),
    Scene("the KL is a little above max_kl", (1.0, -0.2), (0.0, 1.25), 0.7, 4, 0.1),
    Scene("only the last try passes", (1.0, -0.5), (0.0, 10.0), tries=3),
    Scene("the first try after the last would pass", (1.0, -0.5), (0.0, 40.0), tries=3),
    Scene("the surrogate falls along the whole step", (-0.5, -0.25), tries=4),
    Scene("the KL of the full step is exactly max_kl", (1.0, -0.25), (0.0, 1.0)),
    Scene("the full step improves by exactly the share asked for", (1.0, -0.75)),
    Scene("the surrogate is NaN beyond 0.6 of the step", (1.0, -0.25), gain_edge=0.6),
    Scene("the KL is NaN beyond 0.3 of the step", (1.0, -0.25), kl_edge=0.3),
    Scene(
        "the surrogate overflows beyond 0.7 of the step", (1.0, -0.25), gain_edge=0.7, beyond="inf"
    ),
    Scene("the expected improvement is negative", (-1.0, 1.5), expected=-1.0),
    Scene("the expected improvement is 0", (0.0, 0.5), expected=0.0),
    Scene("only the 45th try passes", (1.0, -0.5), (0.0, 0.8**-87), 0.8, 45),
    Scene("all numbers are about 1e-12", (1.25, -3.75, 3.0), (0.0, 1.5), unit=2.0**-40),
    Scene("the KL is a millionth larger than max_kl", (1.0, -0.25), (0.0, 1 + 2.0**-20)),
    Scene(
        "accept_ratio is 0, and the full step improves nothing",
        (1.0, 2.0**-8 - 3, 2 - 2.0**-8),
        ratio=0.0,
    ),
    Scene("the surrogate at theta is a million", (1.0, -0.875), start=2.0**20),
)


def harness(
    function,
    surrogate,
    kl,
    theta,
    full_step,
    expected_improvement,
    max_kl,
    backtrack_factor,
    max_steps,
    accept_ratio,
):
    """Build the two functions from coefficients and return what the search returns."""
    import torch

    start, step = torch.tensor(theta), torch.tensor(full_step)  # copies
    before, moved = theta.copy(), watched([0], theta)

    def along(shape, point):
        """Return a polynomial in the place along the step, and the squared distance from it."""
        moved[0] += not np.array_equal(theta, before)  # even if it is put back later
        shift = torch.as_tensor(point).detach().to(start) - start
        place = torch.dot(torch.tensor(shape["slope"]), shift)
        value = sum(c * place.abs() ** k * place for k, c in enumerate(shape["terms"]))
        return place, value, (shift - place * step).square().sum()

    def surrogate_fn(point):
        place, value, away = along(surrogate, point)
        if place > surrogate["edge"]:
            return torch.tensor(float(surrogate["beyond"]), dtype=start.dtype)
        return surrogate["start"] + value - away

    def kl_fn(point):
        place, value, away = along(kl, point)
        if place > kl["edge"]:
            return torch.tensor(float(kl["beyond"]), dtype=start.dtype)
        return value.abs() + away

    return function(
        surrogate_fn,
        kl_fn,
        tensor(theta),
        tensor(full_step),
        expected_improvement,
        max_kl,
        backtrack_factor,
        max_steps,
        accept_ratio,
    )


def probes(generator):
    """Return one call per scene, with theta, step and scale drawn."""
    calls = []
    for number, scene in enumerate(SCENES):
        size = (3, 2, 4)[number % 3]
        signs = generator.choice([-1.0, 1.0], size=(2, size))
        theta = signs[0] * generator.integers(2, 13, size=size) / 4
        step = signs[1] * generator.choice([0.25, 0.5, 1.0, 2.0], size=size)
        shares = generator.permutation([0.5, 0.25, 0.25, 0.0][:size] if size > 2 else [0.75, 0.25])
        expected = float(generator.choice([0.25, 4.0])) * scene.unit
        max_kl = float(generator.choice([0.015625, 0.03125, 0.0625])) * scene.unit
        start = float(generator.choice([-1.0, 1.0]) * generator.integers(5, 13) / 4)
        surrogate = {
            "slope": shares / step,
            "start": scene.start or (start if number else 2.5),
            "terms": expected * np.array(scene.gains),
            "edge": scene.gain_edge,
            "beyond": scene.beyond,
        }
        kl = {
            "slope": shares / step,
            "terms": max_kl * np.array(scene.kls),
            "edge": scene.kl_edge,
            "beyond": scene.beyond,
        }
        numbers = scene.expected * expected, max_kl, scene.factor, scene.tries, scene.ratio
        # Whoever forgets a test often forgets these cases too: the test is what to say first.
        special = scene.expected <= 0 or min(scene.gain_edge, scene.kl_edge) < FAR
        calls.append(Probe(scene.title, (surrogate, kl, theta, step, *numbers), extreme=special))
    return calls


def oracle(
    surrogate,
    kl,
    theta,
    full_step,
    expected_improvement,
    max_kl,
    backtrack_factor,
    max_steps,
    accept_ratio,
):
    """Evaluate both polynomials at all fractions at once and take the first one that passes."""
    fractions = float(backtrack_factor) ** np.arange(max_steps)
    gains = fractions[:, None] ** np.arange(1, len(surrogate["terms"]) + 1) @ surrogate["terms"]
    kls = fractions[:, None] ** np.arange(1, len(kl["terms"]) + 1) @ kl["terms"]
    finite = (fractions <= surrogate["edge"]) & (fractions <= kl["edge"])
    improves = gains > accept_ratio * fractions * expected_improvement
    passing = np.flatnonzero(finite & improves & (kls <= max_kl))
    if expected_improvement <= 0 or not len(passing):
        return theta.copy(), np.array(0.0)
    fraction = fractions[passing[0]]
    return theta + fraction * full_step, np.array(fraction)


def variant(
    surrogate_fn, kl_fn, theta, full_step, expected_improvement, max_kl, backtrack_factor,
    max_steps, accept_ratio, *, sign=1.0, kl_test="at most", share="linear", equal="rejected",
    baseline="start", ascent=1.0, finite="checked", tries=0, first=0, failure="theta",
    choose="first", guard="positive", trial="from theta", both=True,
    reported="fraction",
):  # fmt: skip
    """Shrink the fraction step by step, with options that commit mistakes."""
    failed = theta, 0.0
    if {"positive": not expected_improvement > 0, "negative": expected_improvement < 0}.get(guard):
        return failed
    start = {"start": surrogate_fn(theta).item(), "none": 0.0}[baseline]
    fraction, compounded, passed = backtrack_factor**first, expected_improvement, []
    point = theta
    for _ in range(max_steps + tries):
        compounded *= fraction
        point = (point if trial == "moves on" else theta) + sign * fraction * full_step
        gain = ascent * (surrogate_fn(point).item() - start)
        kl = kl_fn(point).item()
        asked = {
            "linear": accept_ratio * fraction * expected_improvement,
            "compounding": accept_ratio * compounded,
            "constant": accept_ratio * expected_improvement,
            "no expectation": accept_ratio * fraction,
            "nothing": 0.0,
            "all of it": fraction * expected_improvement,
        }.get(share, np.nan)
        near = {"at most": kl <= max_kl, "less": kl < max_kl, "slack": kl <= 1.5 * max_kl}
        enough = gain >= asked if equal == "accepted" else gain > asked
        tests = [near.get(kl_test, True), enough or share == "none"]
        watched = [gain] * (share != "none") + [kl] * (kl_test != "none")  # what is computed
        if finite == "rejected by comparison" and np.isnan(watched).any():
            tests = [not kl > max_kl, not gain <= asked]
        if finite == "checked" and not np.isfinite(watched).all():
            tests = [False, False]
        if all(tests) if both else any(tests):
            passed.append((gain, fraction, point))
        elif failure == "last trial":
            failed = point, 0.0
        elif failure == "last trial and fraction":
            failed = point, fraction
        fraction *= backtrack_factor
    if not passed:
        return failed
    _, fraction, point = max(passed, key=lambda p: p[0]) if choose == "best" else passed[0]
    return point, fraction if reported == "fraction" else 1.0


MISTAKES = catalogue(
    """
    kl_not_tested: kl_test="none"
        The KL is never tested. A step that improves the surrogate is taken even where it leaves the
        region in which the surrogate can be trusted. Look at the probe whose full step leaves the
        region.
    improvement_not_tested: share="none"
        The improvement is never tested. Where the surrogate bends down, you accept steps that make
        it worse. A small KL says that the step is short, not that it is good.
    one_test_is_enough: both=False
        You accept a trial that passes one of the two tests. It has to pass both. The probe where
        the tests fail in turn shows it best.
    any_improvement: share="nothing"
        You accept every improvement above 0, whatever accept_ratio asks for. Armijo's condition
        wants a share of what the linear model promised. Look at the probe whose full step improves
        too little.
    all_that_was_promised: share="all of it"
        You ask for all of the improvement that the linear model promised. accept_ratio has no
        effect. A surrogate that bends down can never deliver the whole promise, so your search
        nearly always fails.
    expectation_not_scaled: share="constant"
        You compare every trial with the improvement expected of the full step. A quarter of the
        step can promise only a quarter of it. Your search rejects short trials that do all that
        they can.
    expectation_missing: share="no expectation"
        You ask for an improvement of accept_ratio times the fraction, in absolute numbers. What
        counts as enough depends on what the linear model promises. expected_improvement enters
        nowhere.
    expectation_compounds: share="compounding"
        Your expected improvement shrinks twice: it is multiplied by the fraction again in every
        try, so it falls like 1, 1/2, 1/8, 1/64. It should be proportional to the fraction. From the
        third try on your test accepts almost anything.
    value_for_improvement: baseline="none"
        You compare the surrogate itself with the expected improvement. The surrogate at theta need
        not be 0. What was its value before the step?
    minimises: ascent=-1.0
        Your improvement has the wrong sign: a trial counts as better where the surrogate falls.
        Textbooks state Armijo's condition for minimisation. The surrogate is to be maximised.
    step_subtracted: sign=-1.0
        You walk backwards: your trials lie on the other side of theta. The full step already points
        uphill. Compare the sign of your change of theta with the sign of full_step.
    trials_add_up: trial="moves on"
        Every trial of yours starts where the last one ended, so rejected steps add up. Each trial
        has to start from the old theta again. The first probe, with one try, is right.
    not_restored: failure="last trial"
        Where every try fails, you return the last trial. It was just rejected. The fraction 0 that
        you report is right, the parameters are not: what should they be if no step was taken?
    last_trial_taken_anyway: failure="last trial and fraction"
        Where every try fails, you return the last trial and its fraction, as if it had passed.
        Running out of tries is no reason to accept. What does the contract return in that case?
    full_step_not_tried: first=1
        Your first trial is already shortened. The full step is never tried, so every step is
        shorter than it needs to be. Which power of the factor belongs to the first try?
    one_try_too_many: tries=1
        You make one try more than max_steps. The full step counts as the first try. The probe where
        the first try after the last would pass shows it.
    one_try_too_few: tries=-1
        You stop one try too early. max_steps counts the full step and all shortened ones. The probe
        where only the last try passes shows it.
    only_the_full_step: ignores(max_steps=1)
        You try the full step and give up if it fails. Is there a `return` or `break` inside the
        loop that is reached too early? A rejected trial should lead to a shorter one.
    always_halves: ignores(backtrack_factor=0.5)
        Your fractions are halved in every try, whatever backtrack_factor says. The probes with
        another factor are wrong, most others are right. Where does the argument appear?
    kl_strictly_less: kl_test="less"
        You reject a trial whose KL is exactly max_kl. The region includes its boundary. One probe
        is made to end exactly there.
    kl_with_slack: kl_test="slack"
        You accept a KL of up to 1.5 times max_kl. Some well-known code does that, but it is another
        region than the one that was asked for. Look at the probe whose KL is a little above max_kl.
    equality_accepted: equal="accepted"
        You accept an improvement that equals the required share. The contract asks for more than
        that. With accept_ratio 0, equality would accept a step that improves nothing.
    nan_accepted: finite="rejected by comparison"
        You accept trials whose surrogate or KL is NaN. Every comparison with NaN is false, so a
        test that asks whether to reject lets NaN through. Look at the probes that mention NaN.
    infinity_accepted: finite="not checked"
        You accept a trial whose surrogate is infinite. That is an overflow, not an improvement. NaN
        fails every comparison by itself, infinity does not.
    descent_tried: guard="none"
        You search even where the expected improvement is not positive. Then the required share is
        not positive either, and a step that makes things worse can pass. Along such a direction
        there is nothing to look for.
    flat_direction_tried: guard="negative"
        You search where the expected improvement is 0. The linear model promises nothing there, and
        the contract makes no try. A negative expectation you do handle.
    fraction_is_one: reported="one"
        Your new theta is right, but the fraction that you report with it is 1 whichever trial
        passed. Whoever logs it would believe that every step was a full one. Compare the probes in
        which the full step fails.
    best_of_all: choose="best"
        You evaluate all fractions and take the one with the largest improvement. The contract takes
        the first that passes, the longest step. It also saves the evaluations after it.
    """
)

SPEC = Spec(
    name="backtracking_line_search",
    exercise=EXERCISE,
    parameters=PARAMETERS,
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
    harness=harness,
    parts=("new theta", "fraction"),
    rows="entry",
)
