"""Task 8.2: the whole policy step of TRPO, for a policy with a few parameters."""

from dataclasses import dataclass

import numpy as np

from ...catalogue import catalogue
from ...sandbox.tools import tensor, watched
from ...spec import Probe, Spec
from .backtracking_line_search import EXERCISE

PARAMETERS = (
    *("log_probs_fn", "theta", "actions", "advantages", "max_kl", "damping"),
    *("backtrack_factor", "max_steps", "accept_ratio"),
)


def harness(function, log_probs_fn, theta, actions, advantages, *settings):
    """Build a small policy from its features and return what the step returns."""
    import torch

    def policy(point):
        moved[0] += not np.array_equal(theta, before)  # even if it is put back later
        point = torch.as_tensor(point)
        features = torch.tensor(log_probs_fn).to(point)
        outputs = torch.tanh(features @ point.reshape(features.shape[1], -1))
        return torch.log_softmax(2.0 * outputs, dim=1)

    before, moved = theta.copy(), watched([0], theta)
    data = tensor(theta), tensor(actions), tensor(advantages)
    return function(policy, *data, *settings)


@dataclass(frozen=True)
class Scene:
    """One kind of problem.

    Parameters
    ----------
    title : str
        For the student.
    sizes : tuple of int
        States, features and actions.
    max_kl, damping, factor, tries, ratio : float, float, float, int, float
        The arguments of the step.
    accepted : tuple of int
        The tries that may be the accepted one, the full step being 0; -1 for none.
    tells : str
        What must come out otherwise: if the ``improvement`` or the ``kl`` is not tested, for the
        KL in the other ``direction``, if expectations are ``compounding``, for log-probabilities
        in place of ``ratios``, or if log-ratios are ``clamped`` to +-2.
    unit : float
        What the features are multiples of.
    """

    title: str
    sizes: tuple[int, int, int]
    max_kl: float
    damping: float
    factor: float
    tries: int
    ratio: float
    accepted: tuple[int, ...] = (0,)
    tells: str = ""
    unit: float = 1.0


SCENES = (
    Scene("three states, the full step is accepted", (3, 2, 2), 0.02, 0.1, 0.5, 5, 0.1),
    Scene("seven states, the full step is accepted", (7, 2, 3), 0.01, 0.2, 0.8, 10, 0.1),
    Scene("strong damping", (6, 3, 2), 0.015, 0.8, 0.7, 6, 0.1),
    Scene(
        "the full step leaves the region, and so do ten others",
        (5, 2, 3),
        0.5,
        0.05,
        0.95,
        25,
        0.1,
        tuple(range(11, 25)),
        "kl",
    ),
    Scene(
        "the two directions of the KL disagree",
        (6, 2, 3),
        0.5,
        0.1,
        0.9,
        10,
        0.1,
        (0, 1, 2, 3, 4),
        "direction",
    ),
    Scene(
        "the full step improves too little",
        (5, 3, 2),
        0.25,
        0.1,
        0.6,
        8,
        0.8,
        (1, 2, 3),
        "improvement",
    ),
    Scene(
        "ratios and log-probabilities disagree",
        (6, 2, 2),
        0.3,
        0.02,
        0.7,
        8,
        0.7,
        (0, 1, 2, 3),
        "ratios",
    ),
    Scene("much is asked of each try", (4, 2, 3), 1.0, 0.1, 0.5, 9, 0.9, (3, 4, 5), "compounding"),
    Scene("no try passes", (5, 2, 3), 0.5, 0.05, 0.9, 2, 0.8, (-1,)),
    Scene("all advantages are 0", (4, 2, 2), 0.02, 0.1, 0.5, 5, 0.1, (-1,), "nothing"),
    Scene("30 parameters", (40, 5, 6), 0.01, 0.01, 0.5, 5, 0.1, tells="many"),
    Scene("features of about 1e-4", (6, 2, 3), 0.02, 0.125, 0.5, 5, 0.1, unit=1e-4),
    Scene("log-ratios beyond 2", (4, 2, 3), 2.0, 0.1, 0.8, 12, 0.3, (1, 2, 3, 4, 5, 6), "clamped"),
)


def outputs(features, theta):
    """Return log-probabilities (B, K) and their Jacobian (B, K, P), both by hand."""
    weights = theta.reshape(features.shape[1], -1)
    hidden = np.tanh(features @ weights)
    scores = 2.0 * hidden
    scores = scores - scores.max(axis=1, keepdims=True)
    log_probs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    states, actions = log_probs.shape
    slopes = np.zeros((states, actions, features.shape[1], actions))
    for k in range(actions):
        slopes[:, k, :, k] = 2.0 * (1.0 - hidden[:, k, None] ** 2) * features
    slopes = slopes.reshape(states, actions, -1)
    mean = np.einsum("bk,bkp->bp", np.exp(log_probs), slopes)
    return log_probs, slopes - mean[:, None, :]


def trials(features, theta, actions, advantages, max_kl, damping, fractions):
    """Return the full step, its expected improvement, and what every fraction of it achieves."""
    old, slopes = outputs(features, theta)
    states = np.arange(len(actions))
    gradient = (advantages[:, None] * slopes[states, actions]).mean(axis=0)
    fisher = np.einsum("bk,bkp,bkq->pq", np.exp(old), slopes, slopes) / len(old)
    direction = np.linalg.solve(fisher + damping * np.eye(len(theta)), gradient)
    length = np.sqrt(2.0 * max_kl / max(direction @ fisher @ direction, 1e-300))
    step = length * direction
    rows = []
    for fraction in fractions:
        new, _ = outputs(features, theta + fraction * step)
        change = (new - old)[states, actions]
        rows.append((
            (advantages * np.expm1(change)).mean(),
            (np.exp(old) * (old - new)).sum(axis=1).mean(),
            (np.exp(new) * (new - old)).sum(axis=1).mean(),
            (advantages * change).mean(),
            (advantages * np.expm1(change.clip(-2, 2))).mean(),
        ))  # fmt: skip
    return step, gradient @ step, np.array(rows)


def first(passed):
    """Return the number of the first try that passed, -1 if none did."""
    return int(np.argmax(passed)) if np.any(passed) else -1


def fits(scene, features, theta, actions, advantages):
    """Tell whether a problem shows what its scene is to show, with nothing close to a tie."""
    if scene.tells == "nothing":
        return True
    fractions = scene.factor ** np.arange(scene.tries)
    arguments = features, theta, actions, advantages, scene.max_kl, scene.damping
    step, expected, results = trials(*arguments, fractions)
    gains, kls, reverse, logs, clamped = results.T
    asked = scene.ratio * expected * fractions
    near = [kls / scene.max_kl, reverse / scene.max_kl, gains / asked, logs / asked]
    tie = min(0.03, (1 - scene.factor) / 4)
    if np.abs(np.array(near) - 1.0).min() < tie or np.abs(step).max() * scene.unit > 8.0:
        return False
    inside, enough = kls <= scene.max_kl, gains > asked
    taken = first(inside & enough)
    compounded = scene.ratio * expected * np.cumprod(fractions)
    other = {
        "kl": first(enough),
        "improvement": first(inside),
        "direction": first((reverse <= scene.max_kl) & enough),
        "ratios": first(inside & (logs > asked)),
        "compounding": first(inside & (gains > compounded)),
        "clamped": first(inside & (clamped > asked)),
    }.get(scene.tells)
    neighbours = {  # mistakes that would look the same
        "improvement": first(inside & (logs > asked)),
        "kl": first((reverse <= scene.max_kl) & enough),
    }
    if scene.tells in neighbours and neighbours[scene.tells] == other:
        return False
    return taken in scene.accepted and taken != other


def probes(generator):
    """Return one problem per scene, drawn until it shows what the scene is about."""
    calls = []
    for scene in SCENES:
        states, size, choices = scene.sizes
        while True:
            features = generator.integers(-15, 16, size=(states, size)) / 10 * scene.unit
            theta = generator.integers(-12, 13, size=size * choices) / 10
            actions = generator.integers(0, choices, size=states)
            advantages = generator.integers(-30, 31, size=states) / 10 + 0.75
            if len(set(actions)) == choices and fits(scene, features, theta, actions, advantages):
                break
        if scene.tells == "nothing":
            advantages = 0.0 * advantages
        settings = scene.max_kl, scene.damping, scene.factor, scene.tries, scene.ratio
        calls.append(Probe(scene.title, (features, theta, actions, advantages, *settings)))
    return calls


def oracle(
    log_probs_fn,
    theta,
    actions,
    advantages,
    max_kl,
    damping,
    backtrack_factor,
    max_steps,
    accept_ratio,
):
    """Return the step with the dense Fisher matrix and gradients worked out on paper."""
    fractions = backtrack_factor ** np.arange(max_steps)
    step, expected, results = trials(
        log_probs_fn, theta, actions, advantages, max_kl, damping, fractions
    )
    taken = first((results[:, 1] <= max_kl) & (results[:, 0] > accept_ratio * expected * fractions))
    if expected <= 0 or taken < 0:
        return theta.copy(), np.array(0.0)
    return theta + fractions[taken] * step, fractions[taken]


def variant(
    log_probs_fn, theta, actions, advantages, max_kl, damping, backtrack_factor, max_steps,
    accept_ratio, *, sign=1.0, solver="damped", curvature="undamped", length="root", kl="old new",
    objective="ratio", centred=False, fisher="exact", search="both tests", promised="of the step",
    on_failure="theta",
):  # fmt: skip
    """Return the step by autograd and a dense Hessian, with options that commit mistakes."""
    import torch
    from torch.autograd.functional import hessian, jacobian

    theta = theta.detach()
    old = log_probs_fn(theta)
    states = torch.arange(len(actions))
    if centred:
        advantages = advantages - advantages.mean()

    def surrogate(point, kind=objective):
        change = (log_probs_fn(point) - old)[states, actions]
        if kind == "log":
            return (log_probs_fn(point)[states, actions] * advantages).mean()
        if kind == "inverted":
            return ((-change).exp() * advantages).mean()
        if kind == "negative":
            return -(change.exp() * advantages).mean()
        if kind == "all pairs":
            return change.exp().mean() * advantages.mean()
        return (change.exp() * advantages).mean()

    def divergence(point):
        new = log_probs_fn(point)
        if kl == "new old":
            return (new.exp() * (new - old)).sum(1).mean()
        terms = old.exp() * (old - new)
        if kl == "summed over states":
            return terms.sum()
        return terms.mean() if kl == "averaged over actions" else terms.sum(1).mean()

    g = jacobian(surrogate, theta)
    F = hessian(divergence, theta)
    if fisher == "sampled":
        scores = jacobian(lambda point: log_probs_fn(point)[states, actions], theta)
        F = scores.T @ scores / len(scores)
    damped = F + damping * torch.eye(len(theta), dtype=theta.dtype)
    solved = {
        "damped": lambda: torch.linalg.solve(damped, g),
        "undamped": lambda: torch.linalg.pinv(F, rtol=1e-10, hermitian=True) @ g,
        "none": lambda: g,
    }
    x = solved[solver]()
    bent = {"undamped": x @ F @ x, "damped": x @ damped @ x, "gradient": g @ F @ g}[curvature]
    scale = {
        "root": torch.sqrt(2 * max_kl / bent),
        "no two": torch.sqrt(max_kl / bent),
        "no root": 2 * max_kl / bent,
        "one": torch.ones_like(bent),
    }[length]
    step = sign * scale * x
    expected = (g @ (x if promised == "of the direction" else step)).item()
    if search == "none":
        return theta + step, 1.0
    if not expected > 0:
        return theta, 0.0
    fraction, asked, trial = 1.0, accept_ratio * expected, theta
    for _ in range(max_steps):
        asked *= fraction if search == "compounding" else 1.0
        trial = theta + fraction * step
        needed = asked if search == "compounding" else fraction * asked
        gain = (surrogate(trial) - surrogate(theta)).item()
        good = gain > needed or search == "kl only"
        if good and (divergence(trial).item() <= max_kl or search == "improvement only"):
            return trial, fraction
        fraction *= backtrack_factor
    return (trial if on_failure == "last trial" else theta), 0.0


MISTAKES = catalogue(
    """
    never_moves: sign=-1.0
        theta comes back unchanged on every probe. Either your step points downhill, so that its
        expected improvement is negative, or your Fisher products are 0 because both sides of the KL
        move together. Print the gradient times the step, and F times a vector.
    damping_in_the_step_length: curvature="damped"
        Your direction is right but your step is too short. Its length contains the damping: x times
        (F + damping I) x is the same as x times g. The KL knows no damping. The probe with strong
        damping is off the most.
    damping_forgotten: solver="undamped"
        Your direction is that of F alone: the damping has no effect. Then directions in which the
        samples tell next to nothing about F get the largest steps. Where does the argument enter?
    plain_gradient: solver="none"
        You step along the gradient itself, scaled to the trust region. TRPO steps along the
        solution of (F + damping I) x, equal to g. F says what each direction costs in KL, and the
        plain gradient does not know it.
    curvature_along_the_gradient: curvature="gradient"
        The length of your step uses the curvature along g. The step goes along x, so the curvature
        along x decides how far it may go. Check: half of s times F s should be max_kl for the full
        step.
    factor_two_missing: length="no two"
        Your full step is too short by the square root of 2. The quadratic model of the KL is one
        half of s times F s. Check with your own numbers: the full step should reach max_kl, yours
        reaches half of it.
    root_missing: length="no root"
        Your step length lacks a square root. The KL grows with the square of the step, so four
        times the max_kl allows twice the step. Check: half of s times F s should be max_kl.
    not_scaled: length="one"
        Your full step is the solution x itself, at whatever length it has. max_kl has to set the
        length: half of s times F s should equal it. Multiply the advantages by 10, and your step
        grows. It should not.
    kl_of_the_other_direction: kl="new old"
        Your line search tests KL(new || old). To second order the two directions agree, so short
        steps look right. Which of the two policies drew the data, and stands first?
    kl_summed_over_states: kl="summed over states"
        Your KL is summed over the states. Then F is too large by their number, and the region
        shrinks as the batch grows. max_kl limits the mean over the states.
    kl_averaged_over_actions: kl="averaged over actions"
        Your KL is too small by the number of actions: it is averaged over them. Within a state a KL
        is a sum over the actions, weighted by probability. Only over states is there a mean.
    log_probability_for_ratio: objective="log"
        Your step is right but the line search takes another fraction. You measure improvement by
        log-probability times advantage. That has the gradient of the surrogate at theta, and other
        values elsewhere. The surrogate is made of probability ratios.
    ratio_inverted: objective="inverted"
        Your ratio is the old probability over the new one. At theta it is 1 either way, but its
        gradient points the other way: good actions become less likely. Compare the sign of an
        advantage with the change of that action's probability.
    loss_maximised: objective="negative"
        You maximise minus the surrogate. A loss for an optimiser carries a minus sign, since it is
        to be minimised; this step maximises. Good actions of yours become less likely.
    all_pairs: objective="all pairs"
        Your surrogate is the mean ratio times the mean advantage. That happens where (B, 1) meets
        (B,): the product has shape (B, B) and pairs every ratio with every advantage. Print the
        shapes.
    advantages_centred: centred=True
        You subtract the mean of the advantages, perhaps as part of normalising them. Dividing them
        by a constant leaves the step alone, shifting them does not. Here they are to be used as
        they come.
    sampled_fisher: fisher="sampled"
        Your F is the second moment of the scores of the sampled actions. It is an estimate of F, a
        noisy one. The contract wants the Hessian of the mean KL, which is an average over all
        actions and does not depend on which were sampled.
    no_line_search: search="none"
        You always take the full step. The quadratic model of the KL and the linear model of the
        surrogate are only models. Look at the probes with a large max_kl: there the full step
        leaves the region or improves too little.
    kl_not_tested: search="improvement only"
        Your line search asks for improvement only. The full step fills the region in the quadratic
        model, and the true KL may be larger. Compute it at the parameters that you return.
    improvement_not_tested: search="kl only"
        Your line search tests the KL only. Where the full step improves less than the share asked
        for, or nothing at all, you still take it.
    expectation_compounds: search="compounding"
        Your expected improvement shrinks twice: it is multiplied by the fraction again in every
        try. It should be proportional to the fraction. From the third try on your test accepts too
        much.
    expectation_of_the_direction: promised="of the direction"
        Your expected improvement is the gradient times x, before x is scaled. The line search needs
        what the full step promises. Which vector is added to theta?
    not_restored: on_failure="last trial"
        Where no try passes, you return the last trial. It was just rejected. A failed search has to
        leave the old policy in place.
    """
)

SPEC = Spec(
    name="trpo_step",
    exercise=EXERCISE,
    parameters=PARAMETERS,
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
    harness=harness,
    parts=("new theta", "fraction"),
    rows="entry",
    helpers=(
        "course_lib.conjugate_gradient",
        "course_lib.fisher",
        "course_lib.distributions",
        "course_lib.parameters",
    ),
)
